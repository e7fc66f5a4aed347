"""Guarantees of docs/limits.md about the server: bounded memory and time for any client, and nothing left behind."""

import contextlib
import io
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image

for name in ("httpx", "uvicorn", "fastapi", "multipart", "prometheus_client"):
    pytest.importorskip(name)

from serving import Held, Running, files, photos, png, wait_for  # noqa: E402

from c2m_tf import Upscaler  # noqa: E402
from c2m_tf.photos import image  # noqa: E402
from c2m_tf.server.limits import Limits  # noqa: E402
from c2m_tf.server.running import TimedConnection  # noqa: E402
from c2m_tf.upscaling.base import Restored  # noqa: E402
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler  # noqa: E402

LIMITS = Limits(
    max_bytes=200_000, max_lr_pixels=1600, max_ref_pixels=40_000, max_references=3, max_uploads=2, queue=2, timeout=60.0
)
HEAD = b"POST /v1/upscale HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=X\r\n"
PART = b'--X\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n'


def body(lr, *refs):
    return b"".join(PART % (name, png(photo)) for name, photo in [(b"lr", lr), *((b"ref", ref) for ref in refs)]) + b"--X--\r\n"


def whole_request(seed=0, name=None):
    content = body(*photos(seed))
    named = b"" if name is None else b"X-Request-ID: %s\r\n" % name.encode()
    return HEAD + named + b"Content-Length: %d\r\n\r\n" % len(content) + content


def send(running, content):
    client = socket.create_connection(("127.0.0.1", running.port))
    client.sendall(content)
    return client


def figures(running):
    return running.client.get("/metrics").text


def nothing_pending(running):
    return "c2m_pending_requests 0.0" in figures(running)


@pytest.fixture(scope="module")
def upscaler(tiny):
    return Upscaler(tiny)


@pytest.fixture
def short(upscaler):
    """A server whose requests may take one second."""
    running = Running(upscaler, LIMITS._replace(timeout=1.0))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def running(upscaler):
    running = Running(upscaler, LIMITS)
    yield running
    running.stop()


@pytest.fixture
def held(tiny):
    """A server whose photos take until `held.upscaler.free` is set; three may be sent to it at once."""
    upscaler = Held(tiny)
    running = Running(upscaler, LIMITS._replace(max_uploads=3))
    running.upscaler = upscaler
    yield running
    upscaler.free.set()
    running.stop()


UNFINISHED_UPLOADS = {
    "nothing of the body": HEAD + b"Content-Length: 1000\r\n\r\n",
    "half a boundary": HEAD + b"Content-Length: 1000\r\n\r\n--",
    "headers of a part": HEAD + b"Content-Length: 1000\r\n\r\n" + (PART % (b"lr", b""))[:40],
    "half a photo": HEAD + b"Content-Length: 100000\r\n\r\n" + PART % (b"lr", bytes(5000)),
    "all but the last byte": whole_request()[:-1],
    "chunks without end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--X\r\n\r\n",
    "a body that waits for a go-ahead": HEAD + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
}


@pytest.mark.parametrize("content", UNFINISHED_UPLOADS.values(), ids=UNFINISHED_UPLOADS.keys())
def test_unfinished_uploads_time_out_and_make_room(short, content):
    clients = [send(short, content) for _ in range(LIMITS.max_uploads)]
    for client in clients:
        client.settimeout(30)
        answer = b"".join(iter(lambda client=client: client.recv(4096), b""))
        assert b"HTTP/1.1 408" in answer
        assert b"the upload did not end within 1 seconds" in answer
        client.close()
    # Nothing is left of them: as many again find room.
    again = [send(short, content) for _ in range(LIMITS.max_uploads)]
    for client in again:
        client.settimeout(30)
        assert b" 408 " in client.recv(4096).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"") or b" 408 " in client.recv(4096)
        client.close()


def test_slow_uploads_time_out_like_stalled_ones(short):
    client = send(short, UNFINISHED_UPLOADS["half a photo"])
    client.settimeout(0.1)
    answer, deadline = b"", time.monotonic() + 30
    while b"408" not in answer and time.monotonic() < deadline:
        client.sendall(b"-")
        try:
            answer += client.recv(4096)
        except TimeoutError:
            continue
    assert b"HTTP/1.1 408" in answer
    client.close()


UNFINISHED_HEADERS = {
    "no byte": b"",
    "half a line": b"POST /v1",
    "no empty line": HEAD,
    "of another path": b"GET / HTTP/1.1\r\nA: b",
}


@pytest.fixture
def few_connections(upscaler, monkeypatch):
    monkeypatch.setattr("c2m_tf.server.running.MAX_CONNECTIONS", 6)
    running = Running(upscaler, LIMITS)
    yield running
    running.stop()


def test_connections_over_the_limit_are_refused(few_connections):
    def status():
        return few_connections.client.get("/healthz").status_code

    clients = [send(few_connections, b"") for _ in range(4)]
    assert status() == 200  # with the connection that asks, one less than the limit
    clients.append(send(few_connections, b""))
    wait_for(lambda: status() == 503)
    clients.pop().close()
    wait_for(lambda: status() == 200)
    for client in clients:
        client.close()


@pytest.mark.parametrize("content", UNFINISHED_HEADERS.values(), ids=UNFINISHED_HEADERS.keys())
def test_a_connection_without_a_whole_request_is_closed(running, monkeypatch, content):
    monkeypatch.setattr(TimedConnection, "idle_seconds", 0.3)
    client = send(running, content)
    client.settimeout(30)
    assert client.recv(100) == b""
    client.close()


def test_the_rest_of_a_refused_body_times_out(running, monkeypatch):
    monkeypatch.setattr(TimedConnection, "idle_seconds", 0.3)
    client = send(running, HEAD + b"Content-Length: 99999999\r\n\r\n")
    client.settimeout(30)
    answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert b"HTTP/1.1 413" in answer
    client.close()


def test_uploads_over_the_limit_are_refused_at_once(running):
    clients = [send(running, UNFINISHED_UPLOADS["half a photo"]) for _ in range(LIMITS.max_uploads)]
    wait_for(lambda: running.client.post("/v1/upscale", files=files(*photos())).status_code == 429)
    answer = running.client.post("/v1/upscale", files=files(*photos()))
    assert "2 uploads are under way already" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    for client in clients:
        client.close()
    wait_for(lambda: running.client.post("/v1/upscale", files=files(*photos())).status_code == 200)


def test_a_request_holds_its_place_while_its_photos_are_checked(upscaler, monkeypatch):
    """Else any number of them would be kept, and every thread be busy with headers."""
    checked = threading.Event()
    monkeypatch.setattr(upscaler, "prepare", lambda *_: checked.wait(60) and contextlib.nullcontext())
    running = Running(upscaler, LIMITS)
    clients = [send(running, whole_request()) for _ in range(LIMITS.max_uploads)]
    try:
        wait_for(lambda: running.client.post("/v1/upscale", files=files(*photos())).status_code == 429)
        assert nothing_pending(running)
    finally:
        checked.set()
        for client in clients:
            client.close()
        running.stop()


def test_a_check_of_photos_that_takes_too_long_is_answered_in_time(upscaler, monkeypatch):
    checked = threading.Event()
    monkeypatch.setattr(upscaler, "prepare", lambda *_: checked.wait(60) and contextlib.nullcontext())
    running = Running(upscaler, LIMITS._replace(timeout=2.0))
    try:
        answer = running.client.post("/v1/upscale", files=files(*photos()))
        assert (answer.status_code, answer.json()["detail"][:10]) == (503, "no result ")
    finally:
        checked.set()
        running.stop()


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "a chunk without a size": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk of an upload": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--X\r\n\r\nzz\r\n",
    "a request and no HTTP": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nhello\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "a target that is none": b"GET \xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_one_line_and_no_traceback(running, content, caplog):
    caplog.set_level("INFO")
    with send(running, content) as client:
        client.settimeout(30)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.count(b"HTTP/1.1 ") <= 2
    assert b"HTTP/1.1 500" not in answer
    assert running.client.get("/healthz").status_code == 200
    assert "Traceback" not in caplog.text
    assert caplog.text.count("127.0.0.1 sends what is no HTTP, 400") == 1


def test_work_of_disconnected_clients_is_dropped(held):
    clients = [send(held, whole_request(number, f"n{number}")) for number in range(3)]
    wait_for(lambda: "c2m_pending_requests 3.0" in figures(held))
    assert held.client.post("/v1/upscale", files=files(*photos())).status_code == 429
    running = next(n for n in range(3) if held.client.get(f"/v1/progress/n{n}").json()["state"] == "running")
    for number, client in enumerate(clients):
        if number != running:
            client.close()
    wait_for(lambda: "c2m_pending_requests 1.0" in figures(held))  # while the first is still worked on
    clients[running].close()
    wait_for(lambda: 'c2m_requests_total{status="499"} 3.0' in figures(held))
    assert "c2m_pending_requests 1.0" in figures(held)
    held.upscaler.free.set()  # its next tile
    wait_for(lambda: nothing_pending(held))
    assert held.client.post("/v1/upscale", files=files(*photos())).status_code == 200


def test_work_that_waits_too_long_is_dropped(tiny):
    upscaler = Held(tiny)
    running = Running(upscaler, LIMITS._replace(timeout=10.0, max_uploads=3))
    try:
        for client in [send(running, whole_request(number)) for number in range(3)]:
            with client:
                client.settimeout(60)
                assert b"HTTP/1.1 503" in client.recv(4096)
        assert "c2m_pending_requests 1.0" in figures(running)  # the one whose tile is not done
        upscaler.free.set()
        wait_for(lambda: nothing_pending(running))
    finally:
        upscaler.free.set()
        running.stop()


def flat_png(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (9, 9, 9)).save(file, "PNG")
    return file.getvalue()


def test_references_are_counted_before_decoding(running, monkeypatch):
    decoded = []
    monkeypatch.setattr(image, "pixels_of_picture", lambda *_, **__: decoded.append(True))
    lr = ("lr", ("lr.png", png(photos()[0])))

    def post(*refs):
        return running.client.post("/v1/upscale", files=[lr, *(("ref", ("ref.png", ref)) for ref in refs)])

    answer = post(*[flat_png(20, 20)] * 4)
    assert (answer.status_code, answer.json()["detail"]) == (400, "Too many files. Maximum number of files is 4.")
    answer = post(*[flat_png(150, 150)] * 3)
    assert answer.status_code == 413
    assert "3 references have 67,500 pixels together, more than the limit of 40,000" in answer.json()["detail"]
    answer = post(flat_png(300, 300))
    assert answer.status_code == 413
    assert "ref.png has 300x300 pixels" in answer.json()["detail"]
    assert decoded == []


def test_memory_is_estimated_before_decoding(tiny, monkeypatch):
    decoded = []
    monkeypatch.setattr(image, "pixels_of_picture", lambda *_, **__: decoded.append(True))
    running = Running(Upscaler(tiny, max_memory=2 * 2**30), LIMITS._replace(max_ref_pixels=2**30, max_references=8))
    try:
        ref = ("ref", ("ref.png", flat_png(2048, 2048)))
        answer = running.client.post("/v1/upscale", files=[("lr", ("lr.png", flat_png(8, 8))), *[ref] * 8])
    finally:
        running.stop()
    assert answer.status_code == 413
    assert "8 references of 33,554,432 pixels together needs about" in answer.json()["detail"]
    assert decoded == []


PARTS = {
    "files of other names": b"".join(PART % (b"x%d" % number, b"") for number in range(50)),
    "fields": b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 50,
    "a long field": b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + bytes(100_000) + b"\r\n",
    "many headers": b"--X\r\n" + b"A: b\r\n" * 10_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS.keys())
def test_bodies_of_many_parts_are_refused(running, parts):
    kind = {"content-type": "multipart/form-data; boundary=X"}
    answer = running.client.post("/v1/upscale", content=parts + b"--X--\r\n", headers=kind)
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (PART % (b"lr", png(photos()[0])) * 2, "lr: several photos are given; send one"),
        (
            b'--X\r\nContent-Disposition: form-data; name="lr"\r\n\r\nhello\r\n',
            "lr: expected is a file, a part with a filename",
        ),
    ],
)
def test_photos_that_are_not_one_file_are_refused_in_words(running, parts, words):
    kind = {"content-type": "multipart/form-data; boundary=X"}
    answer = running.client.post("/v1/upscale", content=parts + b"--X--\r\n", headers=kind)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("multipart/form-data; boundary=X", 200),
        ("Multipart/Form-Data; boundary=X", 200),
        ("MULTIPART/FORM-DATA;boundary=X", 200),
        ("multipart/form-data ; Boundary=X", 200),
        ('multipart/form-data; boundary="X"', 200),
        ("multipart/form-data", 400),
        ("multipart/form-databases; boundary=X", 415),
        ("multipart/mixed; boundary=X", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_the_media_type_is_compared_without_case_and_whole(running, kind, status):
    answer = running.client.post("/v1/upscale", content=body(*photos()), headers={"content-type": kind})
    assert answer.status_code == status


def test_load_balancers_may_ask_by_head(running):
    for path in ("/healthz", "/"):
        answer = running.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_unread_responses_are_dropped(tiny, monkeypatch):
    monkeypatch.setattr(TimedConnection, "idle_seconds", 0.3)

    class Noisy(KerasUpscaler):
        def restore(self, lr, *arguments, **options):
            return Restored(np.random.default_rng(0).random((4 * lr.shape[0], 4 * lr.shape[1], 3), np.float32), 1)

    running = Running(Upscaler(Noisy(tiny)), LIMITS._replace(max_bytes=10**7, max_lr_pixels=10**6))
    try:
        content = body(np.zeros((900, 900, 3), np.uint8), photos()[1])
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", running.port))
        client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content)
        wait_for(lambda: 'c2m_requests_total{status="200"}' in figures(running))
        stopped = threading.Thread(target=running.stop)
        stopped.start()
        stopped.join(60)
        assert not stopped.is_alive()  # the server ends, because the connection has been given up
        client.close()
    finally:
        running.stop()
