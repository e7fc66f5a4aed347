"""One piece of work at a time, in a thread of its own, while a bounded number of others wait.

Waiting takes place in the event loop, so that a piece of work whose client left is dropped at once, with all that it holds.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")


class BusyError(Exception):
    """Too many wait already."""


class TookTooLongError(Exception):
    """Waiting and work took longer than allowed."""


class ClientLeftError(Exception):
    """Nobody waits for the result any more."""


class _AbandonedError(Exception):
    """Ends work in the thread whose result nobody waits for."""


class Progress(NamedTuple):
    """How far a piece of work is: state "waiting" or "running", tiles done and in all."""

    state: str
    done: int
    total: int


class Turns:
    """Takes work from the coroutines of one event loop.

    Args:
        queue: how many may wait while one is worked on.
    """

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self._thread = ThreadPoolExecutor(1, "upscaling")
        self._turn = asyncio.Lock()
        self._progress: dict[Any, Progress] = {}

    @property
    def pending(self) -> int:
        """How many wait or are worked on."""
        return len(self._progress)

    def progress(self, name: str) -> Progress | None:
        """How far the work of that name is; None if there is none."""
        return self._progress.get(name)

    def check_room(self) -> None:
        """Raises BusyError if too many wait."""
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
            seconds: that waiting and work may take.
            name: for `progress`.

        Returns:
            What the work returns.

        Raises:
            BusyError: too many wait, or work of that name does.
            TookTooLongError: the time is up.
            ClientLeftError: the client left. Then, and when the time is up, work that waits is dropped at once, and running
                work ends when it next reports how far it is.
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

    async def _run_in_turn(self, work, key):
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

    def _pass_on(self, loop, key):
        try:
            loop.call_soon_threadsafe(self._end_turn, key)
        except RuntimeError:  # the server has stopped, and nobody waits for a turn
            self._progress.pop(key, None)

    def _end_turn(self, key):
        self._progress.pop(key, None)
        self._turn.release()
