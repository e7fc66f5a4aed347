package org.c2mtf.demo

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.view.View
import android.view.WindowManager
import android.widget.Button
import android.widget.ImageView
import android.widget.ProgressBar
import android.widget.TextView
import java.io.File
import java.util.concurrent.Executor
import java.util.concurrent.Executors
import org.c2mtf.core.Event
import org.c2mtf.core.JobFailedException
import org.c2mtf.core.Phase
import org.c2mtf.core.Presenter
import org.c2mtf.core.Reason
import org.c2mtf.core.UiState

/** What outlives a turn of the screen. */
private class Kept(val presenter: Presenter, val work: PhoneWork, val photos: PhotoReader, val loading: Executor)

/** The only screen: shows the presenter's state, and reports what the user does. */
class MainActivity : Activity() {
    private lateinit var kept: Kept
    private val views by lazy { Views(this) }
    private val foreground = Handler(Looper.getMainLooper())
    private var shownLr: String? = null
    private var shownReference: String? = null
    private var shownResult: String? = null

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.activity_main)
        @Suppress("DEPRECATION") // androidx, which has the newer way, is not used
        kept = lastNonConfigurationInstance as? Kept ?: started(saved)
        val presenter = kept.presenter
        views.lrCard.setOnClickListener { if (presenter.state.canChoose) choose(CHOOSE_LR) }
        views.referenceCard.setOnClickListener { if (presenter.state.canChoose) choose(CHOOSE_REFERENCE) }
        views.removeReference.setOnClickListener { presenter.on(Event.ReferenceRemoved) }
        views.start.setOnClickListener { presenter.on(Event.StartPressed) }
        views.cancel.setOnClickListener { presenter.on(Event.CancelPressed) }
        views.save.setOnClickListener { save() }
        presenter.listener = ::show
    }

    private fun started(saved: Bundle?): Kept {
        val work = PhoneWork(applicationContext)
        val state = saved?.let(::stateOf) ?: UiState()
        val presenter = Presenter(work, Executors.newSingleThreadExecutor(), { foreground.post(it) }, state)
        val result = (state.phase as? Phase.Done)?.result
        if (saved != null) presenter.on(Event.Restored(resultExists = result != null && File(result).exists()))
        return Kept(presenter, work, PhotoReader(applicationContext.contentResolver), Executors.newSingleThreadExecutor())
    }

    @Deprecated("androidx, which has the newer way, is not used")
    override fun onRetainNonConfigurationInstance(): Any = kept

    override fun onSaveInstanceState(out: Bundle) {
        super.onSaveInstanceState(out)
        val state = kept.presenter.state
        val done = state.phase as? Phase.Done
        out.putString("lr", state.lr)
        out.putString("reference", state.reference)
        out.putBoolean("busy", state.isBusy)
        out.putString("result", done?.result)
        out.putBoolean("saved", done?.saved == true)
    }

    private fun stateOf(saved: Bundle): UiState {
        val result = saved.getString("result")
        val phase = when {
            result != null -> Phase.Done(result, saved.getBoolean("saved"))
            saved.getBoolean("busy") -> Phase.Working(0, 0)
            else -> Phase.Choosing
        }
        return UiState(saved.getString("lr"), saved.getString("reference"), phase)
    }

    override fun onDestroy() {
        kept.presenter.listener = null
        if (isFinishing) kept.presenter.on(Event.CancelPressed)
        super.onDestroy()
    }

    private fun choose(request: Int) {
        val intent = if (Build.VERSION.SDK_INT >= PICKER_SDK) {
            Intent(PICK_IMAGES).setType("image/*")
        } else {
            Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*")
        }
        @Suppress("DEPRECATION")
        startActivityForResult(intent, request)
    }

    private fun save() {
        if (!kept.presenter.state.canSave) return
        if (ResultStore.savesToPictures) {
            kept.presenter.on(Event.SavePressed)
        } else {
            val intent = Intent(Intent.ACTION_CREATE_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/png")
            @Suppress("DEPRECATION")
            startActivityForResult(intent.putExtra(Intent.EXTRA_TITLE, "c2m.png"), SAVE)
        }
    }

    @Deprecated("androidx, which has the newer way, is not used")
    override fun onActivityResult(request: Int, code: Int, data: Intent?) {
        val address = data?.data
        if (code != RESULT_OK || address == null) return
        when (request) {
            CHOOSE_LR -> kept.presenter.on(Event.LrChosen(remembered(address)))
            CHOOSE_REFERENCE -> kept.presenter.on(Event.ReferenceChosen(remembered(address)))
            SAVE -> {
                val result = (kept.presenter.state.phase as? Phase.Done)?.result ?: return
                kept.loading.execute {
                    val event = if (kept.work.results.copy(result, address)) Event.Saved else Event.SaveFailed
                    foreground.post { kept.presenter.on(event) }
                }
            }
        }
    }

    /** The address, to be read again after the process was ended, where that is granted. */
    private fun remembered(address: Uri): String {
        try {
            contentResolver.takePersistableUriPermission(address, Intent.FLAG_GRANT_READ_URI_PERMISSION)
        } catch (_: SecurityException) {
            // Some sources lend their photos only for now; that is enough unless the process ends.
        }
        return address.toString()
    }

    private fun show(state: UiState) {
        val phase = state.phase
        views.lrCard.contentDescription = getString(if (state.lr == null) R.string.choose_lr else R.string.lr_chosen)
        views.referenceCard.contentDescription =
            getString(if (state.reference == null) R.string.choose_reference else R.string.reference_chosen)
        views.removeReference.visibility = if (state.canRemoveReference) View.VISIBLE else View.GONE
        views.start.isEnabled = state.canStart
        views.start.visibility = if (state.isBusy) View.GONE else View.VISIBLE
        views.cancel.visibility = if (state.isBusy) View.VISIBLE else View.GONE
        views.cancel.isEnabled = phase is Phase.Working
        views.save.visibility = if (state.canSave) View.VISIBLE else View.GONE
        views.status.text = words(state)
        views.status.setTextColor(if (state.reason != null) getColor(R.color.wrong) else views.plainText)
        views.progress.visibility = if (state.isBusy) View.VISIBLE else View.INVISIBLE
        val working = phase as? Phase.Working
        views.progress.isIndeterminate = working == null || working.total == 0
        views.progress.max = working?.total ?: 0
        views.progress.progress = working?.done ?: 0
        if (state.isBusy) {
            window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        } else {
            window.clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        }
        showPhotos(state)
    }

    private fun words(state: UiState): String {
        val phase = state.phase
        return when {
            state.reason != null -> getString(sentence(state.reason!!))
            phase is Phase.Working && phase.total == 0 -> getString(if (state.reference == null) R.string.starting else R.string.looking)
            phase is Phase.Working -> getString(R.string.working, phase.done, phase.total)
            phase is Phase.Stopping -> getString(R.string.stopping)
            phase is Phase.Done && phase.saved -> getString(R.string.saved)
            else -> ""
        }
    }

    private fun showPhotos(state: UiState) {
        if (state.lr != shownLr) {
            shownLr = state.lr
            load(state.lr, views.lrImage, views.lrText)
        }
        if (state.reference != shownReference) {
            shownReference = state.reference
            load(state.reference, views.referenceImage, views.referenceText)
        }
        val result = (state.phase as? Phase.Done)?.result
        views.compare.visibility = if (result == null) View.INVISIBLE else View.VISIBLE
        if (result != shownResult) {
            shownResult = result
            val lr = state.lr
            if (result != null && lr != null) compare(lr, result)
        }
    }

    private fun load(address: String?, image: ImageView, text: View) {
        image.tag = address
        if (address == null) {
            image.setImageDrawable(null)
            text.visibility = View.VISIBLE
            return
        }
        preview(address, CARD_SIDE) { bitmap ->
            // The photo may have been removed in the meantime.
            if (image.tag == address) {
                image.setImageBitmap(bitmap)
                text.visibility = View.GONE
            }
        }
    }

    private fun compare(lr: String, result: String) {
        preview(lr, RESULT_SIDE) { before ->
            preview(Uri.fromFile(File(result)).toString(), RESULT_SIDE) { after -> views.compare.show(before, after) }
        }
    }

    private fun preview(address: String, side: Int, use: (Bitmap) -> Unit) = kept.loading.execute {
        try {
            val bitmap = kept.photos.preview(address, side)
            foreground.post { if (!isDestroyed) use(bitmap) }
        } catch (failure: JobFailedException) {
            foreground.post { if (!isDestroyed) views.status.setText(sentence(failure.reason)) }
        }
    }

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

    /** The parts of the layout. */
    private class Views(activity: Activity) {
        val lrCard: View = activity.findViewById(R.id.lr_card)
        val lrImage: ImageView = activity.findViewById(R.id.lr_image) as ImageView
        val lrText: View = activity.findViewById(R.id.lr_text)
        val referenceCard: View = activity.findViewById(R.id.reference_card)
        val referenceImage: ImageView = activity.findViewById(R.id.reference_image) as ImageView
        val referenceText: View = activity.findViewById(R.id.reference_text)
        val removeReference: View = activity.findViewById(R.id.remove_reference)
        val start: Button = activity.findViewById(R.id.start) as Button
        val cancel: Button = activity.findViewById(R.id.cancel) as Button
        val save: Button = activity.findViewById(R.id.save) as Button
        val status: TextView = activity.findViewById(R.id.status) as TextView
        val progress: ProgressBar = activity.findViewById(R.id.progress) as ProgressBar
        val compare: CompareView = activity.findViewById(R.id.compare) as CompareView
        val plainText: Int = status.currentTextColor
    }

    private companion object {
        const val CHOOSE_LR = 1
        const val CHOOSE_REFERENCE = 2
        const val SAVE = 3

        const val CARD_SIDE = 512
        const val RESULT_SIDE = 2048

        // Android 13's photo picker, which needs no permission.
        const val PICK_IMAGES = "android.provider.action.PICK_IMAGES"
        const val PICKER_SDK = 33
    }
}
