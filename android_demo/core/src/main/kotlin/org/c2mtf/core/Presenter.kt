package org.c2mtf.core

import java.util.concurrent.CancellationException
import java.util.concurrent.Executor
import java.util.concurrent.atomic.AtomicInteger

/** An expected failure of a job. */
class JobFailedException(val reason: Reason, cause: Throwable? = null) : Exception(reason.name, cause)

/** The address of a result, and the backend on which its job ended. */
data class Upscaled(val result: String, val backend: Backend)

/** What a job does; all of it is called in the background. */
interface Work {
    /**
     * Upscales, with or without a reference.
     *
     * @param backend where to run, if it can be done there.
     * @throws JobFailedException what went wrong.
     * @throws CancellationException [cancelled] said so.
     */
    fun upscale(
        lr: String,
        reference: String?,
        backend: Backend,
        progress: (Int, Int) -> Unit,
        cancelled: () -> Boolean,
    ): Upscaled

    /** Saves a result where the user finds it; false if that failed. */
    fun save(result: String): Boolean
}

/**
 * Holds the state, takes events on the thread of [foreground], does work on [background], and reports every new state to [listener].
 *
 * The listener comes and goes with the screen; the presenter outlives it.
 *
 * @param clock nanoseconds that have passed since some moment.
 */
class Presenter(
    private val work: Work,
    private val background: Executor,
    private val foreground: Executor,
    state: UiState = UiState(),
    private val clock: () -> Long = System::nanoTime,
) {
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
        val began = clock()
        val upscaled = work.upscale(
            start.lr,
            start.reference,
            start.backend,
            { done, total -> report(Event.Progressed(start.job, done, total)) },
            { stopped.get() >= start.job },
        )
        Event.Finished(start.job, upscaled, (clock() - began) / NANOS_PER_MILLI)
    } catch (_: CancellationException) {
        Event.Cancelled(start.job)
    } catch (failure: JobFailedException) {
        Event.Failed(start.job, failure.reason)
    } catch (_: OutOfMemoryError) {
        Event.Failed(start.job, Reason.OUT_OF_MEMORY)
    }

    private fun report(event: Event) = foreground.execute { on(event) }

    private companion object {
        const val NANOS_PER_MILLI = 1_000_000L
    }
}
