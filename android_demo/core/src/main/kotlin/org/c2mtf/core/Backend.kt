package org.c2mtf.core

/** Where a model runs. */
enum class Backend {
    /** The processor. */
    CPU,

    /** The graphics processor, for the parts of the model that it can run; the processor for the others. */
    GPU,
}

/**
 * A model that starts on the GPU and goes on on the CPU from the first time that the GPU fails, at loading or at running.
 *
 * @param open loads the model on a backend; what fails, then or later, is a [JobFailedException].
 */
class FallbackModel(private val open: (Backend) -> SrModel) : SrModel {
    private var model = open(Backend.GPU)
    override val spec get() = model.spec
    override val backend get() = model.backend
    override val worksAlone get() = attempt { it.worksAlone }

    override fun locate(lrThumb: FloatArray, refThumb: FloatArray) = attempt { it.locate(lrThumb, refThumb) }

    override fun upscale(lrTile: FloatArray, refWindow: FloatArray) = attempt { it.upscale(lrTile, refWindow) }

    override fun upscaleAlone(lrTile: FloatArray) = attempt { it.upscaleAlone(lrTile) }

    override fun close() = model.close()

    private fun <T> attempt(action: (SrModel) -> T): T = try {
        action(model)
    } catch (failure: JobFailedException) {
        if (model.backend == Backend.CPU) throw failure
        model.close()
        model = open(Backend.CPU)
        action(model)
    }
}
