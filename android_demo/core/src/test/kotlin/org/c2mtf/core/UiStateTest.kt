package org.c2mtf.core

import java.util.concurrent.CancellationException
import java.util.concurrent.Executor
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

class UiStateTest {
    private val chosen = UiState("lr", "ref")
    private val working = chosen.after(Event.StartPressed).first
    private val finished = Event.Finished(1, Upscaled("sr", Backend.CPU), 12_345)

    @Test
    fun startingNeedsThePhotoAndTakesTheReferenceIfThereIsOne() {
        assertNull(UiState(reference = "ref").after(Event.StartPressed).second)
        assertEquals(Effect.Start(1, "lr", null, Backend.CPU), UiState("lr").after(Event.StartPressed).second)
        assertEquals(Effect.Start(1, "lr", "ref", Backend.CPU), chosen.after(Event.StartPressed).second)
        assertNull(working.after(Event.StartPressed).second)
    }

    @Test
    fun photosCannotBeExchangedWhileOneIsUpscaled() {
        assertEquals(working, working.after(Event.LrChosen("other")).first)
        assertEquals("other", chosen.after(Event.ReferenceChosen("other")).first.reference)
    }

    @Test
    fun aNewPhotoForgetsTheResult() {
        val done = working.after(finished).first
        assertTrue(done.canSave)
        assertEquals(Phase.Choosing, done.after(Event.LrChosen("other")).first.phase)
    }

    @Test
    fun aReferenceCanBeRemovedUnlessAJobRuns() {
        val done = working.after(finished).first
        assertEquals(UiState("lr", job = 1), done.after(Event.ReferenceRemoved).first)
        assertFalse(working.canRemoveReference)
        assertEquals(working, working.after(Event.ReferenceRemoved).first)
        val alone = UiState("lr").after(Event.StartPressed).first.after(finished).first
        assertEquals(alone, alone.after(Event.ReferenceRemoved).first)
    }

    @Test
    fun theGpuIsTriedOnlyWhereItIsOfferedAndNotExchangedWhileAJobRuns() {
        val switched = Event.BackendChosen(Backend.GPU)
        assertEquals(chosen, chosen.after(switched).first)
        val gpu = chosen.copy(offersGpu = true).after(switched).first
        val (running, effect) = gpu.after(Event.StartPressed)
        assertEquals(Effect.Start(1, "lr", "ref", Backend.GPU), effect)
        assertEquals(running, running.after(Event.BackendChosen(Backend.CPU)).first)
    }

    @Test
    fun aResultTellsItsTimeAndWhereItWasMadeAndWhereItWasMeantToBe() {
        assertEquals(Phase.Done("sr", Backend.CPU, Backend.CPU, 12_345), working.after(finished).first.phase)
        val gpu = chosen.copy(offersGpu = true, backend = Backend.GPU).after(Event.StartPressed).first.after(finished).first
        assertEquals(Phase.Done("sr", Backend.CPU, Backend.GPU, 12_345), gpu.phase)
        assertEquals(gpu.phase, gpu.after(Event.BackendChosen(Backend.CPU)).first.phase)
    }

    @Test
    fun whatOldJobsReportIsStale() {
        val second = working.after(Event.Failed(1, Reason.TOO_LARGE)).first.after(Event.StartPressed).first
        assertEquals(2, second.job)
        for (event in listOf(Event.Progressed(1, 5, 9), finished, Event.Cancelled(1), Event.Failed(1, Reason.GONE))) {
            assertEquals(second, second.after(event).first)
        }
        assertEquals(Phase.Working(5, 9), second.after(Event.Progressed(2, 5, 9)).first.phase)
    }

    @Test
    fun cancellingWaitsForTheJobToEnd() {
        val (stopping, effect) = working.after(Event.CancelPressed)
        assertEquals(Effect.Stop(1), effect)
        assertFalse(stopping.canStart)
        assertEquals(stopping, stopping.after(Event.Progressed(1, 5, 9)).first)
        assertTrue(stopping.after(Event.Cancelled(1)).first.canStart)
    }

    @Test
    fun aResultIsSavedOnce() {
        val done = working.after(finished).first
        assertEquals(Effect.Save("sr"), done.after(Event.SavePressed).second)
        assertEquals(Reason.NOT_SAVED, done.after(Event.SaveFailed).first.reason)
        assertTrue(done.after(Event.SaveFailed).first.canSave)
        val saved = done.after(Event.Saved).first
        assertNull(saved.after(Event.SavePressed).second)
    }

    @Test
    fun aNewProcessKnowsThatItsJobIsGone() {
        assertEquals(Reason.GONE, working.after(Event.Restored(resultExists = false)).first.reason)
        val done = working.after(finished).first
        assertEquals(done, done.after(Event.Restored(resultExists = true)).first)
        assertEquals(Phase.Choosing, done.after(Event.Restored(resultExists = false)).first.phase)
        assertEquals(chosen, chosen.after(Event.Restored(resultExists = false)).first)
    }
}

private class Scripted(private val job: (progress: (Int, Int) -> Unit, cancelled: () -> Boolean) -> String) : Work {
    var saves = true
    val given = mutableListOf<Pair<String, String?>>()

    override fun upscale(
        lr: String,
        reference: String?,
        backend: Backend,
        progress: (Int, Int) -> Unit,
        cancelled: () -> Boolean,
    ): Upscaled {
        given.add(lr to reference)
        return Upscaled(job(progress, cancelled), backend)
    }

    override fun save(result: String) = saves
}

class PresenterTest {
    private val direct = Executor { it.run() }
    private val start = UiState("lr", "ref")
    private var now = 0L

    private fun presenter(work: Work, state: UiState = start) = Presenter(work, direct, direct, state) { now }

    private fun phases(presenter: Presenter): List<Phase> {
        val seen = mutableListOf<Phase>()
        presenter.listener = { seen.add(it.phase) }
        presenter.on(Event.StartPressed)
        return seen
    }

    @Test
    fun aJobTellsItsProgressAndEndsInAResult() {
        val work = Scripted { progress, _ ->
            progress(1, 2)
            progress(2, 2)
            "sr"
        }
        val presenter = presenter(work)
        assertEquals(
            listOf(Phase.Choosing, Phase.Working(0, 0), Phase.Working(1, 2), Phase.Working(2, 2), Phase.Done("sr", Backend.CPU, Backend.CPU, 0)),
            phases(presenter),
        )
        work.saves = false
        presenter.on(Event.SavePressed)
        assertEquals(Reason.NOT_SAVED, presenter.state.reason)
        work.saves = true
        presenter.on(Event.SavePressed)
        assertEquals(Phase.Done("sr", Backend.CPU, Backend.CPU, 0, saved = true), presenter.state.phase)
    }

    @Test
    fun aJobGetsTheReferenceOrNone() {
        val work = Scripted { _, _ -> "sr" }
        val presenter = presenter(work)
        presenter.on(Event.StartPressed)
        presenter.on(Event.ReferenceRemoved)
        presenter.on(Event.StartPressed)
        assertEquals(listOf("lr" to "ref", "lr" to null), work.given)
        assertEquals(Phase.Done("sr", Backend.CPU, Backend.CPU, 0), presenter.state.phase)
    }

    @Test
    fun timeCountsFromTheStartToTheResultAndTheBackendIsPassedOn() {
        now = 5_000_000
        val work = Scripted { _, _ ->
            now += 1_234_567_890
            "sr"
        }
        val presenter = presenter(work, start.copy(offersGpu = true, backend = Backend.GPU))
        presenter.on(Event.StartPressed)
        assertEquals(Phase.Done("sr", Backend.GPU, Backend.GPU, 1234), presenter.state.phase)
    }

    @Test
    fun failuresAreToldByTheirReason() {
        for ((error, reason) in listOf(
            JobFailedException(Reason.TOO_SMALL) to Reason.TOO_SMALL,
            JobFailedException(Reason.NEEDS_REFERENCE) to Reason.NEEDS_REFERENCE,
            OutOfMemoryError() to Reason.OUT_OF_MEMORY,
            CancellationException() to null,
        )) {
            val presenter = presenter(Scripted { _, _ -> throw error })
            presenter.on(Event.StartPressed)
            assertEquals(reason, presenter.state.reason)
            assertTrue(presenter.state.canStart)
        }
    }

    @Test
    fun cancellingReachesTheJobThatRunsAndNotTheNext() {
        lateinit var presenter: Presenter
        var jobs = 0
        val work = Scripted { _, cancelled ->
            if (++jobs == 1) presenter.on(Event.CancelPressed)
            if (cancelled()) throw CancellationException()
            "sr"
        }
        presenter = presenter(work)
        presenter.on(Event.StartPressed)
        assertEquals(Phase.Choosing, presenter.state.phase)
        presenter.on(Event.StartPressed)
        assertEquals(Phase.Done("sr", Backend.CPU, Backend.CPU, 0), presenter.state.phase)
    }

    @Test
    fun aScreenThatComesLateIsToldTheState() {
        val presenter = presenter(Scripted { _, _ -> "sr" })
        presenter.on(Event.StartPressed)
        val seen = mutableListOf<UiState>()
        presenter.listener = { seen.add(it) }
        assertEquals(listOf(presenter.state), seen)
    }
}
