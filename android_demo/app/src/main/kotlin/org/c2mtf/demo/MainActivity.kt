package org.c2mtf.demo

import android.app.Activity
import android.content.Intent
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import java.io.File
import java.util.concurrent.Executor
import java.util.concurrent.Executors
import org.c2mtf.core.Backend
import org.c2mtf.core.Event
import org.c2mtf.core.Phase
import org.c2mtf.core.Presenter
import org.c2mtf.core.UiState

/** What outlives a turn of the screen. */
private class Kept(val presenter: Presenter, val work: PhoneWork, val reader: PhotoReader, val loading: Executor)

/** The only screen: shows the presenter's state, and reports what the user does. */
class MainActivity : Activity() {
    private lateinit var kept: Kept
    private lateinit var screen: Screen
    private lateinit var photos: PhotoViews
    private val foreground = Handler(Looper.getMainLooper())

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.activity_main)
        @Suppress("DEPRECATION") // androidx, which has the newer way, is not used
        kept = lastNonConfigurationInstance as? Kept ?: started(saved)
        screen = Screen(this)
        photos = PhotoViews(screen, kept.reader, kept.loading, foreground)
        val presenter = kept.presenter
        screen.lr.card.setOnClickListener { if (presenter.state.canChoose) choose(CHOOSE_LR) }
        screen.reference.card.setOnClickListener { if (presenter.state.canChoose) choose(CHOOSE_REFERENCE) }
        screen.removeReference.setOnClickListener { presenter.on(Event.ReferenceRemoved) }
        screen.gpu.setOnClickListener { presenter.on(Event.BackendChosen(if (screen.gpu.isChecked) Backend.GPU else Backend.CPU)) }
        screen.start.setOnClickListener { presenter.on(Event.StartPressed) }
        screen.cancel.setOnClickListener { presenter.on(Event.CancelPressed) }
        screen.save.setOnClickListener { save() }
        presenter.listener = ::show
    }

    private fun started(saved: Bundle?): Kept {
        val work = PhoneWork(applicationContext)
        val state = (saved?.let(::stateOf) ?: UiState()).copy(offersGpu = work.suitsGpu)
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
        out.putString("backend", state.backend.name)
        if (done == null) return
        out.putString("result", done.result)
        out.putString("ran", done.backend.name)
        out.putString("wanted", done.wanted.name)
        out.putLong("millis", done.millis)
        out.putBoolean("saved", done.saved)
    }

    private fun stateOf(saved: Bundle): UiState {
        val result = saved.getString("result")
        fun backend(key: String) = Backend.entries.firstOrNull { it.name == saved.getString(key) } ?: Backend.CPU
        val phase = when {
            result != null ->
                Phase.Done(result, backend("ran"), backend("wanted"), saved.getLong("millis"), saved.getBoolean("saved"))
            saved.getBoolean("busy") -> Phase.Working(0, 0)
            else -> Phase.Choosing
        }
        return UiState(saved.getString("lr"), saved.getString("reference"), phase, backend = backend("backend"))
    }

    override fun onDestroy() {
        kept.presenter.listener = null
        photos.close()
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
        screen.show(state)
        photos.show(state)
    }

    private companion object {
        const val CHOOSE_LR = 1
        const val CHOOSE_REFERENCE = 2
        const val SAVE = 3

        // Android 13's photo picker, which needs no permission.
        const val PICK_IMAGES = "android.provider.action.PICK_IMAGES"
        const val PICKER_SDK = 33
    }
}
