"""The reference is optional, and how much of it is used can be set."""

import keras
import numpy as np
import pytest
from c2m_tf.training.starts import with_own_trunk

from c2m_tf import Upscaler
from c2m_tf.photos.images import TooLargeError
from c2m_tf.upscaling.base import MATCHED_SCORE
from c2m_tf.upscaling.keras_upscaler import _Steps


@pytest.fixture
def photos(rng):
    return rng.random((20, 24, 3), np.float32), rng.random((60, 52, 3), np.float32)


def test_without_a_reference_the_trunk_restores_the_photo(tiny, photos):
    lr, _ = photos
    sr = Upscaler(tiny)(lr).image.rgb
    np.testing.assert_allclose(sr, np.clip(tiny.trunk.predict_on_batch({"lr": lr[None]})[0], 0, 1), atol=1e-6)


@pytest.mark.parametrize("search", ["exact", "window"])
def test_strength_leads_from_the_trunk_to_the_published_network(tiny, photos, search):
    upscaler = Upscaler(tiny, search=search)
    lr, ref = photos
    whole, half = upscaler(lr, ref).image.rgb, upscaler(lr, ref, strength=0.5).image.rgb
    np.testing.assert_array_equal(whole, upscaler(lr, ref, strength=1.0).image.rgb)
    np.testing.assert_array_equal(upscaler(lr).image.rgb, upscaler(lr, ref, strength=0.0).image.rgb)
    assert np.abs(half - whole).max() > 1e-3
    assert np.abs(half - upscaler(lr).image.rgb).max() > 1e-3


def test_at_strength_0_references_are_not_even_read(tiny, photos, tmp_path):
    lr, _ = photos
    np.testing.assert_array_equal(
        Upscaler(tiny)(lr, tmp_path / "missing.png", strength=0).image.rgb, Upscaler(tiny)(lr).image.rgb
    )


@pytest.fixture(scope="module")
def own(preset):
    """The same with a trunk of its own, of random numbers."""
    return with_own_trunk(preset)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles each size by itself")
def test_after_the_warm_up_nothing_is_left_to_compile(own):
    Upscaler(own).warm_up()
    assert all(step._graph is not None for step in _Steps.of(own).each())


@pytest.mark.parametrize("search", ["exact", "window"])
def test_tiles_that_the_reference_does_not_show_go_through_a_trunk_of_the_models_own(preset, own, scene, rng, search):
    lr, ref = scene
    upscaler = Upscaler(own, search=search)
    unrelated = rng.random((200, 200, 3), np.float32)
    alone = upscaler(lr).image.rgb
    np.testing.assert_array_equal(upscaler(lr, unrelated).image.rgb, alone)
    mixed, restored = upscaler(lr, ref).image.rgb, Upscaler(preset, search=search)(lr, ref).image.rgb
    assert np.median(np.abs(mixed - restored)) < 1e-3 < np.median(np.abs(mixed - alone))


def test_with_a_trunk_of_the_models_own_results_are_mixed_by_strength(own, scene):
    upscaler = Upscaler(own, tile=32)
    whole, half, none = (upscaler(*scene, strength=strength).image.rgb for strength in (1.0, 0.5, 0.0))
    inside = (whole > 0) & (whole < 1) & (none > 0) & (none < 1)  # not clipped
    np.testing.assert_allclose(half[inside], ((whole + none) / 2)[inside], atol=1e-4)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan"), float("inf")])
def test_strength_outside_its_range_is_refused(tiny, photos, strength):
    with pytest.raises(ValueError, match=r"lies outside \[0, 1\]"):
        Upscaler(tiny)(*photos, strength=strength)


def test_an_empty_list_of_references_is_an_error(tiny, photos):
    with pytest.raises(ValueError, match="leave references out to upscale without one"):
        Upscaler(tiny)(photos[0], [])


@pytest.mark.parametrize("search", ["exact", "window"])
def test_coverage_is_the_share_of_patches_with_a_good_match(tiny, photos, search):
    upscaler = Upscaler(tiny, search=search)
    result, found = upscaler(*photos), upscaler.find_matches(*photos)
    assert result.coverage == pytest.approx((found.score >= MATCHED_SCORE).mean())
    np.testing.assert_array_equal(result.matches.flow, found.flow)
    np.testing.assert_array_equal(result.matches.score, found.score)
    alone = upscaler(photos[0])
    assert (alone.coverage, alone.matches, alone.tiles) == (None, None, 1)


def test_without_a_reference_less_memory_is_needed(tiny):
    upscaler = Upscaler(tiny)
    assert upscaler.estimated_memory((100, 100, 3), []) < upscaler.estimated_memory((100, 100, 3), [(400, 400, 3)])
    with pytest.raises(TooLargeError, match="photo without a reference needs about"):
        Upscaler(tiny, max_memory=2**20)(np.zeros((50, 50, 3), np.uint8))


def test_tiles_without_a_reference_join_to_the_whole(tiny, photos):
    lr = np.tile(photos[0], (3, 3, 1))
    whole, tiled = Upscaler(tiny, tile=80)(lr).image.rgb, Upscaler(tiny, tile=40)(lr).image.rgb
    assert whole.shape == tiled.shape
    # The golden weights are random: borders reach further than those of trained ones.
    assert np.abs(whole - tiled).mean() < 1e-3
