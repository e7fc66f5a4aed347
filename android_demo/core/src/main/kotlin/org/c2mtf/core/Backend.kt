package org.c2mtf.core

import kotlin.math.abs

/**
 * Mean difference, of values in [0, 1], from which on a tile of the GPU is wrong: a hundred times what rounding explains. A device was
 * seen that ran the model without any error and gathered other pixels than it was told to (docs/export.md).
 */
private const val MAX_DIFFERENCE = 1e-3

/** Where a model runs. */
enum class Backend {
    /** The processor. */
    CPU,

    /** The graphics processor, for the parts of the model that it can run; the processor for the others. */
    GPU,
}

/**
 * A model that starts on the GPU and goes on on the CPU from the first time that the GPU fails, at loading or at running. The first tile
 * with a reference and the first without one are computed on both; if they differ, the GPU has failed.
 *
 * @param open loads the model on a backend; what fails, then or later, is a [JobFailedException].
 */
class FallbackModel(private val open: (Backend) -> SrModel) : SrModel {
    private var model = open(Backend.GPU)
    private var comparesUpscale = true
    private var comparesAlone = true
    override val spec get() = model.spec
    override val backend get() = model.backend
    override val worksAlone get() = attempt { it.worksAlone }

    override fun locate(lrThumb: FloatArray, refThumb: FloatArray) = attempt { it.locate(lrThumb, refThumb) }

    override fun upscale(lrTile: FloatArray, refWindow: FloatArray): FloatArray {
        val result = compared(comparesUpscale) { it.upscale(lrTile, refWindow) }
        comparesUpscale = false
        return result
    }

    override fun upscaleAlone(lrTile: FloatArray): FloatArray {
        val result = compared(comparesAlone) { it.upscaleAlone(lrTile) }
        comparesAlone = false
        return result
    }

    override fun close() = model.close()

    private fun compared(compares: Boolean, action: (SrModel) -> FloatArray): FloatArray {
        val result = attempt(action)
        if (!compares || model.backend == Backend.CPU) return result
        val onCpu = open(Backend.CPU)
        val expected = try {
            action(onCpu)
        } catch (failure: JobFailedException) {
            onCpu.close()
            throw failure
        }
        // Written so that a result with values that are no numbers differs too.
        val difference = result.indices.sumOf { abs(result[it] - expected[it]).toDouble() } / result.size
        val agrees = difference <= MAX_DIFFERENCE
        if (agrees) {
            onCpu.close()
            return result
        }
        model.close()
        model = onCpu
        return expected
    }

    private fun <T> attempt(action: (SrModel) -> T): T = try {
        action(model)
    } catch (failure: JobFailedException) {
        if (model.backend == Backend.CPU) throw failure
        model.close()
        model = open(Backend.CPU)
        action(model)
    }
}
