package org.c2mtf.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class ModelSpecTest {
    private val text = """
        {"file": "c2m_light_int8.tflite", "variant": "light", "precision": "int8", "scale": 4,
         "tile": 64, "window": 384, "lr_thumb": 96, "ref_thumb": 384,
         "weights_sha256": "0a\"\\\u0031", "psnr_y": null}
    """

    @Test
    fun whatPythonWritesIsRead() {
        assertEquals(ModelSpec("c2m_light_int8.tflite", "light", "int8", 4, 64, 384, 96, 384), ModelSpec.parse(text))
    }

    @Test
    fun onlyFloatingPointSuitsTheGpu() {
        for ((precision, suits) in listOf("int8" to false, "float16" to true, "float32" to true)) {
            assertEquals(suits, ModelSpec.parse(text.replace("\"int8\"", "\"$precision\"")).suitsGpu)
        }
    }

    @Test
    fun damageIsToldInWords() {
        for (length in 0 until text.trim().length) assertThrows(IllegalArgumentException::class.java) { ModelSpec.parse(text.trim().take(length)) }
        assertThrows(IllegalArgumentException::class.java) { ModelSpec.parse("$text x") }
        assertThrows(IllegalArgumentException::class.java) { ModelSpec.parse("[]") }
        val missing = assertThrows(IllegalArgumentException::class.java) { ModelSpec.parse(text.replace("\"tile\"", "\"tiles\"")) }
        assertEquals("the model's description has no number \"tile\"; export the model again", missing.message)
    }

    @Test
    fun sizesThatDoNotFitTogetherAreRefused() {
        for ((name, value) in listOf("scale" to 2, "tile" to 16, "window" to 252, "lr_thumb" to 2, "ref_thumb" to 8)) {
            val wrong = text.replace(Regex("\"$name\": \\d+"), "\"$name\": $value")
            assertThrows(IllegalArgumentException::class.java) { ModelSpec.parse(wrong) }
        }
    }
}
