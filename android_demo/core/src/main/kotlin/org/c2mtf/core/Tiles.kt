package org.c2mtf.core

const val SCALE = 4

/** LR pixels from a tile's edge inwards that do not count, and those after them in which its weight rises. */
private const val UNUSED = 6
private const val RAMP = 4

/** LR pixels by which neighbouring tiles overlap. */
const val OVERLAP = 2 * UNUSED + RAMP

/** A tile of an LR photo: first pixel and size. */
data class Tile(val y: Int, val x: Int, val height: Int, val width: Int)

/** Where tiles start along an axis of [length] pixels, and how much each counts at each of its result's pixels. */
class Axis(private val length: Int, private val tile: Int) {
    val starts: IntArray = if (length <= tile) intArrayOf(0) else {
        (0 until length - tile step tile - OVERLAP).toList().plus(length - tile).toIntArray()
    }
    val size: Int = minOf(length, tile)
    private val weights: Map<Int, FloatArray> = shares()

    /** Weights of the tile that starts at [start]; those of all tiles sum to one everywhere. */
    fun weights(start: Int): FloatArray = weights.getValue(start)

    private fun shares(): Map<Int, FloatArray> {
        val raw = starts.associateWith { start ->
            FloatArray(SCALE * size) { at ->
                var weight = 1f
                if (start > 0) weight = (weight * rise(at)).toFloat()
                if (start + size < length) weight = (weight * rise(SCALE * size - 1 - at)).toFloat()
                weight
            }
        }
        val total = FloatArray(SCALE * length)
        for (start in starts) {
            raw.getValue(start).forEachIndexed { at, weight -> total[SCALE * start + at] += weight }
        }
        return raw.mapValues { (start, values) -> FloatArray(values.size) { values[it] / total[SCALE * start + it] } }
    }

    private fun rise(at: Int): Double = (((at + 0.5) / SCALE - UNUSED) / RAMP).coerceIn(0.0, 1.0)
}

/**
 * Collects the results of tiles, which must come row by row, and hands on each row of pixels as soon as no further tile reaches it;
 * so only one band of the result is held as numbers.
 *
 * @param sink gets the number of the first row, and whole rows of pixels.
 */
class Canvas(height: Int, private val width: Int, tile: Int, private val sink: (Int, IntArray) -> Unit) {
    private val rows = Axis(height, tile)
    private val columns = Axis(width, tile)
    private var first = 0 // row of the result that the band starts with
    private val band = FloatArray(SCALE * rows.size * SCALE * width * CHANNELS)

    val tiles: List<Tile> = rows.starts.flatMap { y -> columns.starts.map { x -> Tile(y, x, rows.size, columns.size) } }

    /** Adds the result of a tile, [side, side, 3], of which the tile's own part counts. */
    fun add(tile: Tile, result: FloatArray, side: Int) {
        advance(SCALE * tile.y)
        val weightsY = rows.weights(tile.y)
        val weightsX = columns.weights(tile.x)
        for (y in weightsY.indices) {
            for (x in weightsX.indices) {
                val from = (y * side + x) * CHANNELS
                val to = (y * SCALE * width + SCALE * tile.x + x) * CHANNELS
                for (channel in 0 until CHANNELS) band[to + channel] += result[from + channel] * weightsY[y] * weightsX[x]
            }
        }
    }

    /** Hands on what is left, after the last tile. */
    fun finish() = advance(first + SCALE * rows.size)

    private fun advance(row: Int) {
        val count = row - first
        if (count == 0) return
        val length = SCALE * width * CHANNELS
        sink(first, IntArray(count * SCALE * width) { pixelOf(band[it * CHANNELS], band[it * CHANNELS + 1], band[it * CHANNELS + 2]) })
        band.copyInto(band, 0, count * length, band.size)
        band.fill(0f, band.size - count * length, band.size)
        first = row
    }
}
