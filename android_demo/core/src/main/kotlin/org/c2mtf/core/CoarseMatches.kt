package org.c2mtf.core

import kotlin.math.floor

/** Pixels per side of the cells that matching works on, and cells per side of what is matched. */
const val CELL = 4
const val PATCH = 3

/** A window of a reference: which one, first pixel and size. */
data class Window(val reference: Int, val y: Int, val x: Int, val height: Int, val width: Int)

/** Sides of a photo in pixels. */
data class Size(val height: Int, val width: Int)

/**
 * Matches of small versions of an LR photo and its references, and what they say of the large ones: the same algorithm, number for
 * number, as c2m_tf/upscaling/tiles.py.
 *
 * @param lr size of the LR photo.
 * @param smallLr size of its small version.
 * @param references sizes of the references.
 * @param smallReferences sizes of their small versions.
 * @param number which reference fits best, for each 3x3 neighbourhood of the small LR photo.
 * @param match top-left cell (y, x) of the neighbourhood that fits best there.
 * @param score how well it fits.
 */
class CoarseMatches(
    lr: Size,
    smallLr: Size,
    private val references: List<Size>,
    smallReferences: List<Size>,
    private val number: IntArray,
    match: IntArray,
    score: FloatArray,
) {
    private val y = DoubleArray(score.size)
    private val x = DoubleArray(score.size)
    private val foundY = DoubleArray(score.size)
    private val foundX = DoubleArray(score.size)
    private val weight = FloatArray(score.size)
    private val cellY = references.zip(smallReferences) { large, small -> large.height / CELL.toDouble() / (small.height / CELL) }
    private val cellX = references.zip(smallReferences) { large, small -> large.width / CELL.toDouble() / (small.width / CELL) }
    private val reach: Double

    init {
        val rows = lr.height.toDouble() / smallLr.height
        val columns = lr.width.toDouble() / smallLr.width
        val across = smallLr.width - PATCH + 1
        for (at in score.indices) {
            y[at] = (at / across + 1.5) * rows
            x[at] = (at % across + 1.5) * columns
            foundY[at] = (match[2 * at] + 1.5) * cellY[number[at]]
            foundX[at] = (match[2 * at + 1] + 1.5) * cellX[number[at]]
            val positive = maxOf(score[at], 0f)
            weight[at] = positive * positive + 1e-6f
        }
        reach = maxOf(rows, columns)
    }

    /** The window of [size] pixels per side that most matches of a tile fall into; a smaller reference is taken whole. */
    fun window(tile: Tile, size: Int): Window {
        val inside = y.indices.filter {
            y[it] >= tile.y - reach && y[it] <= tile.y + tile.height + reach &&
                x[it] >= tile.x - reach && x[it] <= tile.x + tile.width + reach
        }
        var best: Densest? = null
        var chosen = 0
        for (reference in inside.map { number[it] }.distinct().sorted()) {
            val found = densest(inside.filter { number[it] == reference }, reference, size / CELL.toDouble())
            if (best == null || found.weight > best.weight) {
                best = found
                chosen = reference
            }
        }
        checkNotNull(best) { "no match lies near a tile" }
        val side = references[chosen]
        return Window(
            chosen,
            start(best.y, size, side.height),
            start(best.x, size, side.width),
            minOf(size, side.height),
            minOf(size, side.width),
        )
    }

    private class Densest(val y: Double, val x: Double, val weight: Double)

    /** Middle of the box of [size] cells per side that holds the most weight of these matches, and that weight. */
    private fun densest(members: List<Int>, reference: Int, size: Double): Densest {
        val squareY = maxOf(cellY[reference], 1.0)
        val squareX = maxOf(cellX[reference], 1.0)
        val placeY = members.map { floor(foundY[it] / squareY).toInt() }
        val placeX = members.map { floor(foundX[it] / squareX).toInt() }
        val firstY = placeY.min()
        val firstX = placeX.min()
        val rows = placeY.max() - firstY + 1
        val columns = placeX.max() - firstX + 1
        val counts = Array(rows) { DoubleArray(columns) }
        members.indices.forEach { counts[placeY[it] - firstY][placeX[it] - firstX] += weight[members[it]].toDouble() }
        val boxY = (size / squareY).toInt().coerceIn(1, rows)
        val boxX = (size / squareX).toInt().coerceIn(1, columns)
        val total = summed(counts)
        var best = Double.NEGATIVE_INFINITY
        var top = 0
        var left = 0
        for (row in 0..rows - boxY) {
            for (column in 0..columns - boxX) {
                val sum = total[row + boxY][column + boxX] - total[row][column + boxX] - total[row + boxY][column] + total[row][column]
                if (sum > best) {
                    best = sum
                    top = row
                    left = column
                }
            }
        }
        val kept = members.indices
            .filter { placeY[it] - firstY - top in 0 until boxY && placeX[it] - firstX - left in 0 until boxX }
            .map { members[it] }
        return Densest(
            (kept.minOf { foundY[it] } + kept.maxOf { foundY[it] }) / 2,
            (kept.minOf { foundX[it] } + kept.maxOf { foundX[it] }) / 2,
            best,
        )
    }

    /** Sums of all numbers above and left of each, with a first row and column of zeros. */
    private fun summed(counts: Array<DoubleArray>): Array<DoubleArray> {
        val total = Array(counts.size + 1) { DoubleArray(counts[0].size + 1) }
        for (row in counts.indices) {
            for (column in counts[0].indices) total[row + 1][column + 1] = total[row][column + 1] + counts[row][column]
        }
        for (row in 1..counts.size) {
            for (column in 1..counts[0].size) total[row][column] += total[row][column - 1]
        }
        return total
    }

    private fun start(middle: Double, size: Int, side: Int): Int {
        val first = Math.rint(middle).toInt() - size / CELL / 2
        val last = maxOf(0, (side - size) / CELL)
        return CELL * first.coerceIn(0, last)
    }
}
