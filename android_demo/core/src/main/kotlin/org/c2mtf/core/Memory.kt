package org.c2mtf.core

/** Bytes of a pixel as a number 0xAARRGGBB. */
private const val PIXEL_BYTES = 4L
private const val FLOAT_BYTES = 4L

/** What the runtime needs beside the photos for all signatures of an int8 model with tiles of 64, a little above what was measured. */
private const val RUNTIME_BYTES = 400L * 1024 * 1024

/** What a float model needs more. */
private const val FLOAT_RUNTIME_BYTES = 600L * 1024 * 1024

/**
 * Bytes that upscaling needs at its peak: the photos, the result, one band of it as numbers, and the runtime. [spec] says how large
 * tiles are, and whether the model is int8.
 */
fun memoryNeeded(lr: Size, references: List<Size>, spec: ModelSpec): Long {
    val lrPixels = lr.height.toLong() * lr.width
    val referencePixels = references.sumOf { it.height.toLong() * it.width }
    val bandPixels = SCALE.toLong() * minOf(spec.tile, lr.height) * SCALE * lr.width
    val runtimeBytes = RUNTIME_BYTES + if (spec.precision == "int8") 0 else FLOAT_RUNTIME_BYTES
    return runtimeBytes + PIXEL_BYTES * (lrPixels + referencePixels + SCALE * SCALE * lrPixels) +
        (CHANNELS * FLOAT_BYTES + PIXEL_BYTES) * bandPixels
}
