package org.c2mtf.core

/**
 * What the .json beside an exported model says.
 *
 * @property file name of the model's file.
 * @property precision "float32", "float16" or "int8".
 * @property scale pixels of the result in an LR pixel, along each axis.
 * @property tile side of a tile, in LR pixels.
 * @property window side of a window, in reference pixels.
 * @property lrThumb side of the small LR photo that matches are looked for with.
 * @property refThumb side of the small reference.
 */
data class ModelSpec(
    val file: String,
    val variant: String,
    val precision: String,
    val scale: Int,
    val tile: Int,
    val window: Int,
    val lrThumb: Int,
    val refThumb: Int,
) {
    init {
        require(scale == SCALE) { "the model enlarges $scale times; this app is made for $SCALE" }
        require(tile > OVERLAP) { "the model's tiles have $tile pixels; neighbours overlap by $OVERLAP, so more are needed" }
        require(window >= scale * tile) { "the model's windows have $window pixels; a tile covers ${scale * tile}" }
        require(lrThumb >= PATCH && refThumb >= PATCH * CELL) { "the model's small photos have $lrThumb and $refThumb pixels; too few" }
    }

    /** Whether trying the GPU makes sense: int8 networks are made for the CPU, and GPUs compute them wrongly or not at all. */
    val suitsGpu: Boolean get() = precision != "int8"

    companion object {
        /**
         * Reads the text of a .json file.
         *
         * @throws IllegalArgumentException if it is no such file; the message says what is wrong.
         */
        fun parse(text: String): ModelSpec {
            val fields = FlatJson(text).read()
            fun word(name: String) =
                requireNotNull(fields[name] as? String) { "the model's description has no text \"$name\"; export the model again" }
            fun number(name: String) =
                requireNotNull(fields[name] as? Double) { "the model's description has no number \"$name\"; export the model again" }
                    .toInt()
            return ModelSpec(
                word("file"),
                word("variant"),
                word("precision"),
                number("scale"),
                number("tile"),
                number("window"),
                number("lr_thumb"),
                number("ref_thumb"),
            )
        }
    }
}

/** One JSON object of texts, numbers, true, false and null, without objects or arrays inside. */
private class FlatJson(private val text: String) {
    private var at = 0

    fun read(): Map<String, Any?> {
        val fields = mutableMapOf<String, Any?>()
        expect('{')
        if (peek() == '}') {
            at++
        } else {
            do {
                val name = word()
                expect(':')
                fields[name] = value()
                val next = peek()
                at++
                if (next != ',' && next != '}') fail()
            } while (next == ',')
        }
        skipSpace()
        if (at != text.length) fail()
        return fields
    }

    private fun value(): Any? {
        if (peek() == '"') return word()
        val start = at
        while (at < text.length && text[at] !in ",}" && !text[at].isWhitespace()) at++
        return when (val literal = text.substring(start, at)) {
            "null" -> null
            "true" -> true
            "false" -> false
            else -> literal.toDoubleOrNull() ?: fail()
        }
    }

    private fun word(): String {
        expect('"')
        val word = StringBuilder()
        while (at < text.length && text[at] != '"') {
            var letter = text[at++]
            if (letter == '\\') {
                if (at == text.length) fail()
                letter = when (val escaped = text[at++]) {
                    'n' -> '\n'
                    't' -> '\t'
                    'u' -> unicode()
                    '"', '\\', '/' -> escaped
                    else -> fail()
                }
            }
            word.append(letter)
        }
        expect('"')
        return word.toString()
    }

    private fun unicode(): Char {
        val code = if (at + 4 <= text.length) text.substring(at, at + 4).toIntOrNull(16) else null
        at += 4
        return (code ?: fail()).toChar()
    }

    private fun expect(letter: Char) {
        if (peek() != letter) fail()
        at++
    }

    private fun peek(): Char {
        skipSpace()
        return if (at < text.length) text[at] else fail()
    }

    private fun skipSpace() {
        while (at < text.length && text[at].isWhitespace()) at++
    }

    private fun fail(): Nothing = throw IllegalArgumentException("the model's description is damaged at character $at; export the model again")
}
