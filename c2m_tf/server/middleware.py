"""What a request passes before and after it is handled: names and origins, limits, its form, response headers, the log.

`RequestLimits` bounds media type, bytes, time and simultaneous uploads. The form is bounded, with known names alone; what the
server cannot keep is not the client's fault.

`Protection` keeps foreign web pages out. A page whose own name leads to this machine (DNS rebinding) could read every answer,
so names that nobody has allowed are refused; addresses and localhost are no names that a page can have. A form on any page can
send a photo, so requests of other origins that would be worked on are refused.

`RequestLog` gives each request an identifier, by which its client can ask about it, and a line in the log.
"""

import asyncio
import base64
import errno
import hashlib
import ipaddress
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Coroutine, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import fastapi
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from c2m_tf.server.limits import Limits

UPSCALE_PATH = "/v1/upscale"
RETRY_SECONDS = 10
CLIENT_LEFT = 499  # in the metrics only: nobody is there to read it

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FIELDS = ("lr", "ref", "album", "strength", "scale", "size", "long_side", "region", "evidence")
_SEVERAL = ("ref", "album")  # that may be given several times
_FIELD_BYTES = 2**16
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

ANY_HOST = "*"
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

logger = logging.getLogger("c2m_tf.server")

_IDENTIFIER = re.compile(r"[!-~]{1,64}")
_MAX_PATH = 200


class RequestLimits:
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

    async def _upscale(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
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

    def _check_headers(self, scope: MutableMapping[str, Any]) -> None:
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

    def __init__(self, limits: RequestLimits, receive: Receive, deadline: float | None) -> None:
        self._limits = limits
        self._receive = receive
        self._deadline = deadline
        self._received = 0
        self._counted = False
        self._complete = False
        self.left = False

    def begin(self) -> None:
        self._limits.begin_upload()
        self._counted = True

    def end(self) -> None:
        if self._counted:
            self._counted = False
            self._limits.end_upload()

    async def receive(self) -> Message:
        message = await self._next()
        self._received += len(message.get("body", b""))
        if self._received > self._limits.max_bytes:
            raise self._limits.too_large()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._complete = True
            self.left = message["type"] == "http.disconnect"
        return message

    async def _next(self) -> Message:
        if self._deadline is None or self._complete:
            return await self._receive()
        seconds = self._deadline - asyncio.get_running_loop().time()
        try:
            return await asyncio.wait_for(self._receive(), max(seconds, 0.0))
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise self._limits.too_slow() from error


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


def _problem(name: str, count: int) -> str | None:
    """What is wrong with a field that is given so often, if anything."""
    if name not in FIELDS:
        return f"{name[:64]}: there is no such field; the fields are {_listed()}"
    if count > 1 and name == "lr":
        return "lr: several photos are given; send one, and its references as ref"
    return f"{name} is given {count} times; give it once" if count > 1 and name not in _SEVERAL else None


def _listed() -> str:
    return f"{', '.join(FIELDS[:-1])} and {FIELDS[-1]}"


class Protection:
    """ASGI middleware that refuses foreign names and origins, and sets headers that bound what browsers do with responses.

    Args:
        app: ASGI application.
        hosts: names by which it may be called besides addresses and localhost; `ANY_HOST` for all.
    """

    def __init__(self, app: Any, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", _POLICY)
                headers["x-content-type-options"] = "nosniff"
                headers["x-frame-options"] = "DENY"
                headers["referrer-policy"] = "no-referrer"
                headers["cross-origin-resource-policy"] = "same-origin"
            await send(message)

        problem = self._problem(scope["method"], Headers(scope=scope))
        app = self._app if problem is None else JSONResponse({"detail": problem}, 403)
        await app(scope, receive, send_protected)

    def _problem(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        name = _name_of(host)
        if not (ANY_HOST in self._hosts or name in self._hosts or _is_local(name)):
            return f"{name[:64]} is no name of this server; allow it by --allow-host, or use its address"
        if method not in ("GET", "HEAD", "OPTIONS") and _is_foreign(headers, host):
            return "the request comes from a page of another site; use the server's own page, or a program"
        return None


def policy_of(page: str) -> str:
    """Content-Security-Policy of a page: its style and script by hash, files of the server, pictures that it makes itself."""
    hashes = {
        kind: " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for text in re.findall(rf"<{kind}[^>]*>(.*?)</{kind}>", page, re.DOTALL)
        )
        for kind in ("style", "script")
    }
    return (
        f"default-src 'none'; style-src {hashes['style']}; script-src 'self' {hashes['script']}; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _name_of(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_local(name: str) -> bool:
    """Whether it is no name that a foreign page can have: an address, localhost, or none, as HTTP/1.0 allows."""
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign(headers: Headers, host: str) -> bool:
    """Whether a browser says that a page of another origin sends the request; programs say nothing."""
    site = headers.get("sec-fetch-site")  # what proxies do to the Host header does not change it
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != host.lower()


class RequestLog:
    """ASGI middleware: the response has the header X-Request-ID, the request's own or a new one, and the log a line.

    A line has: client's address, method, path (as it was sent, of ASCII alone), status, seconds, identifier.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        identifier = given if _IDENTIFIER.fullmatch(given) else uuid.uuid4().hex
        started, statuses = time.monotonic(), []

        async def send_identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                MutableHeaders(scope=message)["x-request-id"] = identifier
            await send(message)

        failed = True
        try:
            await self._app(scope, receive, send_identified)
            failed = False
        finally:
            status = statuses[0] if statuses else 500 if failed else CLIENT_LEFT
            path = scope.get("raw_path", b"").decode("ascii", "backslashreplace")[:_MAX_PATH]
            client = (scope.get("client") or ("-",))[0]
            seconds = time.monotonic() - started
            logger.info("%s %s %s %d %.2fs %s", client, scope["method"], path, status, seconds, identifier)


def log_to_standard_error() -> None:
    """Writes the lines, and errors of the packages that serve, to standard error, each with its time."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns about bytes of every wrong form
