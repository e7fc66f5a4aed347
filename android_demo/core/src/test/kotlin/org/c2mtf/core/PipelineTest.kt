package org.c2mtf.core

import java.util.concurrent.CancellationException
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

/** Enlarges by repeating pixels, and finds everything in the middle of the reference. */
private class Repeating(override val worksAlone: Boolean = false) : SrModel {
    override val spec = ModelSpec("file", "light", "float32", 4, 20, 80, 12, 48)
    override val backend = Backend.CPU
    val windows = mutableListOf<FloatArray>()

    var located = 0

    override fun locate(lrThumb: FloatArray, refThumb: FloatArray): Located {
        located++
        val count = (spec.lrThumb - 2) * (spec.lrThumb - 2)
        return Located(IntArray(2 * count) { 4 }, FloatArray(count) { 1f })
    }

    override fun upscale(lrTile: FloatArray, refWindow: FloatArray): FloatArray {
        windows.add(refWindow)
        return repeated(lrTile)
    }

    override fun upscaleAlone(lrTile: FloatArray): FloatArray {
        check(worksAlone)
        return repeated(lrTile)
    }

    private fun repeated(lrTile: FloatArray): FloatArray {
        val side = 4 * spec.tile
        return FloatArray(side * side * 3) {
            val pixel = it / 3
            lrTile[((pixel / side / 4) * spec.tile + pixel % side / 4) * 3 + it % 3]
        }
    }

    override fun close() = Unit
}

private fun noise(height: Int, width: Int, seed: Int): Photo {
    val random = java.util.Random(seed.toLong())
    return Photo(width, height, IntArray(height * width) { OPAQUE or random.nextInt(1 shl 24) })
}

private fun enlarged(lr: Photo) =
    IntArray(16 * lr.pixels.size) { lr.pixels[it / (4 * lr.width) / 4 * lr.width + it % (4 * lr.width) / 4] }

class PipelineTest {
    private val model = Repeating()
    private val alone = Repeating(worksAlone = true)
    private val sizes = listOf(3 to 3, 5 to 40, 20 to 20, 33 to 47)

    private fun upscaled(
        lr: Photo,
        references: List<Photo>,
        reported: MutableList<String> = mutableListOf(),
        model: SrModel = this.model,
    ): IntArray {
        val pixels = IntArray(16 * lr.pixels.size)
        var next = 0
        val sink = { first: Int, rows: IntArray ->
            assertEquals(next, first)
            next += rows.size / (4 * lr.width)
            rows.copyInto(pixels, first * 4 * lr.width)
            Unit
        }
        Pipeline(model).upscale(lr, references, sink, { done, total -> reported.add("$done/$total") })
        assertEquals(4 * lr.height, next)
        return pixels
    }

    @Test
    fun tilesJoinToTheWholeWithoutSeams() {
        for ((height, width) in sizes) {
            val lr = noise(height, width, height)
            assertArrayEquals(enlarged(lr), upscaled(lr, listOf(noise(100, 90, 1))))
        }
    }

    @Test
    fun withoutAReferenceTilesJoinTooAndNothingIsMatched() {
        for ((height, width) in sizes) {
            val lr = noise(height, width, height)
            val reported = mutableListOf<String>()
            assertArrayEquals(enlarged(lr), upscaled(lr, listOf(), reported, alone))
            assertEquals("${reported.size}/${reported.size}", reported.last())
        }
        assertEquals(0, alone.located)
        assertEquals(0, alone.windows.size)
    }

    @Test
    fun aModelThatWorksAloneUsesTheReferenceThatItIsGiven() {
        val lr = noise(33, 47, 1)
        assertArrayEquals(enlarged(lr), upscaled(lr, listOf(noise(100, 90, 1)), model = alone))
        assertEquals(1, alone.located)
        assertTrue(alone.windows.isNotEmpty())
    }

    @Test
    fun windowsLieInsideTheReferenceAndProgressCountsTiles() {
        val reported = mutableListOf<String>()
        val reference = noise(200, 400, 2)
        upscaled(noise(24, 40, 3), listOf(reference), reported)
        assertEquals(model.windows.size, reported.size)
        assertEquals("${reported.size}/${reported.size}", reported.last())
        val whole = reference.pixels.toSet()
        val corner = model.windows.first().take(3).map { (it * 255f).toInt() }
        assertTrue((OPAQUE or (corner[0] shl 16) or (corner[1] shl 8) or corner[2]) in whole)
    }

    @Test
    fun aReferenceThatIsSmallerThanTheWindowIsExtended() {
        assertEquals(16 * 30 * 22, upscaled(noise(30, 22, 4), listOf(noise(12, 13, 5))).size)
    }

    @Test
    fun cancellingStopsBeforeTheNextTile() {
        var asked = 0
        assertThrows(CancellationException::class.java) {
            Pipeline(model).upscale(noise(60, 60, 6), listOf(noise(90, 90, 7)), { _, _ -> }, cancelled = { ++asked > 3 })
        }
        assertEquals(2, model.windows.size)
        var rows = 0
        assertThrows(CancellationException::class.java) {
            Pipeline(alone).upscale(noise(60, 60, 6), listOf(), { _, _ -> rows++ }, cancelled = { true })
        }
        assertEquals(0, rows)
    }

    @Test
    fun photosThatAreTooSmallOrMissingAreRefusedInWords() {
        val good = noise(20, 20, 8)
        fun refusal(lr: Photo, references: List<Photo>) =
            assertThrows(IllegalArgumentException::class.java) { upscaled(lr, references) }.message
        assertEquals("file has no signature upscale_alone; give a reference, or export the model again", refusal(good, listOf()))
        assertEquals("the photo has 9x2 pixels; at least 3x3 are needed", refusal(noise(2, 9, 9), listOf(good)))
        assertEquals("the reference has 11x20 pixels; at least 12x12 are needed", refusal(good, listOf(noise(20, 11, 9))))
    }

    @Test
    fun memoryGrowsWithPhotosAndFloats() {
        val reference = Size(3000, 4000)
        val small = memoryNeeded(Size(100, 100), listOf(reference), model.spec)
        val large = memoryNeeded(Size(1000, 1000), listOf(reference), model.spec)
        assertTrue(large - small > 16L * 4 * 990_000)
        assertEquals(4L * 3000 * 4000, small - memoryNeeded(Size(100, 100), listOf(), model.spec))
        assertTrue(small > memoryNeeded(Size(100, 100), listOf(reference), model.spec.copy(precision = "int8")))
    }
}
