"""Checks that a request to upscale passes before it is handled: media type, bytes, time, simultaneous uploads."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from c2m_tf.server.limits import Limits

UPSCALE_PATH = "/v1/upscale"
RETRY_SECONDS = 10
CLIENT_LEFT = 499  # in the metrics only: nobody is there to read it

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Gate:
    """ASGI middleware that bounds incoming requests.

    For requests to upscale, `request.state.deadline` is the time of the event loop's clock by which an answer is due, and
    `request.state.max_files` how many files the form may have. A request holds its place among the uploads until it is answered
    or calls `request.state.end_upload`, so that what is done with a body before it waits for its turn counts too.

    Args:
        app: ASGI application.
        limits: Limits.
        check_room: raises an HTTPException if no more work is accepted.
        count: called with the status of each request to upscale.
    """

    def __init__(self, app: Any, limits: Limits, check_room: Callable[[], None], count: Callable[[int], None]) -> None:
        self._app = app
        self._limits = limits
        self._check_room = check_room
        self._count = count
        self._uploads = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].removeprefix(scope.get("root_path", "")) != UPSCALE_PATH or scope["method"] != "POST":
            await self._app(scope, _Body(self, receive, None).receive, send)
        else:
            await self._upscale(scope, receive, send)

    async def _upscale(self, scope, receive, send):
        statuses = []

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        deadline = asyncio.get_running_loop().time() + self._limits.timeout
        body = _Body(self, receive, deadline)
        files = self._limits.max_references + 1
        scope.setdefault("state", {}).update(deadline=deadline, max_files=files, end_upload=body.end)
        try:
            self._check_headers(scope)
            self._check_room()
            body.begin()
        except HTTPException as error:
            await JSONResponse({"detail": error.detail}, error.status_code, error.headers)(scope, receive, send_and_note)
        else:
            try:
                await self._app(scope, body.receive, send_and_note)
            except Exception:
                self._count(500)
                raise
            finally:
                body.end()
        self._count(CLIENT_LEFT if body.left or not statuses else statuses[0])

    def _check_headers(self, scope):
        headers = Headers(scope=scope)
        kind = headers.get("content-type", "")
        if kind.split(";")[0].strip().lower() != "multipart/form-data":
            sentence = f"the request is {kind or 'of no type'}; send multipart/form-data with the files lr and ref"
            raise HTTPException(415, sentence)
        announced = headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > self._limits.max_bytes:
            raise self.too_large()

    def too_large(self) -> HTTPException:
        """The response to a body of too many bytes."""
        return HTTPException(413, f"the request has more than {self._limits.max_bytes:,} bytes; send smaller photos")

    def too_slow(self) -> HTTPException:
        """The response to a body that does not end in time."""
        return HTTPException(
            408, f"the upload did not end within {self._limits.timeout:g} seconds; send smaller photos", {"Connection": "close"}
        )

    def begin_upload(self) -> None:
        """Counts an upload; raises HTTPException if too many are under way."""
        if self._uploads >= self._limits.max_uploads:
            raise HTTPException(
                429,
                f"{self._uploads} uploads are under way already; try again later",
                {"Retry-After": str(RETRY_SECONDS)},
            )
        self._uploads += 1

    def end_upload(self) -> None:
        """Ends the counting of an upload."""
        self._uploads -= 1

    @property
    def max_bytes(self) -> int:
        """Maximum size of a whole request."""
        return self._limits.max_bytes


class _Body:
    """The body of one request while it arrives; `left` says whether its client has left."""

    def __init__(self, gate: Gate, receive: Receive, deadline: float | None) -> None:
        self._gate = gate
        self._receive = receive
        self._deadline = deadline
        self._received = 0
        self._counted = False
        self._complete = False
        self.left = False

    def begin(self) -> None:
        self._gate.begin_upload()
        self._counted = True

    def end(self) -> None:
        if self._counted:
            self._counted = False
            self._gate.end_upload()

    async def receive(self) -> Message:
        message = await self._next()
        self._received += len(message.get("body", b""))
        if self._received > self._gate.max_bytes:
            raise self._gate.too_large()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._complete = True
            self.left = message["type"] == "http.disconnect"
        return message

    async def _next(self):
        if self._deadline is None or self._complete:
            return await self._receive()
        seconds = self._deadline - asyncio.get_running_loop().time()
        try:
            return await asyncio.wait_for(self._receive(), max(seconds, 0.0))
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise self._gate.too_slow() from error
