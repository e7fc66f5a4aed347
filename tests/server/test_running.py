"""Addresses and limits that `c2m-tf serve` accepts."""

import functools
import math
import re
import signal
import socket
import subprocess
import sys

import pytest

for name in ("uvicorn", "fastapi", "multipart", "prometheus_client"):
    pytest.importorskip(name)

from c2m_tf.server.limits import Limits  # noqa: E402
from c2m_tf.server.running import address, allowed_hosts, listen  # noqa: E402


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "::", "0.0.0.0"])
def test_addresses_of_both_kinds_are_listened_on(host):
    if ":" in host and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with listen(host, 0) as listener:
        port = listener.getsockname()[1]
        assert re.fullmatch(r"http://(\[[0-9a-f:]+\]|[0-9.]+):\d+", address(listener))
        loopback = "::1" if host in ("::1", "[::1]") else "127.0.0.1"
        if host != "localhost":
            socket.create_connection((loopback, port), timeout=10).close()


def _has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "port"), [("203.0.113.1", 0), ("no such host", 0), ("a" * 70, 0), ("127.0.0.1", 65536), ("::1", -1)]
)
def test_unusable_addresses_are_refused(host, port):
    with pytest.raises(ValueError, match=r"cannot listen on|is not a port number"):
        listen(host, port)


@pytest.mark.parametrize("field", Limits._fields)
@pytest.mark.parametrize("value", [0, -1, math.inf, -math.inf, math.nan])
def test_limits_that_are_no_positive_numbers_are_refused(field, value):
    with pytest.raises(ValueError, match=f"--{field.replace('_', '-')} .* is not a positive number"):
        Limits(**{field: value}).check()


@pytest.mark.parametrize(
    "arguments", [["--timeout", "inf"], ["--timeout", "nan"], ["--max-memory", "inf"], ["--max-memory", "-1"]]
)
def test_the_command_refuses_them_in_one_line(arguments, capsys):
    from c2m_tf.cli import main

    assert main(["serve", "--port", "0", *arguments]) == 2
    error = capsys.readouterr().err
    assert "is not a positive number" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "given", "expected"),
    [
        ("127.0.0.1", [], ()),
        ("localhost", [], ()),
        ("[::1]", [], ()),
        ("0.0.0.0", [], ("*",)),
        ("192.168.1.2", ["photos.example"], ["photos.example"]),
        ("127.0.0.1", ["photos.example"], ["photos.example"]),
    ],
)
def test_names_are_free_only_where_other_machines_reach_the_server(host, given, expected):
    assert allowed_hosts(host, given) == expected


# The server in a process of its own, around work that nothing interrupts.
STUCK = """
import sys, time
from c2m_tf.server import running
from c2m_tf.server.limits import Limits

class Stuck:
    def warm_up(self, progress=None):
        print("working", flush=True)
        if sys.argv[1] == "working":
            time.sleep(600)

running.GRACE_SECONDS = running._END_SECONDS = 1.0
with running.listen("127.0.0.1", 0) as listener:
    running.run_server(Stuck(), "stuck", Limits(), listener)
"""


@pytest.mark.parametrize("moment", ["working", "ready"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_the_process_ends_well_whatever_it_computes(moment, number):
    command = [sys.executable, "-c", STUCK, moment]
    heed = functools.partial(signal.signal, number, signal.SIG_DFL)  # where the tests run below nohup
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **pipes, preexec_fn=heed) as process:
        try:
            for line in process.stdout:
                if line == "working\n":
                    break
            process.send_signal(number)
            assert process.wait(60) == 0
        finally:
            process.kill()
