"""Runs one job at a time in a thread, while a bounded number of others wait.

Jobs wait in the event loop, so that a job whose client has left is dropped at once, with the memory that it holds.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")


class BusyError(Exception):
    """Too many requests are waiting already."""


class TookTooLongError(Exception):
    """Waiting and work took longer than allowed."""


class ClientLeftError(Exception):
    """The client has left, so nobody waits for the result."""


class _AbandonedError(Exception):
    """Stops a job in the thread whose result nobody waits for."""


class Progress(NamedTuple):
    """Progress of a job: state "waiting" or "running", tiles done and in all."""

    state: str
    done: int
    total: int


async def in_time(work: Coroutine[Any, Any, Result], deadline: float) -> Result:
    """The result of `work`, which is left alone, not stopped, if it takes longer.

    Args:
        work: coroutine.
        deadline: by the clock of the event loop.

    Raises:
        TookTooLongError: it does.
    """
    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=max(deadline - asyncio.get_running_loop().time(), 0.0))
    if not task.done():
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody else asks for it
        raise TookTooLongError
    return task.result()


class WorkQueue:
    """Takes work from the coroutines of one event loop.

    Args:
        queue: how many jobs may wait while one runs.
    """

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self._thread = ThreadPoolExecutor(1, "upscaling")
        self._turn = asyncio.Lock()
        self._progress: dict[Any, Progress] = {}

    @property
    def pending(self) -> int:
        """Number of jobs that wait or run."""
        return len(self._progress)

    def progress(self, name: str) -> Progress | None:
        """Progress of the job of that name; None if there is none."""
        return self._progress.get(name)

    def check_room(self) -> None:
        """Raises BusyError if too many jobs are waiting."""
        if self.pending > self._queue:
            raise BusyError(f"{self._queue} requests wait already; try again later")

    async def run(
        self,
        work: Callable[[Callable[[int, int], None]], Result],
        left: Coroutine[Any, Any, None],
        seconds: float,
        name: str | None = None,
    ) -> Result:
        """Runs `work` when its turn comes; returns its result.

        Args:
            work: called in the thread with `report(done, total)`, which raises once nobody waits for the result any more.
            left: ends when the client has left.
            seconds: time limit for waiting and work.
            name: for `progress`.

        Returns:
            What the work returns.

        Raises:
            BusyError: too many jobs are waiting, or one of that name is.
            TookTooLongError: the time is up.
            ClientLeftError: the client left. Then, and when the time is up, a waiting job is dropped at once, and a running one
                stops when it next reports its progress.
        """
        key = object() if name is None else name
        gone = asyncio.ensure_future(left)
        job = None
        try:
            self.check_room()
            if key in self._progress:
                raise BusyError(f"a request {name} is waiting or running already; give each its own X-Request-ID")
            self._progress[key] = Progress("waiting", 0, 0)
            job = asyncio.ensure_future(self._run_in_turn(work, key))
            await asyncio.wait({job, gone}, timeout=max(seconds, 0.0), return_when=asyncio.FIRST_COMPLETED)
            if job.done():
                return job.result()
            if gone.done():
                raise ClientLeftError
            raise TookTooLongError
        finally:
            gone.cancel()
            if job is not None:
                job.cancel()
                progress = self._progress.get(key)
                if progress is not None and progress.state == "waiting":
                    del self._progress[key]

    async def _run_in_turn(self, work: Callable[[Callable[[int, int], None]], Result], key: object) -> Result:
        await self._turn.acquire()
        self._progress[key] = Progress("running", 0, 0)
        abandoned = threading.Event()

        def report(done: int, total: int) -> None:
            if abandoned.is_set():
                raise _AbandonedError
            self._progress[key] = Progress("running", done, total)

        loop = asyncio.get_running_loop()
        future = self._thread.submit(work, report)
        # The turn passes on when the thread has ended, which may be after the client has left.
        future.add_done_callback(lambda _: self._pass_on(loop, key))
        try:
            return await asyncio.wrap_future(future)
        finally:
            abandoned.set()

    def _pass_on(self, loop: asyncio.AbstractEventLoop, key: object) -> None:
        try:
            loop.call_soon_threadsafe(self._end_turn, key)
        except RuntimeError:  # the server has stopped, and nobody waits for a turn
            self._progress.pop(key, None)

    def _end_turn(self, key: object) -> None:
        self._progress.pop(key, None)
        self._turn.release()
