package org.c2mtf.demo

import android.content.res.AssetManager
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.TensorBuffer
import org.c2mtf.core.Backend
import org.c2mtf.core.JobFailedException
import org.c2mtf.core.Located
import org.c2mtf.core.ModelSpec
import org.c2mtf.core.Reason
import org.c2mtf.core.SrModel

/**
 * The exported model in the app's assets, run by LiteRT. The only file that knows LiteRT.
 *
 * Tiles are upscaled on [backend]; matching runs on the CPU always, so that it chooses the same windows wherever tiles are upscaled.
 *
 * The runtime keeps what a signature needs for as long as the model is loaded, so it is loaded for one signature at a time. What fails is
 * a [JobFailedException].
 */
class LiteRtModel(
    private val assets: AssetManager,
    override val spec: ModelSpec,
    private val threads: Int,
    override val backend: Backend,
) : SrModel {
    private var loaded: Loaded? = null

    /** Found out by loading the model for that signature, on the CPU: the runtime's Kotlin interface does not list what a file has. */
    override val worksAlone: Boolean
        get() = try {
            loadedFor(UPSCALE_ALONE, Backend.CPU, lacking = Reason.NEEDS_REFERENCE)
            true
        } catch (failure: JobFailedException) {
            if (failure.reason != Reason.NEEDS_REFERENCE) throw failure
            false
        }

    override fun locate(lrThumb: FloatArray, refThumb: FloatArray): Located {
        val model = loadedFor(LOCATE, Backend.CPU)
        return reporting(Reason.MODEL_FAILED) {
            val outputs = model.run(listOf(lrThumb, refThumb))
            Located(outputs.getValue("matches").readInt(), outputs.getValue("score").readFloat())
        }
    }

    override fun upscale(lrTile: FloatArray, refWindow: FloatArray): FloatArray {
        val model = loadedFor(UPSCALE, backend)
        return reporting(Reason.MODEL_FAILED) { model.run(listOf(lrTile, refWindow)).getValue("sr").readFloat() }
    }

    override fun upscaleAlone(lrTile: FloatArray): FloatArray {
        val model = loadedFor(UPSCALE_ALONE, backend)
        return reporting(Reason.MODEL_FAILED) { model.run(listOf(lrTile)).getValue("sr").readFloat() }
    }

    override fun close() {
        loaded?.close()
        loaded = null
    }

    private fun loadedFor(signature: Signature, backend: Backend, lacking: Reason = Reason.NO_MODEL): Loaded {
        loaded?.let { if (it.signature == signature && it.backend == backend) return it }
        close()
        val environment = reporting(Reason.NO_MODEL) { Environment.create() }
        var compiled: CompiledModel? = null
        return try {
            compiled = reporting(Reason.NO_MODEL) { CompiledModel.create(assets, spec.file, options(environment, backend), environment) }
            reporting(lacking) { Loaded(environment, compiled, backend, signature) }.also { loaded = it }
        } catch (failure: JobFailedException) {
            compiled?.close()
            environment.close()
            throw failure
        }
    }

    private fun options(environment: Environment, backend: Backend): CompiledModel.Options {
        val cpu = CompiledModel.CpuOptions(numThreads = threads)
        if (backend == Backend.CPU) return CompiledModel.Options(Accelerator.CPU).apply { cpuOptions = cpu }
        // Without this question a phone whose GPU cannot be used would run all of the model on the CPU, and say nothing.
        if (Accelerator.GPU !in environment.getAvailableAccelerators()) throw JobFailedException(Reason.NO_MODEL)
        return CompiledModel.Options(Accelerator.GPU, Accelerator.CPU).apply {
            cpuOptions = cpu
            // Positions in photos, which the model computes, need more digits than FP16 has.
            gpuOptions = CompiledModel.GpuOptions(precision = CompiledModel.GpuOptions.Precision.FP32)
        }
    }

    /** A function of the file, and the names of its tensors. */
    private class Signature(val key: String, val inputs: List<String>, val outputs: List<String>)

    /** The model on a backend, and the buffers of one signature. */
    private class Loaded(
        private val environment: Environment,
        private val compiled: CompiledModel,
        val backend: Backend,
        val signature: Signature,
    ) {
        private val inputs = signature.inputs.associateWith { compiled.createInputBuffer(it, signature.key) }
        private val outputs = signature.outputs.associateWith { compiled.createOutputBuffer(it, signature.key) }

        fun run(values: List<FloatArray>): Map<String, TensorBuffer> {
            inputs.values.zip(values) { buffer, numbers -> buffer.writeFloat(numbers) }
            compiled.run(inputs, outputs, signature.key)
            return outputs
        }

        fun close() {
            (inputs.values + outputs.values).forEach { it.close() }
            compiled.close()
            environment.close()
        }
    }

    private fun <T> reporting(reason: Reason, action: () -> T): T = try {
        action()
    } catch (error: LiteRtException) {
        throw JobFailedException(reason, error)
    }

    private companion object {
        val LOCATE = Signature("locate", listOf("lr_thumb", "ref_thumb"), listOf("matches", "score"))
        val UPSCALE = Signature("upscale", listOf("lr_tile", "ref_window"), listOf("sr"))
        val UPSCALE_ALONE = Signature("upscale_alone", listOf("lr_tile"), listOf("sr"))
    }
}
