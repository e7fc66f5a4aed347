"""The library needs no TensorFlow: on JAX, with TensorFlow blocked, it computes the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
other = tiny.predict_on_batch({"lr": arrays["lr"][None, :9], "ref": [arrays["ref"][None, :30], arrays["ref"][None, :, :25]]})
print("shape", other.shape)
from c2m_tf.cli import main
from c2m_tf.photos import images
tiny.save("tiny.keras")
for name in ("pairs/a_0.png", "pairs/a_1.png"):
    images.write(name, np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8))
assert main(["doctor"]) == 0
assert main(["upscale", "-i", "pairs/a_0.png", "-r", "pairs/a_1.png", "-o", "sr.png", "--model", "tiny.keras"]) == 0
assert main(["evaluate", "--pairs", "pairs", "--model", "tiny.keras", "--dtype", "auto"]) == 0
assert images.read("sr.png").rgb.shape == (192, 192, 3)
"""


def test_library_and_commands_run_on_jax_where_tensorflow_is_blocked(tmp_path):
    pytest.importorskip("jax")
    tests = Path(__file__).parent
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"}
    (tmp_path / "pairs").mkdir()
    script = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(script, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    words = done.stdout.split()
    assert float(words[words.index("difference") + 1]) < 3e-5
    assert "shape (1, 36, 64, 3)" in done.stdout
