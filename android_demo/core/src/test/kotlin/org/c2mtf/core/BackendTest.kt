package org.c2mtf.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Test

/** Answers with its tile and an [error] until [failing] says otherwise. */
private class Failing(override val backend: Backend, private val error: Float, private val failing: () -> Boolean) : SrModel {
    override val spec = ModelSpec("file", "light", "float32", 4, 20, 80, 12, 48)
    override val worksAlone get() = answer(true)
    var closed = 0

    override fun locate(lrThumb: FloatArray, refThumb: FloatArray) = answer(Located(IntArray(0), FloatArray(0)))
    override fun upscale(lrTile: FloatArray, refWindow: FloatArray) = upscaleAlone(lrTile)
    override fun upscaleAlone(lrTile: FloatArray) = answer(FloatArray(lrTile.size) { lrTile[it] + error })
    override fun close() {
        closed++
    }

    private fun <T> answer(value: T): T = if (failing()) throw JobFailedException(Reason.MODEL_FAILED) else value
}

class BackendTest {
    private val opened = mutableListOf<Failing>()
    private val tile = floatArrayOf(0.5f)

    private fun model(gpuError: Float = 0f, failing: (Backend) -> Boolean = { false }) = FallbackModel { backend ->
        Failing(backend, if (backend == Backend.GPU) gpuError else 0f) { failing(backend) }.also { opened.add(it) }
    }

    @Test
    fun whatTheGpuCanDoStaysThere() {
        val model = model(gpuError = 1e-5f)
        repeat(3) { assertArrayEquals(tile, model.upscaleAlone(tile), 1e-4f) }
        assertEquals(Backend.GPU, model.backend)
        model.close()
        // One for the work, and one that the first tile was compared with.
        assertEquals(listOf(Backend.GPU, Backend.CPU), opened.map { it.backend })
        assertEquals(listOf(1, 1), opened.map { it.closed })
    }

    @Test
    fun aGpuThatGivesOtherTilesIsNotBelieved() {
        for (error in listOf(0.01f, Float.NaN)) {
            opened.clear()
            val model = model(gpuError = error)
            repeat(2) { assertArrayEquals(tile, model.upscale(tile, tile), 0f) }
            assertEquals(Backend.CPU, model.backend)
            model.close()
            assertEquals(listOf(1, 1), opened.map { it.closed })
        }
    }

    @Test
    fun theCallThatFailsOnTheGpuAndAllAfterItRunOnTheCpu() {
        var calls = 0
        val model = model { it == Backend.GPU && ++calls > 2 }
        val backends = List(4) {
            assertArrayEquals(tile, model.upscale(tile, tile), 0f)
            model.backend
        }
        assertEquals(listOf(Backend.GPU, Backend.GPU, Backend.CPU, Backend.CPU), backends)
        model.close()
        assertEquals(listOf(1, 1, 1), opened.map { it.closed })
    }

    @Test
    fun aModelThatCannotBeLoadedOnTheGpuIsLoadedOnTheCpu() {
        assertEquals(true, model { it == Backend.GPU }.worksAlone)
        assertEquals(listOf(Backend.GPU, Backend.CPU), opened.map { it.backend })
    }

    @Test
    fun whatFailsOnTheCpuTooIsAFailure() {
        val model = model { true }
        val failure = assertThrows(JobFailedException::class.java) { model.upscale(tile, tile) }
        assertEquals(Reason.MODEL_FAILED, failure.reason)
        assertThrows(JobFailedException::class.java) { model.locate(tile, tile) }
        assertEquals(2, opened.size)
        assertFalse(opened.last().closed > 0)
    }
}
