"""Memory is estimated before it is allocated: limits of machine and containers, sizes from headers, one photo at a time."""

import io
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from c2m_tf import Upscaler
from c2m_tf.photos import formats, image, images
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler
from c2m_tf.upscaling.plans import MIN_LR_SIDE, MIN_REF_SIDE, check_memory, make_plan, photo_bytes

GIB = 2**30


@pytest.mark.parametrize("value", [0, -1, -GIB, float("inf"), float("-inf"), float("nan")])
def test_limits_that_are_no_number_of_bytes_are_refused(tiny, value):
    with pytest.raises(ValueError, match="is not a positive number of bytes"):
        Upscaler(tiny, max_memory=value)


def written(path, size, file_format="PNG"):
    Image.new("RGB", size, (9, 9, 9)).save(path, file_format)
    return path


def fail_to_decode(*arguments):
    pytest.fail("a photo was decoded")


@given(
    lr=st.tuples(st.integers(3, 3000), st.integers(3, 3000)),
    refs=st.lists(st.tuples(st.integers(12, 8192), st.integers(12, 8192)), min_size=1, max_size=8),
    search=st.sampled_from(["auto", "exact", "window"]),
)
def test_estimates_cover_all_pixels_and_grow_with_references(lr, refs, search):
    memory = make_plan(lr, refs, search, None, 512).memory
    given = [height * width for height, width in (lr, *refs)]
    assert memory > 24 * sum(given) + 16 * 32 * given[0]
    if search != "auto":
        assert make_plan(lr, [*refs, (64, 64)], search, None, 512).memory > memory


@pytest.mark.parametrize("file_format", formats.FORMATS)
def test_oversized_references_are_refused_before_decoding(tiny, tmp_path, monkeypatch, file_format):
    refs = [written(tmp_path / "ref", (2048, 2048), file_format)] * 8
    monkeypatch.setattr(image, "pixels_of_picture", fail_to_decode)
    upscaler = Upscaler(tiny, max_memory=2 * GIB)
    lr = np.zeros((8, 8, 3), np.uint8)
    for use in (upscaler, upscaler.find_matches, lambda _, refs: upscaler.open_references(refs)):
        with pytest.raises(images.TooLargeError, match="with 8 references of 33,554,432 pixels together needs about"):
            use(lr, refs)


@pytest.mark.parametrize("broken", [(0, "LR photo has 2x2"), (1, "reference has 11x11")])
def test_sizes_in_headers_are_checked_before_decoding(tiny, tmp_path, monkeypatch, broken):
    sizes = [(8, 8), (40, 40)]
    sizes[broken[0]] = (2, 2) if broken[0] == 0 else (11, 11)
    lr, ref = (written(tmp_path / name, size) for name, size in zip(("lr", "ref"), sizes, strict=True))
    monkeypatch.setattr(image, "pixels_of_picture", fail_to_decode)
    with pytest.raises(ValueError, match=broken[1]):
        Upscaler(tiny)(lr, ref)


def test_open_files_and_files_give_the_same(tiny, rng):
    upscaler = Upscaler(tiny)
    lr, ref = rng.integers(0, 256, (6, 8, 3), np.uint8), rng.integers(0, 256, (24, 28, 3), np.uint8)
    opened = []
    for photo in (lr, ref):
        opened.append(io.BytesIO())
        images.encode(opened[-1], "PNG", photo)
        opened[-1].seek(0)
    np.testing.assert_array_equal(upscaler(*opened).image.rgb, upscaler(lr / 255.0, ref / 255.0).image.rgb)


def test_a_file_that_needs_less_is_offered_where_it_fits():
    offer = "c2m-tf export tflite --model mobile --precision int8"
    for limit, exported, offered in ((2**30, False, True), (2**30, True, False), (2**28, False, False)):
        with pytest.raises(images.TooLargeError) as error:
            check_memory(2**31, (200, 300), [(400, 500)], limit, exported)
        assert (offer in str(error.value)) == offered


class Held(KerasUpscaler):
    """Restores no tile until `free`."""

    def __init__(self, model):
        super().__init__(model)
        self.entered, self.free = threading.Event(), threading.Event()

    def _restore_tiles(self, work, tiles):
        self.entered.set()
        assert self.free.wait(60)
        return super()._restore_tiles(work, tiles)


def test_threads_that_wait_hold_no_pixels(tiny, tmp_path):
    held = Held(tiny)
    upscaler = Upscaler(held)
    lr, ref = written(tmp_path / "lr", (8, 8)), written(tmp_path / "ref", (300, 300))
    results = []
    threads = [threading.Thread(target=lambda: results.append(upscaler(lr, ref))) for _ in range(3)]
    threads[0].start()
    assert held.entered.wait(60)
    tracemalloc.start()
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.5)
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held.free.set()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert current < 300 * 300 * 12  # one decoded reference


# Reads a photo of its own process as references are read, and prints how many bytes per pixel that took at most.
MEASURE = """
import re, sys
import scipy.ndimage
from c2m_tf.photos import images

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

lr = images.read(sys.argv[1])
images.read(sys.argv[1]).in_colours_of(lr)
before = peak()
photo = images.read(sys.argv[2]).in_colours_of(lr)
print((peak() - before) / (photo.shape[0] * photo.shape[1]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("file_format", "mode"),
    [
        ("PNG", "RGB"),
        ("JPEG", "RGB"),
        ("WEBP", "RGB"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
        ("PNG", "RGBA"),
        ("WEBP", "RGBA"),
        ("PNG", "P"),
    ],
)
def test_reading_a_photo_takes_no_more_than_is_counted_for_it(tmp_path, rng, file_format, mode):
    pixels = np.tile(rng.integers(0, 256, (64, 64, 4), np.uint8), (24, 24, 1))
    pixels[:700, :, 3] = 0  # hidden
    photo = Image.fromarray(pixels)
    for name, picture in (("large", photo), ("small", photo.crop((0, 690, 40, 740)))):
        picture.convert(mode).save(tmp_path / name, file_format, **({"lossless": True} if file_format == "WEBP" else {}))
    command = [sys.executable, "-c", MEASURE, f"{tmp_path}/small", f"{tmp_path}/large"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    shape = pixels.shape
    counted = (photo_bytes((0, 0), [shape])) / (shape[0] * shape[1])
    assert float(done.stdout) < counted


def test_the_smallest_sides_are_those_of_the_networks():
    assert (MIN_LR_SIDE, MIN_REF_SIDE) == (3, 12)
