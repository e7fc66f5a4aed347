"""What keeps foreign web pages from using a server that their visitor can reach: names, origins, response headers.

A page whose own name leads to this machine (DNS rebinding) could read every answer, so names that nobody has allowed are
refused; addresses and localhost are no names that a page can have. A form on any page can send a photo, so requests of other
origins that would be worked on are refused.
"""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from c2m_tf.server.gate import Message, Receive, Send

ANY_HOST = "*"
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


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

    def _problem(self, method, headers):
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


def _name_of(host):
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_local(name):
    """Whether it is no name that a foreign page can have: an address, localhost, or none, as HTTP/1.0 allows."""
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign(headers, host):
    """Whether a browser says that a page of another origin sends the request; programs say nothing."""
    site = headers.get("sec-fetch-site")  # what proxies do to the Host header does not change it
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != host.lower()
