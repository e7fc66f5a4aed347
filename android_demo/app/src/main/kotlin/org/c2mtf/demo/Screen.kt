package org.c2mtf.demo

import android.app.Activity
import android.view.View
import android.view.WindowManager
import android.widget.Button
import android.widget.ImageView
import android.widget.ProgressBar
import android.widget.Switch
import android.widget.TextView
import org.c2mtf.core.Backend
import org.c2mtf.core.Phase
import org.c2mtf.core.Reason
import org.c2mtf.core.UiState

/** The parts of the layout, and how they show a state. Photos are shown by [PhotoViews]. */
class Screen(private val activity: Activity) {
    val lr = PhotoCard(activity, R.id.lr_card, R.id.lr_image, R.id.lr_text, R.id.lr_label)
    val reference = PhotoCard(activity, R.id.reference_card, R.id.reference_image, R.id.reference_text, R.id.reference_label)
    val removeReference: View = activity.findViewById(R.id.remove_reference)
    val gpu: Switch = activity.findViewById(R.id.gpu) as Switch
    val start: Button = activity.findViewById(R.id.start) as Button
    val cancel: Button = activity.findViewById(R.id.cancel) as Button
    val save: Button = activity.findViewById(R.id.save) as Button
    val hint: View = activity.findViewById(R.id.hint)
    val preview: ImageView = activity.findViewById(R.id.preview) as ImageView
    val compare: CompareView = activity.findViewById(R.id.compare) as CompareView
    private val gpuRow: View = activity.findViewById(R.id.gpu_row)
    private val status: TextView = activity.findViewById(R.id.status) as TextView
    private val progress: ProgressBar = activity.findViewById(R.id.progress) as ProgressBar
    private val stage: View = activity.findViewById(R.id.stage)

    init {
        stage.clipToOutline = true
        layOutEdgeToEdge(activity.findViewById(R.id.screen))
    }

    fun show(state: UiState) {
        val phase = state.phase
        lr.card.contentDescription = activity.getString(if (state.lr == null) R.string.choose_lr else R.string.lr_chosen)
        reference.card.contentDescription =
            activity.getString(if (state.reference == null) R.string.choose_reference else R.string.reference_chosen)
        removeReference.visibility = visible(state.canRemoveReference)
        gpuRow.visibility = visible(state.offersGpu)
        gpu.isEnabled = state.canChoose
        gpu.isChecked = state.backend == Backend.GPU
        start.isEnabled = state.canStart
        start.visibility = visible(!state.isBusy)
        // Of two buttons, the one that is likely to be wanted next stands out.
        start.setBackgroundResource(if (state.canSave) R.drawable.button_tonal else R.drawable.button_filled)
        start.setTextColor(activity.getColorStateList(if (state.canSave) R.color.on_button_tonal else R.color.on_button_filled))
        cancel.visibility = visible(state.isBusy)
        cancel.isEnabled = phase is Phase.Working
        save.visibility = visible(state.canSave)
        val reason = state.reason
        if (reason == null) tell(words(state)) else complain(reason)
        progress.visibility = visible(state.isBusy)
        val working = phase as? Phase.Working
        progress.isIndeterminate = working == null || working.total == 0
        progress.max = working?.total ?: 0
        progress.progress = working?.done ?: 0
        if (state.isBusy) {
            activity.window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        } else {
            activity.window.clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        }
    }

    /** Says what went wrong. */
    fun complain(reason: Reason) {
        tell(activity.getString(sentence(reason)))
        status.setTextColor(activity.getColor(R.color.error))
    }

    private fun tell(words: String) {
        status.text = words
        status.setTextColor(activity.getColor(R.color.on_surface_variant))
        status.visibility = visible(words.isNotEmpty())
    }

    private fun words(state: UiState): String = when (val phase = state.phase) {
        Phase.Choosing -> ""
        is Phase.Working -> when {
            phase.total > 0 -> activity.getString(R.string.working, phase.done, phase.total)
            else -> activity.getString(if (state.reference == null) R.string.starting else R.string.looking)
        }
        Phase.Stopping -> activity.getString(R.string.stopping)
        is Phase.Done -> {
            val ran = activity.getString(R.string.ran, backend(phase), phase.millis / 1000f)
            if (phase.saved) activity.getString(R.string.saved, ran) else ran
        }
    }

    private fun backend(done: Phase.Done): String = activity.getString(
        when {
            done.backend == Backend.GPU -> R.string.gpu
            done.wanted == Backend.GPU -> R.string.cpu_instead
            else -> R.string.cpu
        },
    )

    private fun sentence(reason: Reason): Int = when (reason) {
        Reason.NO_PHOTO -> R.string.no_photo
        Reason.TOO_SMALL -> R.string.too_small
        Reason.TOO_LARGE -> R.string.too_large
        Reason.OUT_OF_MEMORY -> R.string.out_of_memory
        Reason.NO_MODEL -> R.string.no_model
        Reason.MODEL_FAILED -> R.string.model_failed
        Reason.NEEDS_REFERENCE -> R.string.needs_reference
        Reason.NOT_SAVED -> R.string.not_saved
        Reason.GONE -> R.string.gone
    }

    private fun visible(shown: Boolean) = if (shown) View.VISIBLE else View.GONE

    /** Lets the window reach below the system's bars, and keeps [root]'s contents between them and beside notches. */
    @Suppress("DEPRECATION") // the ways of Android 11 are missing in Android 7 to 10; these work in all
    private fun layOutEdgeToEdge(root: View) {
        activity.window.decorView.systemUiVisibility = activity.window.decorView.systemUiVisibility or
            View.SYSTEM_UI_FLAG_LAYOUT_STABLE or View.SYSTEM_UI_FLAG_LAYOUT_FULLSCREEN or View.SYSTEM_UI_FLAG_LAYOUT_HIDE_NAVIGATION
        val edge = activity.resources.getDimensionPixelSize(R.dimen.edge)
        root.setOnApplyWindowInsetsListener { view, insets ->
            view.setPadding(
                edge + insets.systemWindowInsetLeft,
                insets.systemWindowInsetTop,
                edge + insets.systemWindowInsetRight,
                edge + insets.systemWindowInsetBottom,
            )
            insets
        }
    }
}

/** A card that shows a photo, or what it is for. */
class PhotoCard(activity: Activity, card: Int, image: Int, text: Int, label: Int) {
    val card: View = activity.findViewById(card)
    val image: ImageView = activity.findViewById(image) as ImageView
    private val text: View = activity.findViewById(text)
    private val label: View = activity.findViewById(label)

    init {
        this.card.clipToOutline = true
    }

    fun showsPhoto(shown: Boolean) {
        text.visibility = if (shown) View.GONE else View.VISIBLE
        label.visibility = if (shown) View.VISIBLE else View.GONE
    }
}
