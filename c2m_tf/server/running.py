"""Listens on an address and serves until the process is asked to stop."""

import signal
import socket
from typing import Any

import fastapi
import uvicorn

from c2m_tf.server.app import create_app
from c2m_tf.server.connections import MAX_CONNECTIONS, TimedConnection
from c2m_tf.server.limits import Limits
from c2m_tf.upscaling.base import TiledUpscaler


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
        timeout_graceful_shutdown=int(limits.timeout) + 1,
        **options,
    )


def run_server(upscaler: TiledUpscaler, model: str, limits: Limits, listener: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT; requests that were accepted are still answered. A small photo is upscaled first.

    Args:
        upscaler, model, limits: see `app.create_app`.
        listener: of `listen`.
    """
    config = server_config(create_app(upscaler, model, limits, warms_up=True), limits, log_level="warning")
    print(f"serving {model} on {address(listener)}", flush=True)
    # uvicorn raises the signal that ended it again for the previous handlers; it has been handled by then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    uvicorn.Server(config).run(sockets=[listener])
