"""What ~/.keras/keras.json says for a user's other projects."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from c2m_tf import Upscaler
from c2m_tf.photos import images

DEFAULTS = {"floatx": "float32", "epsilon": 1e-7, "backend": "tensorflow", "image_data_format": "channels_last"}


def run(home, content, *command):
    """A command of a user whose home folder has that keras.json."""
    (home / ".keras").mkdir(parents=True, exist_ok=True)
    (home / ".keras/keras.json").write_bytes(content)
    of_tests = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in of_tests} | {"HOME": f"{home}"}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=600)


def test_settings_of_other_projects_change_no_byte(tmp_path, rng, tiny):
    lr, ref = rng.integers(0, 256, (8, 9, 3), np.uint8), rng.integers(0, 256, (30, 34, 3), np.uint8)
    images.write(tmp_path / "lr.png", lr)
    images.write(tmp_path / "ref.png", ref)
    settings = DEFAULTS | {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1}
    tiny.save(tmp_path / "tiny.keras")
    model = ["--model", f"{tmp_path}/tiny.keras", "--dtype", "float32"]
    paths = ["-i", f"{tmp_path}/lr.png", "-r", f"{tmp_path}/ref.png", "-o", f"{tmp_path}/sr.png"]
    done = run(tmp_path, json.dumps(settings).encode(), "-m", "c2m_tf", "upscale", *paths, *model)
    assert (done.returncode, done.stderr) == (0, "")
    expected = Upscaler(tiny)(lr, ref).image.rgb
    np.testing.assert_array_equal(images.as_uint8(images.read(tmp_path / "sr.png").rgb), images.as_uint8(expected))


@pytest.mark.parametrize("settings", [{"floatx": "float16"}, {"image_data_format": "channels_first"}])
def test_a_library_s_user_is_told_or_unaffected(tmp_path, settings):
    """In Python the settings are the caller's: a type that the networks cannot have is refused, an order of axes ignored."""
    script = (
        "import numpy as np; from c2m_tf import C2Matching\n"
        "model = C2Matching(content_blocks=1, small_blocks=1, medium_blocks=1, large_blocks=1, width=8)\n"
        "model({'lr': np.zeros((1, 4, 4, 3), 'float32')})"
    )
    done = run(tmp_path, json.dumps(DEFAULTS | settings).encode(), "-c", script)
    if "floatx" in settings:
        assert "ValueError: Keras's default type is float16, expected is float32; use keras.config.set_floatx" in done.stderr
    else:
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps(DEFAULTS | {"floatx": "float99"}), "floatx=float99"),
        (json.dumps(DEFAULTS | {"image_data_format": "sideways"}), "image_data_format=sideways"),
        (json.dumps(DEFAULTS | {"epsilon": "small"}), "epsilon=small"),
        (json.dumps(DEFAULTS | {"backend": "abacus"}), "abacus"),
        (json.dumps(DEFAULTS | {"backend": "numpy"}), "Keras runs on numpy, expected is tensorflow or jax"),
        ("[]", "~/.keras/keras.json"),
    ],
)
def test_settings_that_keras_cannot_start_with_are_one_line(tmp_path, content, reason):
    done = run(tmp_path, content.encode(), "-m", "c2m_tf", "demo", "-o", f"{tmp_path}/demo")
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_a_platform_that_jax_lacks_is_one_line(tmp_path, monkeypatch, platform):
    pytest.importorskip("jax")
    monkeypatch.setenv("JAX_PLATFORMS", platform)
    done = run(tmp_path, json.dumps(DEFAULTS | {"backend": "jax"}).encode(), "-m", "c2m_tf", "doctor")
    assert done.returncode == 2
    assert "Keras's backend jax does not start" in done.stderr
    assert done.stderr.count("\n") == 1
