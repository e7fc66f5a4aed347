"""Upscaler: inputs are checked, results are photos."""

import keras
import numpy as np
import pytest

from c2m_tf import Upscaler
from c2m_tf.photos import images
from c2m_tf.upscaling.keras_upscaler import _Steps


@pytest.fixture(scope="module")
def upscaler(tiny):
    return Upscaler(tiny)


def test_result_is_a_photo_four_times_as_large(upscaler, rng):
    sr = upscaler(rng.random((5, 7, 3)), rng.random((30, 20, 3))).image.rgb
    assert sr.shape == (20, 28, 3)
    assert sr.dtype == np.float32
    assert sr.min() >= 0
    assert sr.max() <= 1


def test_eight_bit_photos_give_what_their_floats_give(upscaler, rng):
    lr, ref = rng.integers(0, 256, (5, 7, 3), np.uint8), rng.integers(0, 256, (30, 20, 3), np.uint8)
    as_floats = upscaler(lr / 255.0, ref / 255.0).image.rgb
    np.testing.assert_allclose(upscaler(lr, ref).image.rgb, as_floats, atol=1e-5)


def test_several_references_of_several_sizes(upscaler, rng):
    refs = [rng.random(shape) for shape in ((30, 20, 3), (12, 50, 3), (17, 17, 3))]
    assert upscaler(rng.random((5, 7, 3)), refs).image.rgb.shape == (20, 28, 3)


@pytest.mark.parametrize(
    ("lr", "ref", "reason"),
    [
        (np.zeros((1, 1, 3)), np.zeros((12, 12, 3)), "LR photo has 1x1 pixels; at least 3x3"),
        (np.zeros((3, 3, 3)), np.zeros((12, 11, 3)), "reference has 11x12 pixels; at least 12x12"),
        (np.zeros((8, 8)), np.zeros((12, 12, 3)), r"LR photo has shape \(8, 8\)"),
        (np.zeros((8, 8, 4)), np.zeros((12, 12, 3)), r"expected is \[height, width, 3\]"),
        (np.zeros((8, 8, 3), np.uint16), np.zeros((12, 12, 3)), "type uint16"),
        (np.full((8, 8, 3), 200.0), np.zeros((12, 12, 3)), r"outside \[0, 1\]"),
        (np.full((8, 8, 3), np.nan), np.zeros((12, 12, 3)), r"outside \[0, 1\]"),
        (np.zeros((8, 8, 3)), [], "the list of references is empty"),
    ],
)
def test_bad_input_is_refused_in_words(upscaler, lr, ref, reason):
    with pytest.raises(ValueError, match=reason):
        upscaler(lr, ref)


def test_work_over_the_memory_limit_is_refused(tiny, rng):
    small = Upscaler(tiny, max_memory=2**30)
    with pytest.raises(ValueError, match=r"a 400x300 photo with a 16x16 reference needs about .* GiB, allowed are 1.0 GiB"):
        small(rng.random((300, 400, 3)), rng.random((16, 16, 3)))


def test_files_are_read_as_the_command_line_reads_them(tiny, tmp_path, rng):
    """Colours under full transparency are filled first."""
    hidden = rng.random((12, 16, 3), np.float32)
    alpha = np.ones((12, 16), np.float32)
    alpha[:, 8:] = 0
    images.write(tmp_path / "lr.png", hidden, alpha)
    images.write(tmp_path / "ref.png", rng.random((48, 60, 3), np.float32))
    photo = images.read(tmp_path / "lr.png")
    ref = images.read(tmp_path / "ref.png").in_colours_of(photo)
    expected = Upscaler(tiny)(images.fill_hidden(photo.rgb, photo.alpha), ref).image.rgb
    np.testing.assert_array_equal(Upscaler(tiny)(tmp_path / "lr.png", tmp_path / "ref.png").image.rgb, expected)
    assert np.abs(expected - Upscaler(tiny)(photo.rgb, ref).image.rgb).max() > 1e-3


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles each size by itself")
@pytest.mark.parametrize("search", ["levels", "window"])
def test_one_graph_serves_photos_of_all_sizes(tiny, rng, search):
    """So a photo's result does not depend on the sizes that came before, and no later size waits for a compilation."""
    upscaler = Upscaler(tiny, search=search, tile=20, window=80)
    upscaler.warm_up()
    for lr, ref in (((16, 20), (48, 52)), ((20, 16), (60, 48)), ((30, 24), (96, 100))):
        upscaler(rng.random((*lr, 3)), rng.random((*ref, 3)))
        upscaler(rng.random((*lr, 3)))
    steps = [step for step in _Steps.of(tiny).each() if step._graph is not None]
    assert len(steps) >= 3
    assert [step._graph.experimental_get_tracing_count() for step in steps] == [1] * len(steps)
