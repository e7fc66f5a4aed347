package org.c2mtf.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Test

/** The same numbers as Python, to the last bit. */
class GoldenTest {
    @Test
    fun bicubicIsPillows() {
        val lines = golden("bicubic").iterator()
        var photo: Photo? = null
        var compared = 0
        for (line in lines) {
            val size = line.size()
            val pixels = line.ints()
            if (line.name == "photo") {
                photo = photo(size, pixels)
            } else {
                assertArrayEquals(photo(size, pixels).pixels, bicubic(photo!!, size.height, size.width).pixels)
                compared++
            }
        }
        assertEquals(5, compared)
    }

    @Test
    fun windowsAreThoseOfPython() {
        var compared = 0
        var sizes = listOf<Size>()
        var small = listOf<Size>()
        var number = IntArray(0)
        var match = IntArray(0)
        var coarse: CoarseMatches? = null
        for (line in golden("windows")) {
            when (line.name) {
                "sizes" -> sizes = line.sizes()
                "small" -> small = line.sizes()
                "number" -> number = line.ints()
                "match" -> match = line.ints()
                "score" -> coarse =
                    CoarseMatches(sizes[0], small[0], sizes.drop(1), small.drop(1), number, match, line.floats())
                "window" -> {
                    val tile = Tile(line.next(), line.next(), line.next(), line.next())
                    val actual = coarse!!.window(tile, line.next())
                    assertEquals(Window(line.next(), line.next(), line.next(), line.next(), line.next()), actual)
                    compared++
                }
            }
        }
        assert(compared > 50)
    }

    @Test
    fun tilesJoinAsInPython() {
        var pixels = IntArray(0)
        var width = 0
        var side = 0
        var canvas: Canvas? = null
        var tiles = listOf<Tile>()
        var compared = 0
        for (line in golden("canvas")) {
            when (line.name) {
                "canvas" -> {
                    val height = line.next()
                    width = line.next()
                    val tile = line.next()
                    side = SCALE * tile
                    pixels = IntArray(SCALE * height * SCALE * width)
                    val rowWidth = SCALE * width
                    val target = pixels
                    canvas = Canvas(height, width, tile) { first, rows -> rows.copyInto(target, first * rowWidth) }
                    tiles = canvas.tiles
                }
                "tile" -> {
                    val tile = Tile(line.next(), line.next(), line.next(), line.next())
                    assertEquals(tiles.first(), tile)
                    tiles = tiles.drop(1)
                    canvas!!.add(tile, pattern(line.next(), side), side)
                }
                "sum" -> {
                    canvas!!.finish()
                    assertEquals(0, tiles.size)
                    assertEquals(line.next(), checksum(pixels))
                    compared++
                }
            }
        }
        assertEquals(3, compared)
    }

    @Test
    fun pixelsAreRoundedAsInPython() {
        val (values, bytes) = golden("pixels").map { if (it.name == "value") it.floats() else it.ints() }
        values as FloatArray
        bytes as IntArray
        assert(values.size > 300)
        for (at in values.indices) {
            val gray = bytes[at]
            assertEquals(OPAQUE or (gray shl 16) or (gray shl 8) or gray, pixelOf(values[at], values[at], values[at]))
        }
    }

    @Test
    fun photosAreMirroredAsInPython() {
        val lines = golden("mirrored").iterator()
        var compared = 0
        while (lines.hasNext()) {
            val small = lines.next().let { photo(it.size(), it.ints()) }
            val line = lines.next()
            val size = line.size()
            val found = small.toTensor(size.width, mirrored = true)
            val pixels = IntArray(size.width * size.height) { pixelOf(found[3 * it], found[3 * it + 1], found[3 * it + 2]) }
            assertArrayEquals(photo(size, line.ints()).pixels, pixels)
            compared++
        }
        assertEquals(3, compared)
    }

    private fun pattern(seed: Int, side: Int) =
        FloatArray(side * side * CHANNELS) { ((it.toLong() * 7919 + seed * 104729L) % 1201 - 100).toFloat() / 1000f }

    private fun checksum(pixels: IntArray): Int {
        var total = 0L
        for (pixel in pixels) total = (total * 31 + (pixel and 0xFFFFFF)) % 2147483629
        return total.toInt()
    }
}
