"""Any input gives a result or a documented error, and no incomplete files."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from skimage import data

from c2m_tf import Upscaler
from c2m_tf.cli import main
from c2m_tf.photos import images

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def upscaler(tiny):
    return Upscaler(tiny)


@st.composite
def photos(draw, minimum):
    """A valid photo of about `minimum` pixels per side, with any accepted dtype, values and memory order."""
    dtype = draw(st.sampled_from([np.uint8, np.float16, np.float32, np.float64]))
    shape = (minimum, draw(st.sampled_from([minimum, minimum + 1])), 3)  # few sizes: each is compiled
    elements = st.integers(0, 255) if dtype is np.uint8 else st.sampled_from([0.0, 0.25, 1.0])
    photo = draw(arrays_of.arrays(dtype, shape, elements=elements, fill=st.just(dtype(0))))
    return np.asfortranarray(photo) if draw(st.booleans()) else photo


# Ways to make a valid photo invalid: a name, and a function of the photo.
FAULTS = {
    "no channels": lambda photo: photo[..., 0],
    "four channels": lambda photo: np.concatenate([photo, photo[..., :1]], axis=-1),
    "a batch": lambda photo: photo[None],
    "a scalar": lambda photo: photo[0, 0, 0],
    "too narrow": lambda photo: photo[:, :2],
    "empty": lambda photo: photo[:0],
    "bool": lambda photo: photo > 0,
    "int64": lambda photo: photo.astype(np.int64),
    "complex": lambda photo: photo.astype(np.complex64),
    "text": lambda photo: photo.astype(str),
    "not a number": lambda photo: np.full(photo.shape, np.nan),
    "out of range": lambda photo: np.full(photo.shape, 255.0),
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(lr=photos(3), ref=photos(12))
def test_any_valid_array_is_upscaled(upscaler, lr, ref):
    sr = upscaler(lr, ref).image.rgb
    assert sr.shape == (4 * lr.shape[0], 4 * lr.shape[1], 3)
    assert sr.dtype == np.float32
    assert sr.min() >= 0.0
    assert sr.max() <= 1.0


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("broken", ["LR photo", "reference"])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(lr=photos(3), ref=photos(12))
def test_any_invalid_array_is_refused_by_name(upscaler, fault, broken, lr, ref):
    if broken == "LR photo":
        lr = FAULTS[fault](lr)
    else:
        ref = FAULTS[fault](ref)
    with pytest.raises(ValueError, match=broken) as error:
        upscaler(lr, ref)
    assert "\n" not in str(error.value)


def test_memory_layout_does_not_matter(upscaler, rng):
    lr, ref = rng.random((6, 7, 3)), rng.random((24, 28, 3))
    expected = upscaler(lr, ref).image.rgb
    frozen = lr.copy()
    frozen.flags.writeable = False
    wide = np.zeros((12, 14, 3))
    wide[::2, ::2] = lr
    for same in (np.asfortranarray(lr), frozen, wide[::2, ::2], lr[::-1][::-1]):
        np.testing.assert_array_equal(upscaler(same, np.asfortranarray(ref)).image.rgb, expected)
    np.testing.assert_array_equal(lr, frozen)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.5, 1.5, 1e30])
def test_values_outside_the_range_are_refused(upscaler, rng, value):
    lr, ref = rng.random((6, 7, 3)), rng.random((24, 28, 3))
    for photo in (lr, ref):
        kept = photo[2, 3, 1]
        photo[2, 3, 1] = value
        with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
            upscaler(lr, ref)
        photo[2, 3, 1] = kept


def test_folder_of_200_photos_with_10_broken_ones(tmp_path, capsys, tiny):
    model = tmp_path / "model.keras"
    tiny.save(model)
    random = np.random.RandomState(0)
    (tmp_path / "in").mkdir()
    images.write(tmp_path / "ref.png", random.randint(0, 256, (16, 16, 3), dtype=np.uint8))
    for number in range(200):
        images.write(tmp_path / f"in/{number:03}.png", random.randint(0, 256, (4, 4, 3), dtype=np.uint8))
    broken = [f"{number:03}.png" for number in range(7, 200, 20)]
    for name in broken:
        (tmp_path / "in" / name).write_bytes(b"not a photo")
    arguments = ["upscale", "-i", f"{tmp_path}/in", "-r", f"{tmp_path}/ref.png", "-o", f"{tmp_path}/out", "--model", f"{model}"]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "190 upscaled, 10 failed" in printed.out
    assert sorted(line.split(": ")[1] for line in printed.err.splitlines() if "is not a" in line) == broken
    assert len(list((tmp_path / "out").iterdir())) == 190


def test_a_full_disk_leaves_the_old_result(tmp_path):
    images.write(tmp_path / "old.png", np.zeros((8, 8, 3), np.uint8))
    before = (tmp_path / "old.png").read_bytes()
    script = (
        "import resource, signal, numpy as np\n"
        "from c2m_tf.photos import images\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "photo = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)\n"
        f"images.write({str(tmp_path / 'old.png')!r}, photo)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert "ImageError: cannot write" in done.stderr
    assert (tmp_path / "old.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_folders_hold_complete_photos_only(tmp_path, tiny, number):
    tiny.save(tmp_path / "tiny.keras")
    random = np.random.RandomState(0)
    (tmp_path / "in").mkdir()
    images.write(tmp_path / "ref.png", random.randint(0, 256, (64, 64, 3), dtype=np.uint8))
    for index in range(300):
        images.write(tmp_path / f"in/{index:03}.png", random.randint(0, 256, (24, 24, 3), dtype=np.uint8))
    arguments = ["upscale", "-i", f"{tmp_path}/in", "-r", f"{tmp_path}/ref.png", "-o", f"{tmp_path}/out"]
    arguments += ["--model", f"{tmp_path}/tiny.keras"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "c2m_tf.cli", *arguments]
    # Where the tests themselves run in the background, their children would ignore Ctrl-C.
    heed = functools.partial(signal.signal, number, signal.SIG_DFL)
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, preexec_fn=heed) as process:
        try:
            end = time.monotonic() + 120
            while len(list((tmp_path / "out").glob("[0-9]*.png"))) < 3:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.02)
            process.send_signal(number)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 128 + number
    left = list((tmp_path / "out").iterdir())
    assert 3 <= len(left) < 300
    for path in left:
        assert images.read(path).rgb.shape == (96, 96, 3)


@pytest.mark.slow
def test_same_photo_same_bytes_at_one_and_two_threads(tmp_path):
    photo = data.astronaut()
    images.write(tmp_path / "lr.png", images.downsample(photo[100:260, 100:292]))
    images.write(tmp_path / "ref.png", photo[80:300, 90:310])
    written = []
    for threads in ("1", "2", "2"):
        output = tmp_path / f"sr{len(written)}.png"
        arguments = ["upscale", "-i", f"{tmp_path}/lr.png", "-r", f"{tmp_path}/ref.png", "-o", f"{output}"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads}
        subprocess.run([sys.executable, "-m", "c2m_tf.cli", *arguments], env=environment, check=True, timeout=300)
        written.append(output.read_bytes())
    assert written[0] == written[1] == written[2]
