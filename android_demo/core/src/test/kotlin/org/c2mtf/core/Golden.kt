package org.c2mtf.core

/** One line of a file that ci/golden_vectors.py wrote. */
class Line(val name: String, private val numbers: IntArray) {
    private var at = 0

    val rest: Int get() = numbers.size - at

    fun next(): Int = numbers[at++]

    fun ints(count: Int = rest): IntArray = IntArray(count) { next() }

    fun floats(): FloatArray = FloatArray(rest) { Float.fromBits(next()) }

    fun size() = Size(next(), next())

    fun sizes(): List<Size> = List(rest / 2) { size() }
}

/** The lines of golden/[name].txt. */
fun golden(name: String): List<Line> {
    val stream = checkNotNull(Line::class.java.getResourceAsStream("/golden/$name.txt")) { "golden/$name.txt is missing" }
    return stream.bufferedReader().useLines { lines ->
        lines.map { line ->
            val words = line.split(' ')
            Line(words[0], IntArray(words.size - 1) { words[it + 1].toInt() })
        }.toList()
    }
}

const val OPAQUE = 0xFF shl 24

fun photo(size: Size, rgb: IntArray) = Photo(size.width, size.height, IntArray(rgb.size) { OPAQUE or rgb[it] })
