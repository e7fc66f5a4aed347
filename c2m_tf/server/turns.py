"""One piece of work at a time, in a thread of its own, while a bounded number of others wait."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


class BusyError(Exception):
    """Too many wait already."""


class TookTooLongError(Exception):
    """Waiting and work took longer than allowed."""


class Turns:
    """Takes work from the coroutines of one event loop.

    Args:
        queue: how many may wait while one is worked on.
        timeout: seconds that a piece of work may take, waiting included.
    """

    def __init__(self, queue: int, timeout: float) -> None:
        self._queue = queue
        self._timeout = timeout
        self._thread = ThreadPoolExecutor(1, "upscaling")
        self._lock = threading.Lock()
        self._states: dict[Any, Any] = {}

    @property
    def pending(self) -> int:
        """How many wait or are worked on."""
        with self._lock:
            return len(self._states)

    def progress(self, name: str) -> dict[str, Any] | None:
        """How far the work of that name is: state "waiting" or "running", done, total; None if there is none."""
        with self._lock:
            state = self._states.get(name)
            return None if state is None else dict(state)

    async def run(self, work: Callable[[Callable[[int, int], None]], Result], name: str | None = None) -> Result:
        """Has its turn.

        Args:
            work: called in the thread with a function to be told (done, total) now and then, which ends it when the time is up.
            name: for `progress`.

        Returns:
            What the work returns.

        Raises:
            BusyError: too many wait, or work of that name does.
            TookTooLongError: the time is up. Work in hand ends when it next tells how far it is.
        """
        key = object() if name is None else name
        state = {"state": "waiting", "done": 0, "total": 0}
        expired = threading.Event()
        with self._lock:
            if len(self._states) > self._queue:
                raise BusyError(f"{self._queue} requests wait already; try again later")
            if key in self._states:
                raise BusyError(f"a request {name} is waiting or running already; give each its own X-Request-ID")
            self._states[key] = state

        def told(done: int, total: int) -> None:
            if expired.is_set():
                raise TookTooLongError
            with self._lock:
                state.update(done=done, total=total)

        def turn() -> Result:
            with self._lock:
                state["state"] = "running"
            return work(told)

        future = self._thread.submit(turn)
        future.add_done_callback(lambda _: self._forget(key))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._timeout)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise TookTooLongError(f"no result within {self._timeout:g} seconds; send smaller photos or try later") from error
        finally:
            expired.set()

    def _forget(self, key):
        with self._lock:
            self._states.pop(key, None)
