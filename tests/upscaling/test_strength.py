"""The reference is optional, and how much of it is used can be set."""

import numpy as np
import pytest
from c2m_tf.training.growth import with_own_trunk

from c2m_tf import Upscaler
from c2m_tf.photos.images import TooLargeError
from c2m_tf.upscaling.base import MATCHED_SCORE


@pytest.fixture
def photos(rng):
    return rng.random((20, 24, 3), np.float32), rng.random((60, 52, 3), np.float32)


def test_without_a_reference_the_trunk_restores_the_photo(light, photos):
    lr, _ = photos
    sr = Upscaler(light).upscale(lr)
    np.testing.assert_allclose(sr, np.clip(light.trunk.predict_on_batch({"lr": lr[None]})[0], 0, 1), atol=1e-6)


@pytest.mark.parametrize("search", ["exact", "window"])
def test_strength_leads_from_the_trunk_to_the_published_network(light, photos, search):
    upscaler = Upscaler(light, search=search)
    lr, ref = photos
    whole, half = upscaler.upscale(lr, ref), upscaler.upscale(lr, ref, strength=0.5)
    np.testing.assert_array_equal(whole, upscaler.upscale(lr, ref, strength=1.0))
    np.testing.assert_array_equal(upscaler.upscale(lr), upscaler.upscale(lr, ref, strength=0.0))
    assert np.abs(half - whole).max() > 1e-3
    assert np.abs(half - upscaler.upscale(lr)).max() > 1e-3


def test_at_strength_0_references_are_not_even_read(light, photos, tmp_path):
    lr, _ = photos
    np.testing.assert_array_equal(
        Upscaler(light).upscale(lr, tmp_path / "missing.png", strength=0), Upscaler(light).upscale(lr)
    )


@pytest.fixture(scope="module")
def own(preset):
    """The same with a trunk of its own, of random numbers."""
    return with_own_trunk(preset)


@pytest.mark.parametrize("search", ["exact", "window"])
def test_tiles_that_the_reference_does_not_show_go_through_a_trunk_of_the_models_own(preset, own, scene, rng, search):
    lr, ref = scene
    upscaler = Upscaler(own, search=search)
    unrelated = rng.random((200, 200, 3), np.float32)
    alone = upscaler.upscale(lr)
    np.testing.assert_array_equal(upscaler.upscale(lr, unrelated), alone)
    mixed, restored = upscaler.upscale(lr, ref), Upscaler(preset, search=search).upscale(lr, ref)
    assert np.median(np.abs(mixed - restored)) < 1e-3 < np.median(np.abs(mixed - alone))


def test_with_a_trunk_of_the_models_own_results_are_mixed_by_strength(own, scene):
    upscaler = Upscaler(own, tile=32)
    whole, half, none = (upscaler.upscale(*scene, strength=strength) for strength in (1.0, 0.5, 0.0))
    inside = (whole > 0) & (whole < 1) & (none > 0) & (none < 1)  # not clipped
    np.testing.assert_allclose(half[inside], ((whole + none) / 2)[inside], atol=1e-4)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan"), float("inf")])
def test_strength_outside_its_range_is_refused(light, photos, strength):
    with pytest.raises(ValueError, match=r"lies outside \[0, 1\]"):
        Upscaler(light).upscale(*photos, strength=strength)


def test_an_empty_list_of_references_is_an_error(light, photos):
    with pytest.raises(ValueError, match="leave refs out to upscale without a reference"):
        Upscaler(light).upscale(photos[0], [])


@pytest.mark.parametrize("search", ["exact", "window"])
def test_explained_is_the_share_of_patches_with_a_good_match(light, photos, search):
    upscaler = Upscaler(light, search=search)
    reported = []
    upscaler.upscale(*photos, explained=reported.append)
    _, score = upscaler.find_matches(*photos)
    assert reported == [pytest.approx((score >= MATCHED_SCORE).mean())]
    upscaler.upscale(photos[0], explained=reported.append)
    assert len(reported) == 1


def test_without_a_reference_less_memory_is_needed(light):
    upscaler = Upscaler(light)
    assert upscaler.estimated_memory((100, 100, 3), []) < upscaler.estimated_memory((100, 100, 3), [(400, 400, 3)])
    with pytest.raises(TooLargeError, match="photo without a reference needs about"):
        Upscaler(light, max_memory=2**20).upscale(np.zeros((50, 50, 3), np.uint8))


def test_tiles_without_a_reference_join_to_the_whole(light, photos):
    lr = np.tile(photos[0], (3, 3, 1))
    whole, tiled = Upscaler(light, tile=80).upscale(lr), Upscaler(light, tile=40).upscale(lr)
    assert whole.shape == tiled.shape
    # The golden weights are random: borders reach further than those of trained ones.
    assert np.abs(whole - tiled).mean() < 1e-3
