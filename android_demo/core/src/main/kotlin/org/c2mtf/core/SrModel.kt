package org.c2mtf.core

/** Which reference cell shows what each LR cell shows: the cells (y, x), one pair after the other, and a score in [-1, 1] for each. */
class Located(val matches: IntArray, val score: FloatArray)

/** An exported model. All tensors are [height, width, 3] in [0, 1], row by row; sizes are those of [spec]. */
interface SrModel : AutoCloseable {
    val spec: ModelSpec

    /** Where it runs. */
    val backend: Backend

    /** Whether the model has [upscaleAlone]; files that were exported before it existed need a reference. */
    val worksAlone: Boolean

    /** Matches the 3x3 neighbourhoods of a small LR photo with those of a small reference. */
    fun locate(lrThumb: FloatArray, refThumb: FloatArray): Located

    /** Upscales a tile with the help of a window of the reference. */
    fun upscale(lrTile: FloatArray, refWindow: FloatArray): FloatArray

    /** Upscales a tile without a reference; only if [worksAlone]. */
    fun upscaleAlone(lrTile: FloatArray): FloatArray
}
