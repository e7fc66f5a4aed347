"""Whether the server lives and is ready, at the paths of the Open Inference Protocol: /v2/health/live and /v2/health/ready.

A server is ready once it has upscaled small photos (`Upscaler.warm_up`): the first photo costs seconds more than the others,
because libraries start and graphs are traced.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import fastapi
from fastapi.responses import JSONResponse, Response

from c2m_tf.server.turns import Turns
from c2m_tf.startup import one_line


class Health:
    """The two paths, and the warm-up that the second one waits for.

    Args:
        turns: the warm-up takes the first.
        work: called in the worker thread with `report(done, total)`, when the application starts; None if there is nothing to
            wait for.
    """

    def __init__(self, turns: Turns, work: Callable[[Callable[[int, int], None]], None] | None) -> None:
        self._turns = turns
        self._work = work
        self._waits_for = None if work is None else "first photos are being upscaled"
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def lifespan(self, app: fastapi.FastAPI) -> AsyncIterator[None]:
        """For `fastapi.FastAPI(lifespan=...)`: the application answers while the warm-up runs."""
        task = asyncio.ensure_future(self._warm_up())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def starting(self) -> bool:
        """Whether the first photos are being upscaled: a request would wait for them."""
        return self._work is not None and not self._ended.is_set()

    async def wait(self) -> None:
        """Ends when requests can be sent, which is at once later on; raises RuntimeError in words if that will never be."""
        if self._work is not None:
            await self._ended.wait()
        if self._waits_for is not None:
            raise RuntimeError(f"not ready: {self._waits_for}")

    def add_to(self, app: fastapi.FastAPI, problem: dict[str, Any]) -> None:
        """Adds the paths; `problem` describes an answer that says what is missing."""

        @app.head("/v2/health/live", include_in_schema=False)
        @app.get("/v2/health/live")
        async def live() -> dict[str, bool]:
            """Whether the process answers."""
            return {"live": True}

        @app.head("/v2/health/ready", include_in_schema=False)
        @app.get("/v2/health/ready", responses={503: problem}, response_model=dict[str, bool])
        async def ready() -> Response:
            """Whether requests can be sent: only after a first photo."""
            if self._waits_for is None:
                return JSONResponse({"ready": True})
            return JSONResponse({"detail": f"not ready: {self._waits_for}"}, 503)

    async def _warm_up(self):
        if self._work is None:
            return
        try:
            await self._turns.run(self._work, _forever(), math.inf)
        except Exception as error:  # whatever it is, the process is not ready, and says why
            self._waits_for = one_line(error)
        else:
            self._waits_for = None
        self._ended.set()


async def _forever() -> None:
    await asyncio.Event().wait()
