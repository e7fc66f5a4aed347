"""The library needs no TensorFlow: on JAX, with TensorFlow blocked, it computes the same."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_model

from c2m_tf.photos import images

SCRIPT = """
import sys
sys.modules["tensorflow"] = None  # any import of it now fails
import importlib, pkgutil
import c2m_tf
for module in pkgutil.walk_packages(c2m_tf.__path__, "c2m_tf."):
    importlib.import_module(module.name)
import keras, numpy as np
assert keras.backend.backend() == "jax"
from golden_models import golden, golden_model
from tiny_models import tiny_model
arrays = golden("light")
model = golden_model("light")
sr = model.predict_on_batch({"lr": arrays["lr"][None], "ref": arrays["ref"][None]})
print("difference", np.abs(sr - arrays["output"]).max())
tiny = tiny_model()
from c2m_tf.cli import main
from c2m_tf.photos import images
tiny.save("tiny.keras")
for name, side in (("lr.png", 9), ("pairs/a_0.png", 24), ("pairs/a_1.png", 24)):
    images.write(name, np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))
assert main(["doctor"]) == 0
references = ["-r", "pairs/a_0.png", "pairs/a_1.png"]
assert main(["upscale", "-i", "lr.png", *references, "-o", "sr.png", "--model", "tiny.keras"]) == 0
assert main(["evaluate", "--pairs", "pairs", "--model", "tiny.keras", "--dtype", "auto"]) == 0
assert images.read("sr.png").rgb.shape == (36, 36, 3)
"""

SERVE = """
import sys
sys.modules["tensorflow"] = None
import os, signal, threading, time
import httpx
from c2m_tf.cli import main
from c2m_tf.server import running

listening = running.listen

def listen(host, port):
    listener = listening(host, port)
    threading.Thread(target=ask, args=(running.address(listener),), daemon=True).start()
    return listener

def ask(address):
    try:
        client = httpx.Client(base_url=address, timeout=600)
        while client.get("/v2/health/ready").status_code != 200:
            time.sleep(0.1)
        answer = client.post("/v1/upscale", files=[("lr", open("a.png", "rb")), ("ref", open("b.png", "rb"))])
        print("answer", answer.status_code, flush=True)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)

running.listen = listen
main(["serve", "--port", "0", "--model", "tiny.keras"])
"""
TRAIN = """
import sys
from pathlib import Path
from c2m_tf.cli import main
from training_data import make
from training_runs import command
assert main(["demo", "-o", "demo", "--model", "tiny.keras"]) == 0
sys.exit(main(["train", *command("trunk", make(Path("root")), "run", "start=tiny.keras", "iterations=2")]))
"""


def test_library_and_commands_run_on_jax_where_tensorflow_is_blocked(tmp_path):
    (tmp_path / "pairs").mkdir()
    printed = on_jax(SCRIPT, tmp_path)
    words = printed.split()
    assert float(words[words.index("difference") + 1]) < 3e-5


@pytest.mark.slow
def test_serve_demo_and_train_run_on_jax(tmp_path):
    tiny_model().save(tmp_path / "tiny.keras")
    for name in ("a.png", "b.png"):
        images.write(tmp_path / name, np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8))
    assert "answer 200" in on_jax(SERVE, tmp_path)
    assert "run is finished: 2 iterations" in on_jax(TRAIN, tmp_path)


def on_jax(script, folder):
    """What a program prints that computes on JAX in a folder."""
    pytest.importorskip("jax")
    tests = Path(__file__).parent
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"}
    given = {"env": environment, "cwd": folder, "capture_output": True, "text": True, "timeout": 1200}
    done = subprocess.run([sys.executable, "-c", script], **given)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
