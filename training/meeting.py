"""Where the processes of a distributed run meet before JAX connects them.

JAX ends a process (SIGABRT) that finds no coordinator, or whose partners do not come. So process 0 listens at the coordinator's
address first, for as long as it takes the others to come; each says in a line of JSON who it is and what it is about to run,
and gets a line with the verdict. Only then JAX takes the port over.
"""

import contextlib
import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from .config import ConfigError

_PATIENCE = 5.0  # seconds for the line of someone who is connected
_PAUSE = 0.2  # seconds between attempts to connect


def meet(address: tuple[str, int], rank: int, processes: int, facts: Mapping[str, Any], wait: float) -> None:
    """Returns once all processes are there and agree.

    Args:
        address: host and port of process 0.
        rank: of this process, in [0, processes).
        processes: how many there are.
        facts: what has to be equal in all of them; {what it is called: something that JSON holds}.
        wait: seconds for the others to come.

    Raises:
        ConfigError: processes that do not come, that are there twice, or of other facts.
    """
    own = {"rank": rank, "processes": processes, **facts}
    if rank == 0:
        _host(address, own, wait)
    else:
        _visit(address, own, wait)


def _host(address, own, wait):
    deadline = time.monotonic() + wait
    visitors: dict[int, socket.socket] = {}
    fault = None
    with _listening(address[1]) as server:
        while len(visitors) < own["processes"] - 1 and fault is None:
            server.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection, _ = server.accept()
            except TimeoutError:
                fault = _absence(own["processes"], visitors, address, wait)
                break
            visitor = _read(connection)
            if visitor is None:  # not one of us: something that looks for open ports
                connection.close()
                continue
            fault = _difference(own, visitor, visitors)
            visitors.setdefault(visitor["rank"], connection)
            if visitors[visitor["rank"]] is not connection:
                _tell(connection, fault)
    for connection in visitors.values():
        _tell(connection, fault)
    if fault is not None:
        raise ConfigError(fault)


def _listening(port):
    dual = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual, backlog=1024
        )
    except OSError as error:
        raise ConfigError(f"distributed.coordinator: port {port} cannot be opened: {error.strerror}; give another") from error


def _absence(processes, visitors, address, wait):
    missing = [str(rank) for rank in range(1, processes) if rank not in visitors]
    return (
        f"distributed: of {processes} processes {', '.join(missing)} did not come to {address[0]}:{address[1]} within {wait:g} "
        f"seconds; see what they say, and whether the port is open"
    )


def _difference(own, visitor, visitors):
    """What keeps a visitor from running with this process, or None."""
    rank = visitor["rank"]
    if visitor["processes"] != own["processes"]:
        return f"distributed.processes is {own['processes']} in process 0 but {visitor['processes']} in process {rank}"
    if rank == 0 or rank in visitors:
        return f"distributed.rank: two processes are number {rank}; expected are 0 to {own['processes'] - 1}, each once"
    for name, fact in own.items():
        other = visitor.get(name)
        if name != "rank" and other != fact:
            keys = sorted(key for key in fact if fact[key] != other.get(key)) if isinstance(fact, dict) else []
            return f"distributed: process {rank} has another {name} than process 0{' in ' * bool(keys)}{', '.join(keys)}"
    return None


def _visit(address, own, wait):
    deadline = time.monotonic() + wait
    name = f"{address[0]}:{address[1]}"
    while True:
        left = deadline - time.monotonic()
        try:
            connection = socket.create_connection(address, timeout=max(0.1, left))
            break
        except OSError as error:
            if left < _PAUSE:
                raise ConfigError(
                    f"distributed.coordinator: {name} cannot be reached within {wait:g} seconds ({error.strerror or error}); "
                    f"is process 0 running there, and is the port open?"
                ) from error
        time.sleep(_PAUSE)
    with connection:
        try:
            connection.sendall(json.dumps(own).encode() + b"\n")
            # Process 0 began to wait at another time, so its verdict may come later than this process's own time is up.
            connection.settimeout(wait + _PATIENCE)
            verdict = _line(connection)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"distributed.coordinator: process 0 at {name} gives no answer ({error}); see what it says"
            ) from error
    if verdict.get("fault") is not None:
        raise ConfigError(verdict["fault"])


def _read(connection):
    """What a visitor says of itself; None if that is not what a process of such a run says."""
    connection.settimeout(_PATIENCE)
    try:
        visitor = _line(connection)
    except (OSError, ValueError):
        return None
    whole = all(isinstance(visitor.get(key), int) for key in ("rank", "processes"))
    return visitor if whole else None


def _line(connection):
    """A line of JSON that holds an object; raises ValueError if something else comes."""
    with connection.makefile("rb") as file:
        line = file.readline(1 << 20)
    if not line.endswith(b"\n"):
        raise ValueError("the connection was closed")
    said = json.loads(line)
    if not isinstance(said, dict):
        raise ValueError("it is no process of this program")
    return said


def _tell(connection, fault):
    with connection, contextlib.suppress(OSError):  # one that is gone has said why
        connection.sendall(json.dumps({"fault": fault}).encode() + b"\n")
