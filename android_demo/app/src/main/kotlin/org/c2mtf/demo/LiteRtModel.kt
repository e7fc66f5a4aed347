package org.c2mtf.demo

import android.content.res.AssetManager
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.TensorBuffer
import org.c2mtf.core.JobFailedException
import org.c2mtf.core.Located
import org.c2mtf.core.ModelSpec
import org.c2mtf.core.Reason
import org.c2mtf.core.SrModel

/**
 * The exported model in the app's assets, run by LiteRT on the processor. The only file that knows LiteRT.
 *
 * The runtime keeps what a signature needs for as long as the model is loaded, so it is loaded for one signature at a time. What fails is
 * a [JobFailedException].
 */
class LiteRtModel(private val assets: AssetManager, override val spec: ModelSpec, private val threads: Int) : SrModel {
    private var loaded: Loaded? = null

    override fun locate(lrThumb: FloatArray, refThumb: FloatArray): Located {
        val model = loadedFor("locate", listOf("lr_thumb", "ref_thumb"), listOf("matches", "score"))
        return told(Reason.MODEL_FAILED) {
            val outputs = model.run(listOf(lrThumb, refThumb))
            Located(outputs.getValue("matches").readInt(), outputs.getValue("score").readFloat())
        }
    }

    override fun upscale(lrTile: FloatArray, refWindow: FloatArray): FloatArray {
        val model = loadedFor("upscale", listOf("lr_tile", "ref_window"), listOf("sr"))
        return told(Reason.MODEL_FAILED) { model.run(listOf(lrTile, refWindow)).getValue("sr").readFloat() }
    }

    override fun close() {
        loaded?.close()
        loaded = null
    }

    private fun loadedFor(signature: String, inputs: List<String>, outputs: List<String>): Loaded {
        loaded?.let { if (it.signature == signature) return it }
        close()
        return told(Reason.NO_MODEL) { Loaded(signature, inputs, outputs) }.also { loaded = it }
    }

    /** The model, and the buffers of one signature. */
    private inner class Loaded(val signature: String, inputNames: List<String>, outputNames: List<String>) {
        private val compiled: CompiledModel

        init {
            val options = CompiledModel.Options(Accelerator.CPU)
            options.cpuOptions = CompiledModel.CpuOptions(numThreads = threads)
            compiled = CompiledModel.create(assets, spec.file, options, null)
        }

        private val inputs = inputNames.associateWith { compiled.createInputBuffer(it, signature) }
        private val outputs = outputNames.associateWith { compiled.createOutputBuffer(it, signature) }

        fun run(values: List<FloatArray>): Map<String, TensorBuffer> {
            inputs.values.zip(values) { buffer, numbers -> buffer.writeFloat(numbers) }
            compiled.run(inputs, outputs, signature)
            return outputs
        }

        fun close() {
            (inputs.values + outputs.values).forEach { it.close() }
            compiled.close()
        }
    }

    private fun <T> told(reason: Reason, action: () -> T): T = try {
        action()
    } catch (error: LiteRtException) {
        throw JobFailedException(reason, error)
    }
}
