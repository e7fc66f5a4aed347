"""The form of a request to upscale: bounded, with known names alone; what the server cannot keep is not the client's fault."""

import errno
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import fastapi
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

FIELDS = ("lr", "ref", "strength", "scale", "size", "long_side", "region")
_FIELD_BYTES = 2**16
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

logger = logging.getLogger("c2m_tf.server")


class BoundedRoute(APIRoute):
    """A route whose requests have a bounded form, of known fields, each given once, references aside.

    Raises:
        HTTPException: 422 for a field or query parameter that nobody reads, or a field given twice; 507 if the server's disk
            is full, 503 if it cannot keep the form for another reason. Both are logged.
    """

    def get_route_handler(self) -> Callable[[fastapi.Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_bounded(request: fastapi.Request) -> Response:
            bounded = _BoundedRequest(request.scope, request.receive)
            for name in request.query_params:
                raise HTTPException(422, f"{name[:64]}: there is no such parameter; send {_listed()} as fields of the form")
            return await handle(bounded)

        return handle_bounded


class _BoundedRequest(fastapi.Request):
    async def form(self, **given: Any) -> Any:  # type: ignore[override]  # awaited by FastAPI, never entered
        files = self.state.max_files
        try:
            form = await super().form(**(given | {"max_files": files, "max_fields": files, "max_part_size": _FIELD_BYTES}))
        except OSError as error:
            logger.error("an upload cannot be kept: %s", error)
            if error.errno in _NO_ROOM:
                raise HTTPException(507, "the server has no room for the upload; try again later") from error
            raise HTTPException(503, "the server cannot keep the upload; try again later") from error
        problem = next((problem for name in form if (problem := _problem(name, len(form.getlist(name))))), None)
        if problem is not None:
            await form.close()
            raise HTTPException(422, problem)
        return form


def _problem(name, count):
    """What is wrong with a field that is given so often, if anything."""
    if name not in FIELDS:
        return f"{name[:64]}: there is no such field; the fields are {_listed()}"
    if count > 1 and name == "lr":
        return "lr: several photos are given; send one, and its references as ref"
    return f"{name} is given {count} times; give it once" if count > 1 and name != "ref" else None


def _listed():
    return f"{', '.join(FIELDS[:-1])} and {FIELDS[-1]}"
