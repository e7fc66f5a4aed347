package org.c2mtf.core

/** Why something was not done; the app has a sentence for each. */
enum class Reason { NO_PHOTO, TOO_SMALL, TOO_LARGE, OUT_OF_MEMORY, NO_MODEL, MODEL_FAILED, NEEDS_REFERENCE, NOT_SAVED, GONE }

/** What the app is doing. */
sealed interface Phase {
    /** Waiting for photos or for the start button. */
    object Choosing : Phase

    /** A photo is being upscaled: [done] of [total] tiles; 0 of 0 before the first tile is done. */
    data class Working(val done: Int, val total: Int) : Phase

    /** The running job was asked to stop. */
    object Stopping : Phase

    /**
     * The result is in a file.
     *
     * @property wanted the backend that was chosen; the run ended on [backend].
     * @property millis milliseconds from the start to the file.
     */
    data class Done(val result: String, val backend: Backend, val wanted: Backend, val millis: Long, val saved: Boolean = false) : Phase
}

/**
 * What the screen shows. Photos are named by their addresses.
 *
 * @property reference null: the photo is upscaled alone.
 * @property offersGpu the model can be tried on the GPU.
 * @property backend where the next job runs, if it can.
 * @property job number of the job that was started last; what other jobs report is stale.
 * @property reason what went wrong last, until the next thing is done.
 */
data class UiState(
    val lr: String? = null,
    val reference: String? = null,
    val phase: Phase = Phase.Choosing,
    val offersGpu: Boolean = false,
    val backend: Backend = Backend.CPU,
    val job: Int = 0,
    val reason: Reason? = null,
) {
    /** A job runs, or is ending. */
    val isBusy: Boolean get() = phase is Phase.Working || phase is Phase.Stopping
    val canChoose: Boolean get() = !isBusy
    val canStart: Boolean get() = !isBusy && lr != null
    val canRemoveReference: Boolean get() = !isBusy && reference != null
    val canSave: Boolean get() = (phase as? Phase.Done)?.saved == false
}

/** What happens to the app. */
sealed interface Event {
    data class LrChosen(val address: String) : Event
    data class ReferenceChosen(val address: String) : Event
    object ReferenceRemoved : Event
    data class BackendChosen(val backend: Backend) : Event
    object StartPressed : Event
    object CancelPressed : Event
    object SavePressed : Event
    data class Progressed(val job: Int, val done: Int, val total: Int) : Event
    data class Finished(val job: Int, val upscaled: Upscaled, val millis: Long) : Event
    data class Cancelled(val job: Int) : Event
    data class Failed(val job: Int, val reason: Reason) : Event
    object Saved : Event
    object SaveFailed : Event

    /** The process was started anew: a job that ran is gone, and the result is where it was or is not. */
    data class Restored(val resultExists: Boolean) : Event
}

/** What is to be done because of an event. */
sealed interface Effect {
    data class Start(val job: Int, val lr: String, val reference: String?, val backend: Backend) : Effect
    data class Stop(val job: Int) : Effect
    data class Save(val result: String) : Effect
}

/** The state after an event, and what is to be done. Events that do not fit the state change nothing. */
fun UiState.after(event: Event): Pair<UiState, Effect?> = when (event) {
    is Event.LrChosen -> only(canChoose) { copy(lr = event.address, phase = Phase.Choosing, reason = null) to null }
    is Event.ReferenceChosen -> only(canChoose) { copy(reference = event.address, phase = Phase.Choosing, reason = null) to null }
    is Event.ReferenceRemoved -> only(canRemoveReference) { copy(reference = null, phase = Phase.Choosing, reason = null) to null }
    is Event.BackendChosen -> only(canChoose && offersGpu) { copy(backend = event.backend) to null }
    is Event.StartPressed -> only(canStart) {
        val next = copy(phase = Phase.Working(0, 0), job = job + 1, reason = null)
        next to Effect.Start(next.job, lr!!, reference, backend)
    }
    is Event.CancelPressed -> only(phase is Phase.Working) { copy(phase = Phase.Stopping) to Effect.Stop(job) }
    is Event.SavePressed -> only(canSave) { copy(reason = null) to Effect.Save((phase as Phase.Done).result) }
    is Event.Progressed -> only(phase is Phase.Working && event.job == job) {
        copy(phase = Phase.Working(event.done, event.total)) to null
    }
    is Event.Finished -> only(isBusy && event.job == job) {
        copy(phase = Phase.Done(event.upscaled.result, event.upscaled.backend, backend, event.millis)) to null
    }
    is Event.Cancelled -> only(isBusy && event.job == job) { copy(phase = Phase.Choosing) to null }
    is Event.Failed -> only(isBusy && event.job == job) { copy(phase = Phase.Choosing, reason = event.reason) to null }
    is Event.Saved -> only(phase is Phase.Done) { copy(phase = (phase as Phase.Done).copy(saved = true), reason = null) to null }
    is Event.SaveFailed -> only(phase is Phase.Done) { copy(reason = Reason.NOT_SAVED) to null }
    is Event.Restored -> when {
        isBusy -> copy(phase = Phase.Choosing, reason = Reason.GONE) to null
        phase is Phase.Done && !event.resultExists -> copy(phase = Phase.Choosing, reason = Reason.GONE) to null
        else -> this to null
    }
}

private inline fun UiState.only(fits: Boolean, next: () -> Pair<UiState, Effect?>): Pair<UiState, Effect?> =
    if (fits) next() else this to null
