"""One line in the log for each request, and an identifier by which its client can ask about it."""

import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from c2m_tf.server.gate import CLIENT_LEFT, Message, Receive, Send

logger = logging.getLogger("c2m_tf.server")

_IDENTIFIER = re.compile(r"[!-~]{1,64}")
_MAX_PATH = 200


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
