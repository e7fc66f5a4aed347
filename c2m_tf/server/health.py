"""What the server says of itself: whether it lives and is ready, and the page that describes its interface.

The paths are those of the Open Inference Protocol, /v2/health/live and /v2/health/ready. A server is ready once it has upscaled
small photos (`Upscaler.warm_up`): the first photo costs seconds more than the others, because libraries start and graphs are
traced. The page is made of the OpenAPI description: no script, nothing from elsewhere.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from html import escape
from typing import Any

import fastapi
from fastapi.responses import JSONResponse, Response

from c2m_tf.server.queue import WorkQueue
from c2m_tf.startup import one_line

_STYLE = """
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 0 auto; max-width: 56rem; padding: 1.5rem; }
  h2 { font: bold 1.1rem monospace; border-top: 1px solid #8886; padding-top: 1rem; }
  td, th { padding: .1rem 1rem .1rem 0; text-align: left; vertical-align: top; }
"""


class Health:
    """The two paths, and the warm-up that the second one waits for.

    Args:
        queue: the warm-up takes the first.
        work: called in the worker thread with `report(done, total)`, when the application starts; None if there is nothing to
            wait for.
    """

    def __init__(self, queue: WorkQueue, work: Callable[[Callable[[int, int], None]], None] | None) -> None:
        self._queue = queue
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

    async def _warm_up(self) -> None:
        if self._work is None:
            return
        try:
            await self._queue.run(self._work, _forever(), math.inf)
        except Exception as error:  # whatever it is, the process is not ready, and says why
            self._waits_for = one_line(error)
        else:
            self._waits_for = None
        self._ended.set()


async def _forever() -> None:
    await asyncio.Event().wait()


def description_page(openapi: dict[str, Any]) -> str:
    """HTML of an OpenAPI description: for each path and method its text, parameters, form fields and responses."""
    parts = [
        "<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>c2m-tf: HTTP interface</title>",
        f"<link rel='icon' href='data:,'><style>{_STYLE}</style>",
        f"<h1>{escape(openapi['info']['title'])} {escape(openapi['info']['version'])}</h1>",
        "<p>The same for programs: <a href='openapi.json'>openapi.json</a></p>",
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2>{escape(method.upper())} {escape(path)}</h2><p>{escape(operation.get('description', ''))}</p>")
            rows = [(given["name"], given["in"], given["schema"]) for given in operation.get("parameters", [])]
            rows += [(name, "form", schema) for name, schema in _fields(openapi, operation).items()]
            if rows:
                parts.append(_table(("name", "in", "type"), [(name, place, _kind(schema)) for name, place, schema in rows]))
            answers = [(status, answer.get("description", "")) for status, answer in operation["responses"].items()]
            parts.append(_table(("status", "meaning"), answers))
    return "\n".join(parts) + "\n</html>\n"


def _fields(openapi: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """{name: schema} of the form of an operation."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        return openapi["components"]["schemas"].get(name, {}).get("properties", {})
    return {}


def _kind(schema: dict[str, Any]) -> str:
    """A JSON schema in a word or two."""
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"any number of: {_kind(schema['items'])}"
    is_file = "contentMediaType" in schema or schema.get("format") == "binary"
    return "file" if is_file else str(schema.get("type", ""))


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
