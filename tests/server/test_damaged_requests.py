"""Requests damaged at random: each has an answer that says what is wrong with it, or none, and the server goes on.

`FUZZED_FILES` sets how many the long run sends, a tenth of it, 2,000 if it is not set.
"""

import contextlib
import os
import re
import socket

import numpy as np
import pytest
from damaged_files import mutated
from plain_upscaler import PlainUpscaler

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

from serving import Running, files, photos, png, wait_for  # noqa: E402

from c2m_tf import Upscaler  # noqa: E402
from c2m_tf.server.limits import Limits  # noqa: E402

LONG_RUN = int(os.environ.get("FUZZED_FILES", "20000")) // 10
STATUSES = {200, 400, 403, 404, 405, 413, 415, 422, 429}
HEAD = b"""\
POST /v1/upscale HTTP/1.1
Host: 127.0.0.1
Content-Type: multipart/form-data; boundary=X
Origin: http://127.0.0.1
Sec-Fetch-Site: same-origin
X-Request-ID: photo-1
Accept: */*
""".replace(b"\n", b"\r\n")
PART = b'--X\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
FIELDS = {b"strength": b"0.5", b"region": b"0,0,5,5", b"long_side": b"20"}
PIECES = [
    b"\r\n",
    b"\n",
    b"\0",
    b"\xff",
    b"--X",
    b"--X--\r\n",
    b": ",
    b'"',
    b";",
    b"%0a",
    b"9" * 30,
    b"-1",
    b"nan",
    b" \t",
    b"\x1b[2J",
]
PIECES += [
    b"name*=utf-8''%ff; name=\"lr\"",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
]
PIECES += [
    b"Upgrade: websocket\r\n",
    b"filename*=utf-16''%d8",
    b"../",
    b"=?utf-8?q?=0a?=",
    b"Host: evil.example\r\n",
    b"HTTP/1.0",
]


@pytest.fixture(scope="module")
def running():
    running = Running(Upscaler(PlainUpscaler()), Limits(max_bytes=300_000, timeout=60.0))
    yield running
    running.stop()


def body(pair):
    lr, ref = photos(pair)
    parts = [PART % (b"lr", b'; filename="lr.png"', png(lr)), PART % (b"ref", b'; filename="a b.png"', png(ref))]
    return b"".join([*parts, *(PART % (name, b"", value) for name, value in FIELDS.items())]) + b"--X--\r\n"


def damaged(random):
    """A request, of which the headers, the body or both are damaged; of most the length is right again."""
    kind, content, head = random.randint(3), body(random.randint(3)), HEAD
    content = mutated(content, random, PIECES) if kind != 0 else content
    if random.randint(3):
        head += b"Content-Length: %d\r\n" % len(content)
    else:
        head += b"Transfer-Encoding: chunked\r\n"
        content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
    return (mutated(head, random, PIECES) if kind != 1 else head) + b"\r\n" + content


def status(port, request):
    """Of the answer; None if there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(request)
        connection.settimeout(0.3)
        try:
            answer = connection.recv(65536)
        except TimeoutError:  # the server waits for more
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(60)
            answer = connection.recv(65536)
        if answer:
            return int(re.match(rb"HTTP/1.1 (?:100 Continue\r\n\r\nHTTP/1.1 )?(\d{3}) ", answer)[1])
    return None


# Starlette leaves the files of forms that break off to the garbage collector.
@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")
@pytest.mark.parametrize("number", [150, pytest.param(LONG_RUN, marks=pytest.mark.slow)])
def test_damaged_requests_are_answered_or_dropped(running, number):
    expected = running.client.post("/v1/upscale", files=files(*photos())).content
    random, statuses = np.random.RandomState(0), []
    for _ in range(number):
        request = damaged(random)
        found = status(running.port, request)
        assert found is None or found in STATUSES, request
        statuses.append(found)
    assert {200, 400, 422} <= set(statuses)
    wait_for(lambda: "c2m_pending_requests 0.0" in running.client.get("/metrics").text)
    assert 'status="500"' not in running.client.get("/metrics").text
    assert running.client.post("/v1/upscale", files=files(*photos())).content == expected
