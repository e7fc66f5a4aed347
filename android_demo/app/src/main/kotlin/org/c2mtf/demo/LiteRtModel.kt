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

    /** Found out by loading the model for that signature: the runtime's Kotlin interface does not list what a file has. */
    override val worksAlone: Boolean
        get() = try {
            loadedAlone()
            true
        } catch (failure: JobFailedException) {
            if (failure.reason != Reason.NEEDS_REFERENCE) throw failure
            false
        }

    override fun locate(lrThumb: FloatArray, refThumb: FloatArray): Located {
        val model = loadedFor("locate", listOf("lr_thumb", "ref_thumb"), listOf("matches", "score"))
        return reporting(Reason.MODEL_FAILED) {
            val outputs = model.run(listOf(lrThumb, refThumb))
            Located(outputs.getValue("matches").readInt(), outputs.getValue("score").readFloat())
        }
    }

    override fun upscale(lrTile: FloatArray, refWindow: FloatArray): FloatArray {
        val model = loadedFor("upscale", listOf("lr_tile", "ref_window"), listOf("sr"))
        return reporting(Reason.MODEL_FAILED) { model.run(listOf(lrTile, refWindow)).getValue("sr").readFloat() }
    }

    override fun upscaleAlone(lrTile: FloatArray): FloatArray {
        val model = loadedAlone()
        return reporting(Reason.MODEL_FAILED) { model.run(listOf(lrTile)).getValue("sr").readFloat() }
    }

    override fun close() {
        loaded?.close()
        loaded = null
    }

    private fun loadedAlone() = loadedFor("upscale_alone", listOf("lr_tile"), listOf("sr"), lacking = Reason.NEEDS_REFERENCE)

    private fun loadedFor(signature: String, inputs: List<String>, outputs: List<String>, lacking: Reason = Reason.NO_MODEL): Loaded {
        loaded?.let { if (it.signature == signature) return it }
        close()
        val options = CompiledModel.Options(Accelerator.CPU)
        options.cpuOptions = CompiledModel.CpuOptions(numThreads = threads)
        val compiled = reporting(Reason.NO_MODEL) { CompiledModel.create(assets, spec.file, options, null) }
        return try {
            Loaded(compiled, signature, inputs, outputs).also { loaded = it }
        } catch (error: LiteRtException) {
            compiled.close()
            throw JobFailedException(lacking, error)
        }
    }

    /** The model, and the buffers of one signature. */
    private class Loaded(
        private val compiled: CompiledModel,
        val signature: String,
        inputNames: List<String>,
        outputNames: List<String>,
    ) {
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

    private fun <T> reporting(reason: Reason, action: () -> T): T = try {
        action()
    } catch (error: LiteRtException) {
        throw JobFailedException(reason, error)
    }
}
