package org.c2mtf.core

import java.util.concurrent.CancellationException
import java.util.concurrent.Executor
import java.util.concurrent.atomic.AtomicInteger

/** An expected failure of a job. */
class JobFailedException(val reason: Reason, cause: Throwable? = null) : Exception(reason.name, cause)

/** What a job does; all of it is called in the background. */
interface Work {
    /**
     * Upscales, with or without a reference, and returns the result's address.
     *
     * @throws JobFailedException what went wrong.
     * @throws CancellationException [cancelled] said so.
     */
    fun upscale(lr: String, reference: String?, progress: (Int, Int) -> Unit, cancelled: () -> Boolean): String

    /** Saves a result where the user finds it; false if that failed. */
    fun save(result: String): Boolean
}

/**
 * Holds the state, takes events on the thread of [foreground], does work on [background], and reports every new state to [listener].
 *
 * The listener comes and goes with the screen; the presenter outlives it.
 */
class Presenter(private val work: Work, private val background: Executor, private val foreground: Executor, state: UiState = UiState()) {
    var state: UiState = state
        private set

    var listener: ((UiState) -> Unit)? = null
        set(value) {
            field = value
            value?.invoke(state)
        }

    /** Jobs up to this number are to stop. */
    private val stopped = AtomicInteger(0)

    fun on(event: Event) {
        val (next, effect) = state.after(event)
        if (next != state) {
            state = next
            listener?.invoke(next)
        }
        when (effect) {
            null -> Unit
            is Effect.Start -> background.execute { report(run(effect)) }
            is Effect.Stop -> stopped.set(effect.job)
            is Effect.Save -> background.execute { report(if (work.save(effect.result)) Event.Saved else Event.SaveFailed) }
        }
    }

    private fun run(start: Effect.Start): Event = try {
        val result = work.upscale(
            start.lr,
            start.reference,
            { done, total -> report(Event.Progressed(start.job, done, total)) },
            { stopped.get() >= start.job },
        )
        Event.Finished(start.job, result)
    } catch (_: CancellationException) {
        Event.Cancelled(start.job)
    } catch (failure: JobFailedException) {
        Event.Failed(start.job, failure.reason)
    } catch (_: OutOfMemoryError) {
        Event.Failed(start.job, Reason.OUT_OF_MEMORY)
    }

    private fun report(event: Event) = foreground.execute { on(event) }
}
