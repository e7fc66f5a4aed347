"""Listens on an address and serves until the process is asked to stop, over connections that are closed when they are idle.

uvicorn itself waits without limit for headers and for clients that do not read.
"""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import fastapi
import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from c2m_tf.server.app import create_app
from c2m_tf.server.limits import Limits
from c2m_tf.server.middleware import ANY_HOST, log_to_standard_error
from c2m_tf.startup import ending_signals
from c2m_tf.upscaling.upscaler import Upscaler

MAX_CONNECTIONS = 512

logger = logging.getLogger("c2m_tf.server")

GRACE_SECONDS = 7.0  # to finish requests; container engines wait for ten
_END_SECONDS = 2.0  # more, until the process ends whatever it computes


class TimedConnection(H11Protocol):
    """A connection that is closed after `idle_seconds` without progress.

    Timed are: a connection without a request, headers until they are complete, the rest of a body that was refused, and a
    response of which nothing is read. From complete headers on, a request to upscale has its own
    deadline (`RequestLimits`);
    between requests uvicorn's keep-alive timeout applies.
    """

    idle_seconds = 20.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_reading()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_reading()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._writing)
        self._writing = None

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP. uvicorn's answer would go beside that of a request which is being worked on."""
        client = self.client[0] if self.client else "-"
        logger.info("%s sends what is no HTTP, 400", client)
        answers = self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)
        if self.cycle is not None and not self.cycle.response_complete:
            answers = answers and not self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if answers:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._reading)
        _stop(self._writing)
        self._reading = self._writing = None
        super().connection_lost(exc)

    def _watch_reading(self) -> None:
        """Starts the timer when no request is being worked on."""
        working = self.cycle is not None and not self.cycle.response_complete
        between_requests = self.cycle is not None and self.conn.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}
        if working or (between_requests and not self.conn.trailing_data[0]):
            _stop(self._reading)
            self._reading = None
        elif self._reading is None:
            self._reading = self.loop.call_later(self.idle_seconds, self.transport.abort)

    def _watch_writing(self, left: int) -> None:
        """Closes the connection if the client reads no byte of the remaining response in time."""
        _stop(self._writing)
        self._writing = self.loop.call_later(self.idle_seconds, self._check_writing, left)

    def _check_writing(self, left: int) -> None:
        now_left = self.transport.get_write_buffer_size()
        if now_left < left:
            self._watch_writing(now_left)
        else:
            self.transport.abort()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


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
        before = {number: signal.signal(number, self.handle_exit) for number in (*ending_signals(), signal.SIGINT)}
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
    """Serves until SIGTERM, SIGINT or SIGHUP, and then ends the process, with code 0.

    Small photos are upscaled first, and each request is a line on standard error.

    Requests that were accepted are answered if that takes `GRACE_SECONDS` at most; the process ends within ten seconds.

    Args:
        upscaler, model, limits, hosts: see `app.create_app`.
        listener: of `listen`.
    """
    log_to_standard_error()
    config = server_config(create_app(upscaler, model, limits, warms_up=True, hosts=hosts), limits, log_level="error")
    print(f"serving {model} on {address(listener)}", flush=True)
    server = _Server(config)
    server.run(sockets=[listener])
    # Python would destroy what TensorFlow holds, seconds of processor time that a busy machine does not have within the ten.
    logging.shutdown()
    os._exit(0 if server.started else 1)
