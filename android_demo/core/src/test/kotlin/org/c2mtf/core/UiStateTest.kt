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

    @Test
    fun startingNeedsThePhotoAndTakesTheReferenceIfThereIsOne() {
        assertNull(UiState(reference = "ref").after(Event.StartPressed).second)
        assertEquals(Effect.Start(1, "lr", null), UiState("lr").after(Event.StartPressed).second)
        assertEquals(Effect.Start(1, "lr", "ref"), chosen.after(Event.StartPressed).second)
        assertNull(working.after(Event.StartPressed).second)
    }

    @Test
    fun photosCannotBeExchangedWhileOneIsUpscaled() {
        assertEquals(working, working.after(Event.LrChosen("other")).first)
        assertEquals("other", chosen.after(Event.ReferenceChosen("other")).first.reference)
    }

    @Test
    fun aNewPhotoForgetsTheResult() {
        val done = working.after(Event.Finished(1, "sr")).first
        assertTrue(done.canSave)
        assertEquals(Phase.Choosing, done.after(Event.LrChosen("other")).first.phase)
    }

    @Test
    fun aReferenceCanBeRemovedUnlessAJobRuns() {
        val done = working.after(Event.Finished(1, "sr")).first
        assertEquals(UiState("lr", job = 1), done.after(Event.ReferenceRemoved).first)
        assertFalse(working.canRemoveReference)
        assertEquals(working, working.after(Event.ReferenceRemoved).first)
        val alone = UiState("lr").after(Event.StartPressed).first.after(Event.Finished(1, "sr")).first
        assertEquals(alone, alone.after(Event.ReferenceRemoved).first)
    }

    @Test
    fun whatOldJobsReportIsStale() {
        val second = working.after(Event.Failed(1, Reason.TOO_LARGE)).first.after(Event.StartPressed).first
        assertEquals(2, second.job)
        for (event in listOf(Event.Progressed(1, 5, 9), Event.Finished(1, "sr"), Event.Cancelled(1), Event.Failed(1, Reason.GONE))) {
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
        val done = working.after(Event.Finished(1, "sr")).first
        assertEquals(Effect.Save("sr"), done.after(Event.SavePressed).second)
        assertEquals(Reason.NOT_SAVED, done.after(Event.SaveFailed).first.reason)
        assertTrue(done.after(Event.SaveFailed).first.canSave)
        val saved = done.after(Event.Saved).first
        assertNull(saved.after(Event.SavePressed).second)
    }

    @Test
    fun aNewProcessKnowsThatItsJobIsGone() {
        assertEquals(Reason.GONE, working.after(Event.Restored(resultExists = false)).first.reason)
        val done = working.after(Event.Finished(1, "sr")).first
        assertEquals(done, done.after(Event.Restored(resultExists = true)).first)
        assertEquals(Phase.Choosing, done.after(Event.Restored(resultExists = false)).first.phase)
        assertEquals(chosen, chosen.after(Event.Restored(resultExists = false)).first)
    }
}

private class Scripted(private val job: (progress: (Int, Int) -> Unit, cancelled: () -> Boolean) -> String) : Work {
    var saves = true
    val given = mutableListOf<Pair<String, String?>>()

    override fun upscale(lr: String, reference: String?, progress: (Int, Int) -> Unit, cancelled: () -> Boolean): String {
        given.add(lr to reference)
        return job(progress, cancelled)
    }

    override fun save(result: String) = saves
}

class PresenterTest {
    private val direct = Executor { it.run() }
    private val start = UiState("lr", "ref")

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
        val presenter = Presenter(work, direct, direct, start)
        assertEquals(
            listOf(Phase.Choosing, Phase.Working(0, 0), Phase.Working(1, 2), Phase.Working(2, 2), Phase.Done("sr", false)),
            phases(presenter),
        )
        work.saves = false
        presenter.on(Event.SavePressed)
        assertEquals(Reason.NOT_SAVED, presenter.state.reason)
        work.saves = true
        presenter.on(Event.SavePressed)
        assertEquals(Phase.Done("sr", true), presenter.state.phase)
    }

    @Test
    fun aJobGetsTheReferenceOrNone() {
        val work = Scripted { _, _ -> "sr" }
        val presenter = Presenter(work, direct, direct, start)
        presenter.on(Event.StartPressed)
        presenter.on(Event.ReferenceRemoved)
        presenter.on(Event.StartPressed)
        assertEquals(listOf("lr" to "ref", "lr" to null), work.given)
        assertEquals(Phase.Done("sr", false), presenter.state.phase)
    }

    @Test
    fun failuresAreToldByTheirReason() {
        for ((error, reason) in listOf(
            JobFailedException(Reason.TOO_SMALL) to Reason.TOO_SMALL,
            JobFailedException(Reason.NEEDS_REFERENCE) to Reason.NEEDS_REFERENCE,
            OutOfMemoryError() to Reason.OUT_OF_MEMORY,
            CancellationException() to null,
        )) {
            val presenter = Presenter(Scripted { _, _ -> throw error }, direct, direct, start)
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
        presenter = Presenter(work, direct, direct, start)
        presenter.on(Event.StartPressed)
        assertEquals(Phase.Choosing, presenter.state.phase)
        presenter.on(Event.StartPressed)
        assertEquals(Phase.Done("sr", false), presenter.state.phase)
    }

    @Test
    fun aScreenThatComesLateIsToldTheState() {
        val presenter = Presenter(Scripted { _, _ -> "sr" }, direct, direct, start)
        presenter.on(Event.StartPressed)
        val seen = mutableListOf<UiState>()
        presenter.listener = { seen.add(it) }
        assertEquals(listOf(presenter.state), seen)
    }
}
