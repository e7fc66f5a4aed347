package org.c2mtf.demo

import android.graphics.Bitmap
import android.net.Uri
import android.os.Handler
import android.view.View
import java.io.File
import java.util.concurrent.Executor
import org.c2mtf.core.JobFailedException
import org.c2mtf.core.Phase
import org.c2mtf.core.UiState

/** Shows the photos of a state, which are read on [loading]. */
class PhotoViews(
    private val screen: Screen,
    private val photos: PhotoReader,
    private val loading: Executor,
    private val foreground: Handler,
) {
    private var lr: String? = null
    private var reference: String? = null
    private var result: String? = null
    private var closed = false

    fun show(state: UiState) {
        if (state.lr != lr) {
            lr = state.lr
            load(lr, screen.lr) { screen.preview.setImageBitmap(it) }
        }
        if (state.reference != reference) {
            reference = state.reference
            load(reference, screen.reference) {}
        }
        val next = (state.phase as? Phase.Done)?.result
        screen.hint.visibility = if (state.lr == null) View.VISIBLE else View.INVISIBLE
        screen.preview.visibility = if (next == null) View.VISIBLE else View.INVISIBLE
        screen.compare.visibility = if (next == null) View.INVISIBLE else View.VISIBLE
        if (next != result) {
            result = next
            val before = state.lr
            if (next != null && before != null) compare(before, next)
        }
    }

    /** Photos that are still being read are not shown any more. */
    fun close() {
        closed = true
    }

    private fun load(address: String?, card: PhotoCard, show: (Bitmap?) -> Unit) {
        card.image.tag = address
        if (address == null) {
            card.image.setImageDrawable(null)
            card.showsPhoto(false)
            show(null)
            return
        }
        preview(address, CARD_SIDE) { bitmap ->
            // The photo may have been removed in the meantime.
            if (card.image.tag == address) {
                card.image.setImageBitmap(bitmap)
                card.showsPhoto(true)
                show(bitmap)
            }
        }
    }

    private fun compare(before: String, after: String) {
        preview(before, RESULT_SIDE) { first ->
            preview(Uri.fromFile(File(after)).toString(), RESULT_SIDE) { second -> screen.compare.show(first, second) }
        }
    }

    private fun preview(address: String, side: Int, use: (Bitmap) -> Unit) = loading.execute {
        try {
            val bitmap = photos.preview(address, side)
            foreground.post { if (!closed) use(bitmap) }
        } catch (failure: JobFailedException) {
            foreground.post { if (!closed) screen.complain(failure.reason) }
        }
    }

    private companion object {
        const val CARD_SIDE = 512
        const val RESULT_SIDE = 2048
    }
}
