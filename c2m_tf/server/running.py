"""Listens on an address and serves until the process is asked to stop."""

import os
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import fastapi
import uvicorn

from c2m_tf.server.app import create_app
from c2m_tf.server.connections import MAX_CONNECTIONS, TimedConnection
from c2m_tf.server.limits import Limits
from c2m_tf.server.protection import ANY_HOST
from c2m_tf.server.request_log import log_to_standard_error
from c2m_tf.upscaling.upscaler import Upscaler

GRACE_SECONDS = 7.0  # to finish requests; container engines wait for ten
_END_SECONDS = 2.0  # more, until the process ends whatever it computes


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: name or address, IPv4 or IPv6 (with or without brackets); `::` takes both.
        port: 0 takes a free one.

    Raises:
        ValueError: port or address cannot be used.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"--port {port} is not a port number; choose one up to 65535, or 0 for a free one")
    host = host.strip("[]")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server((host, port), family=family, dualstack_ipv6=both)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot listen on {host} port {port}: {reason}; choose another --port or --host") from error


def address(listener: socket.socket) -> str:
    """URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def server_config(app: fastapi.FastAPI, limits: Limits, **options: Any) -> uvicorn.Config:
    """How uvicorn serves the application: connections are bounded in number and time."""
    return uvicorn.Config(
        app,
        http=TimedConnection,
        ws="none",
        loop="asyncio",  # also where uvloop is installed: what is promised is tested with one loop
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=int(GRACE_SECONDS),
        **options,
    )


class _Server(uvicorn.Server):
    """Ends well when it is asked to, and in time: a computation that nothing interrupts is given up."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise them again for the handlers before; they have been handled.
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number in before:
                signal.signal(number, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: Any) -> None:
        if not self.should_exit:
            end = threading.Timer(GRACE_SECONDS + _END_SECONDS, os._exit, (0,))
            end.daemon = True
            end.start()
        super().handle_exit(sig, frame)


def allowed_hosts(host: str, given: Collection[str]) -> Collection[str]:
    """Names that a server on the address `host` may be called by: those `given`, else any, or none where it is loopback."""
    loopback = host.strip("[]") in ("localhost", "::1") or host.startswith("127.")
    return given or (() if loopback else (ANY_HOST,))


def run_server(upscaler: Upscaler, model: str, limits: Limits, listener: socket.socket, hosts: Collection[str] = ()) -> None:
    """Serves until SIGTERM or SIGINT; small photos are upscaled first, and each request is a line on standard error.

    Requests that were accepted are answered if that takes `GRACE_SECONDS` at most; the process ends within ten seconds.

    Args:
        upscaler, model, limits, hosts: see `app.create_app`.
        listener: of `listen`.
    """
    log_to_standard_error()
    config = server_config(create_app(upscaler, model, limits, warms_up=True, hosts=hosts), limits, log_level="error")
    print(f"serving {model} on {address(listener)}", flush=True)
    _Server(config).run(sockets=[listener])
