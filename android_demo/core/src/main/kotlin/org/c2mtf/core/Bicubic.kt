package org.c2mtf.core

import kotlin.math.abs

/**
 * Pillow's bicubic resize of 8-bit photos, bit for bit: antialiased when shrinking, weights as integers of 22 bits, first along x,
 * then along y, with 8 bits in between.
 *
 * [photo] becomes [height] rows of [width] columns.
 */
fun bicubic(photo: Photo, height: Int, width: Int): Photo {
    val narrow = if (width == photo.width) photo else resizeRows(photo, width)
    return if (height == photo.height) narrow else resizeColumns(narrow, height)
}

private const val SUPPORT = 2.0
private const val BITS = 22

/** For each output pixel the first input pixel that counts, and the weights from there on. */
private class Weights(inputs: Int, outputs: Int) {
    val first = IntArray(outputs)
    val of: Array<IntArray>

    init {
        val scale = inputs.toDouble() / outputs
        val stretch = maxOf(scale, 1.0)
        val support = SUPPORT * stretch
        of = Array(outputs) { output ->
            val middle = (output + 0.5) * scale
            val start = maxOf((middle - support + 0.5).toInt(), 0)
            val count = minOf((middle + support + 0.5).toInt(), inputs) - start
            first[output] = start
            val inverse = 1.0 / stretch
            val weights = DoubleArray(count) { kernel((it + start - middle + 0.5) * inverse) }
            var sum = 0.0
            for (weight in weights) sum += weight
            IntArray(count) {
                val share = (if (sum == 0.0) weights[it] else weights[it] / sum) * (1 shl BITS)
                (if (share < 0) share - 0.5 else share + 0.5).toInt()
            }
        }
    }

    private fun kernel(at: Double): Double {
        val a = -0.5
        val x = abs(at)
        return when {
            x < 1.0 -> ((a + 2.0) * x - (a + 3.0)) * x * x + 1
            x < 2.0 -> (((x - 5) * x + 8) * x - 4) * a
            else -> 0.0
        }
    }
}

private fun resizeRows(photo: Photo, width: Int): Photo {
    val weights = Weights(photo.width, width)
    val pixels = IntArray(photo.height * width)
    for (y in 0 until photo.height) {
        for (x in 0 until width) pixels[y * width + x] = mixed(photo.pixels, y * photo.width + weights.first[x], 1, weights.of[x])
    }
    return Photo(width, photo.height, pixels)
}

private fun resizeColumns(photo: Photo, height: Int): Photo {
    val weights = Weights(photo.height, height)
    val pixels = IntArray(height * photo.width)
    for (y in 0 until height) {
        val start = weights.first[y] * photo.width
        for (x in 0 until photo.width) pixels[y * photo.width + x] = mixed(photo.pixels, start + x, photo.width, weights.of[y])
    }
    return Photo(photo.width, height, pixels)
}

/** The sum of pixels from [start] on, [step] apart, each times its weight. */
private fun mixed(pixels: IntArray, start: Int, step: Int, weights: IntArray): Int {
    val half = 1 shl (BITS - 1)
    var red = half
    var green = half
    var blue = half
    var at = start
    for (weight in weights) {
        val pixel = pixels[at]
        red += (pixel shr 16 and 0xFF) * weight
        green += (pixel shr 8 and 0xFF) * weight
        blue += (pixel and 0xFF) * weight
        at += step
    }
    return (0xFF shl 24) or (byteOf(red) shl 16) or (byteOf(green) shl 8) or byteOf(blue)
}

private fun byteOf(sum: Int): Int = (sum shr BITS).coerceIn(0, 255)
