package org.c2mtf.core

/**
 * A photo of [height] rows and [width] columns.
 *
 * @property pixels one 0xAARRGGBB number for each pixel, row by row; alpha is ignored.
 */
class Photo(val width: Int, val height: Int, val pixels: IntArray) {
    init {
        require(width > 0 && height > 0) { "a photo has at least one pixel; this one has ${width}x$height" }
        require(pixels.size == width * height) { "${width}x$height pixels are expected, got ${pixels.size}" }
    }

    /** The part that starts at ([y], [x]). */
    fun crop(y: Int, x: Int, height: Int, width: Int): Photo {
        val part = IntArray(height * width)
        for (row in 0 until height) pixels.copyInto(part, row * width, (y + row) * this.width + x, (y + row) * this.width + x + width)
        return Photo(width, height, part)
    }

    /**
     * Red, green and blue in [0, 1] as a model takes them: [side, side, 3]. Where the photo ends, its last row and column are
     * repeated; or, [mirrored], its mirror image follows, as often as there is room.
     */
    fun toTensor(side: Int, mirrored: Boolean = false): FloatArray {
        val tensor = FloatArray(side * side * CHANNELS)
        for (y in 0 until side) {
            val row = inside(y, height, mirrored) * width
            for (x in 0 until side) {
                val pixel = pixels[row + inside(x, width, mirrored)]
                val at = (y * side + x) * CHANNELS
                tensor[at] = (pixel shr 16 and 0xFF) / 255f
                tensor[at + 1] = (pixel shr 8 and 0xFF) / 255f
                tensor[at + 2] = (pixel and 0xFF) / 255f
            }
        }
        return tensor
    }
}

private fun inside(at: Int, length: Int, mirrored: Boolean): Int {
    if (!mirrored) return minOf(at, length - 1)
    val turn = at % (2 * length)
    return minOf(turn, 2 * length - 1 - turn)
}

const val CHANNELS = 3

/** The opaque pixel of three channels in [0, 1]: clipped, scaled and rounded, halves to the even number, as NumPy's rint does. */
fun pixelOf(red: Float, green: Float, blue: Float): Int =
    (0xFF shl 24) or (byteOf(red) shl 16) or (byteOf(green) shl 8) or byteOf(blue)

private fun byteOf(value: Float): Int = Math.rint((value.coerceIn(0f, 1f) * 255f).toDouble()).toInt()
