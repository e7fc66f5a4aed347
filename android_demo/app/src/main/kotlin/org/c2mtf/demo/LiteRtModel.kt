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
 * @throws JobFailedException the model cannot be loaded, or later: run.
 */
class LiteRtModel(assets: AssetManager, override val spec: ModelSpec, threads: Int) : SrModel {
    private val compiled = told(Reason.NO_MODEL) {
        val options = CompiledModel.Options(Accelerator.CPU)
        options.cpuOptions = CompiledModel.CpuOptions(numThreads = threads)
        CompiledModel.create(assets, spec.file, options, null)
    }
    private val locate = told(Reason.NO_MODEL) { Signature("locate", listOf("lr_thumb", "ref_thumb"), listOf("matches", "score")) }
    private val upscale = told(Reason.NO_MODEL) { Signature("upscale", listOf("lr_tile", "ref_window"), listOf("sr")) }

    override fun locate(lrThumb: FloatArray, refThumb: FloatArray): Located = told(Reason.MODEL_FAILED) {
        val outputs = locate.run(listOf(lrThumb, refThumb))
        Located(outputs.getValue("matches").readInt(), outputs.getValue("score").readFloat())
    }

    override fun upscale(lrTile: FloatArray, refWindow: FloatArray): FloatArray = told(Reason.MODEL_FAILED) {
        upscale.run(listOf(lrTile, refWindow)).getValue("sr").readFloat()
    }

    override fun close() {
        locate.close()
        upscale.close()
        compiled.close()
    }

    /** One signature and its buffers, made once. */
    private inner class Signature(private val key: String, inputNames: List<String>, outputNames: List<String>) {
        private val inputs = inputNames.associateWith { compiled.createInputBuffer(it, key) }
        private val outputs = outputNames.associateWith { compiled.createOutputBuffer(it, key) }

        fun run(values: List<FloatArray>): Map<String, TensorBuffer> {
            inputs.values.zip(values) { buffer, numbers -> buffer.writeFloat(numbers) }
            compiled.run(inputs, outputs, key)
            return outputs
        }

        fun close() = (inputs.values + outputs.values).forEach { it.close() }
    }

    private fun <T> told(reason: Reason, action: () -> T): T = try {
        action()
    } catch (error: LiteRtException) {
        throw JobFailedException(reason, error)
    }
}
