"""A server in a thread, and photos to send to it."""

import io
import threading
import time

import httpx
import numpy as np
import pytest
import uvicorn

from c2m_tf import Upscaler
from c2m_tf.photos import images
from c2m_tf.server.app import create_app
from c2m_tf.server.running import server_config
from c2m_tf.upscaling.base import Restored
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler


class Running:
    """A server in a thread, on a free port."""

    def __init__(self, upscaler, limits):
        self._server = uvicorn.Server(server_config(create_app(upscaler, "golden", limits), limits, port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120)

    def stop(self):
        self.client.close()
        self._server.should_exit = True
        self._thread.join()


def png(photo):
    file = io.BytesIO()
    images.encode(file, "PNG", photo)
    return file.getvalue()


def photos(seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (8, 10, 3), np.uint8), random.integers(0, 256, (24, 36, 3), np.uint8)


def files(lr, *refs):
    return [("lr", ("lr.png", png(lr))), *(("ref", ("ref.png", png(ref))) for ref in refs)]


def local_client(app, **options):
    """A client in this process, which calls the server by its address."""
    testclient = pytest.importorskip("fastapi.testclient")  # Starlette warns of a package that is to come
    return testclient.TestClient(app, base_url="http://127.0.0.1", **options)


class Held(Upscaler):
    """Waits for `free` within each photo, and reports two tiles."""

    def __init__(self, model):
        super().__init__(HeldModel(model))
        self.free = self._only.free


class HeldModel(KerasUpscaler):
    def __init__(self, model):
        super().__init__(model)
        self.free = threading.Event()

    def restore(self, lr, reference, plan, strength=1.0, ensemble=1, progress=None, region=None):
        progress(1, 2)
        self.free.wait(60)
        progress(2, 2)
        return Restored(np.zeros((4 * lr.shape[0], 4 * lr.shape[1], 3), np.float32), 2)


def wait_for(condition):
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
