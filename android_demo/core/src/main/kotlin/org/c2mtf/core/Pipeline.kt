package org.c2mtf.core

import java.util.concurrent.CancellationException

/** Least sides, in pixels, of an LR photo and of a reference: one patch. */
const val LEAST_LR = PATCH
const val LEAST_REF = PATCH * CELL

/**
 * Upscales photos with an exported model as `c2m-tf upscale --model FILE.tflite` does: small versions of the photos are matched, which
 * chooses a window of a reference for each tile; the model restores the tile from it. Without a reference, a model that works alone
 * restores each tile from itself.
 */
class Pipeline(private val model: SrModel) {
    /**
     * Upscales [lr] with the help of [references], which may be none if the model works alone.
     *
     * @param sink gets the number of a first row and whole rows of the result, in order.
     * @param progress gets tiles done, and tiles in all.
     * @param cancelled asked between tiles.
     * @throws CancellationException when [cancelled] says so.
     * @throws IllegalArgumentException if a photo is too small, or a reference is needed and missing; the message says which.
     */
    fun upscale(
        lr: Photo,
        references: List<Photo>,
        sink: (Int, IntArray) -> Unit,
        progress: (Int, Int) -> Unit = { _, _ -> },
        cancelled: () -> Boolean = { false },
    ) {
        check(lr, references)
        val spec = model.spec
        val coarse = if (references.isEmpty()) null else coarseMatches(lr, references, cancelled)
        val canvas = Canvas(lr.height, lr.width, spec.tile, sink)
        canvas.tiles.forEachIndexed { done, tile ->
            stopIf(cancelled)
            val lrTile = lr.crop(tile.y, tile.x, tile.height, tile.width).toTensor(spec.tile, mirrored = true)
            val sr = if (coarse == null) {
                model.upscaleAlone(lrTile)
            } else {
                val window = coarse.window(tile, spec.window)
                val seen = references[window.reference].crop(window.y, window.x, window.height, window.width)
                model.upscale(lrTile, seen.toTensor(spec.window))
            }
            canvas.add(tile, sr, SCALE * spec.tile)
            progress(done + 1, canvas.tiles.size)
        }
        canvas.finish()
    }

    private fun check(lr: Photo, references: List<Photo>) {
        require(references.isNotEmpty() || model.worksAlone) {
            "${model.spec.file} has no signature upscale_alone; give a reference, or export the model again"
        }
        require(minOf(lr.height, lr.width) >= LEAST_LR) {
            "the photo has ${lr.width}x${lr.height} pixels; at least ${LEAST_LR}x$LEAST_LR are needed"
        }
        for (reference in references) {
            require(minOf(reference.height, reference.width) >= LEAST_REF) {
                "the reference has ${reference.width}x${reference.height} pixels; at least ${LEAST_REF}x$LEAST_REF are needed"
            }
        }
    }

    private fun coarseMatches(lr: Photo, references: List<Photo>, cancelled: () -> Boolean): CoarseMatches {
        val spec = model.spec
        var factor = maxOf(1.0, maxOf(lr.height, lr.width).toDouble() / spec.lrThumb)
        for (reference in references) {
            factor = maxOf(factor, maxOf(reference.height, reference.width).toDouble() / spec.refThumb)
        }
        val smallLr = small(lr, factor, 1)
        val smallReferences = references.map { small(it, factor, CELL) }
        val height = smallLr.height - PATCH + 1
        val width = smallLr.width - PATCH + 1
        val number = IntArray(height * width)
        val match = IntArray(2 * height * width)
        val score = FloatArray(height * width) { -2f }
        val thumb = smallLr.toTensor(spec.lrThumb)
        val across = spec.lrThumb - PATCH + 1
        smallReferences.forEachIndexed { index, reference ->
            stopIf(cancelled)
            val located = model.locate(thumb, reference.toTensor(spec.refThumb))
            val lastY = reference.height / CELL - PATCH
            val lastX = reference.width / CELL - PATCH
            for (at in 0 until height * width) {
                val from = at / width * across + at % width
                val y = located.matches[2 * from]
                val x = located.matches[2 * from + 1]
                // What a small reference was extended by shows nothing.
                val fits = if (y <= lastY && x <= lastX) located.score[from] else -1f
                if (fits > score[at]) {
                    number[at] = index
                    score[at] = fits
                    match[2 * at] = minOf(y, lastY)
                    match[2 * at + 1] = minOf(x, lastX)
                }
            }
        }
        return CoarseMatches(size(lr), size(smallLr), references.map(::size), smallReferences.map(::size), number, match, score)
    }

    private fun small(photo: Photo, factor: Double, multiple: Int): Photo {
        fun side(length: Int) = maxOf(PATCH, Math.rint(length / factor / multiple).toInt()) * multiple
        return bicubic(photo, side(photo.height), side(photo.width))
    }

    private fun size(photo: Photo) = Size(photo.height, photo.width)

    private fun stopIf(cancelled: () -> Boolean) {
        if (cancelled()) throw CancellationException("cancelled")
    }
}
