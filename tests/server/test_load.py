"""The server under overload, with slow, disconnecting and hostile clients, and against its OpenAPI description.

`LOAD_REQUESTS` sets the number of requests, 1,000 if it is not set.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

from serving import files, photos, png, wait_for  # noqa: E402

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("LOAD_REQUESTS", "1000"))
PLACES = 5  # one that is worked on, four that wait
CLIENTS = 16
PAIRS = 6
LIMITS = ["--queue", f"{PLACES - 1}", "--max-uploads", "6", "--timeout", "120", "--max-bytes", "300000"]
MAY_GROW = 150  # MiB, between the first tenth of the requests and the end
HEAD = (
    b"POST /v1/upscale HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: multipart/form-data; boundary=X\r\nContent-Length: %d\r\n\r\n"
)
PART = b'--X\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory, tiny):
    """(URL, process number) of `c2m-tf serve` with the golden network."""
    path = tmp_path_factory.mktemp("model") / "light.keras"
    tiny.save(path)
    command = [sys.executable, "-m", "c2m_tf", "serve", "--model", f"{path}", "--port", "0", *LIMITS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://\S+", process.stdout.readline())[0]
            wait_for(lambda: httpx.get(f"{address}/v2/health/ready").status_code == 200)
            yield address, process.pid
            process.send_signal(signal.SIGTERM)
            assert process.wait(180) == 0
        finally:
            process.kill()


def resident(pid):
    """MiB of memory that a process holds."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Client:
    """Sends requests of all kinds, drawn at random, and notes what came back."""

    def __init__(self, address, expected, seed):
        self.expected, self.random = expected, random.Random(seed)
        self.client = httpx.Client(base_url=address, timeout=180)
        host, port = address.removeprefix("http://").split(":")
        self.server = host, int(port)
        self.statuses = []

    def one(self):
        kinds = [self.whole, self.slow, self.vanishing, self.refused, self.hostile]
        kind = self.random.choices(kinds, weights=[60, 10, 15, 5, 10])[0]
        kind(self.random.randrange(PAIRS))

    def whole(self, pair):
        answer = self.client.post("/v1/upscale", files=files(*photos(pair)))
        self.statuses.append(answer.status_code)
        if answer.status_code == 200:
            assert answer.content == self.expected[pair]
        else:
            assert answer.status_code == 429
            time.sleep(self.random.random())

    def slow(self, pair):
        content = self.content(pair)
        with socket.create_connection(self.server, timeout=180) as connection:
            connection.sendall(HEAD % len(content))
            step = len(content) // 10 + 1
            try:
                for start in range(0, len(content), step):
                    connection.sendall(content[start : start + step])
                    time.sleep(0.05)
                answer = connection.recv(65536)
            except (BrokenPipeError, ConnectionResetError):  # it was refused before it was sent
                return
        assert re.match(rb"HTTP/1.1 (200|429) ", answer)

    def vanishing(self, pair):
        content = self.content(pair)
        with socket.create_connection(self.server, timeout=180) as connection:
            connection.sendall((HEAD % len(content) + content)[: self.random.randrange(2 * len(content))])
            time.sleep(self.random.random() / 10)

    def refused(self, pair):
        answer = self.client.post("/v1/upscale", files=[("lr", b"no photo"), ("ref", png(photos(pair)[1]))])
        assert answer.status_code in (415, 429)

    def hostile(self, pair):
        """Photos that cost far more than their pixels, fields and names that are not taken, and what is no HTTP."""
        photo = png(photos(pair)[0])
        segments = b"\xff\xd8" + b"\xff\xe5\0\2" * 50_000
        directories = b"II*\0\x08\0\0\0" + b"\xff\xff" + bytes(200_000)
        files, headers, status = self.random.choice(
            [
                ([("lr", segments)], {}, 422),
                ([("lr", directories)], {}, 422),
                ([("lr", photo[:-40] + bytes(40))], {}, 422),
                ([("lr", photo), ("ref[]", photo)], {}, 422),
                ([("lr", photo)], {"Host": "rebound.example"}, 403),
                ([("lr", photo)], {"Origin": "http://evil.example"}, 403),
                (None, {}, 400),
            ]
        )
        if files is None:
            with socket.create_connection(self.server, timeout=180) as connection:
                connection.sendall(HEAD[:-22] + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
                assert connection.recv(65536).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 429 "))
            return
        answer = self.client.post("/v1/upscale", files=[(name, (name, content)) for name, content in files], headers=headers)
        assert answer.status_code in (status, 429)

    def content(self, pair):
        lr, ref = photos(pair)
        return PART % (b"lr", png(lr)) + PART % (b"ref", png(ref)) + b"--X--\r\n"


def test_a_thousand_requests_leak_nothing(server):
    address, pid = server
    expected = [httpx.post(f"{address}/v1/upscale", files=files(*photos(pair)), timeout=180).content for pair in range(PAIRS)]
    clients = [Client(address, expected, seed) for seed in range(CLIENTS)]
    left, lock, sizes = [REQUESTS], threading.Lock(), []

    def work(client):
        while True:
            with lock:
                if left[0] == 0:
                    return
                left[0] -= 1
                if left[0] % (REQUESTS // 10) == 0:
                    sizes.append(resident(pid))
            client.one()

    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(work, client) for client in clients]:
            done.result()
    for client in clients:
        client.client.close()
    statuses = [status for client in clients for status in client.statuses]
    assert statuses.count(200) > 4 * PLACES
    assert statuses.count(429) > 0  # more came than there was room for
    wait_for(lambda: "c2m_pending_requests 0.0" in httpx.get(f"{address}/metrics", timeout=60).text)
    assert max(sizes[1:]) - sizes[0] < MAY_GROW, sizes
    assert httpx.post(f"{address}/v1/upscale", files=files(*photos(0)), timeout=180).content == expected[0]


def test_the_server_does_what_its_description_says(server, tmp_path):
    pytest.importorskip("schemathesis")
    address, _ = server
    arguments = ["--max-examples", "40", "--seed", "1", "--request-timeout", "120", "--no-color"]
    # Files that fit the description are no photos, and refused; HEAD is answered without being described.
    left_out = ["--exclude-checks", "positive_data_acceptance,unsupported_method"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", *arguments, *left_out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
