"""Photos restored with a mobile network, beside the network itself."""

import numpy as np
import pytest
from tiny_models import tiny_mobile

from c2m_tf import Upscaler
from c2m_tf.upscaling import mobile_upscaler


@pytest.fixture(scope="module")
def network():
    return tiny_mobile()


@pytest.fixture
def lr(rng):
    return rng.random((20, 24, 3), np.float32)


def whole(network, lr, *references):
    inputs = {"lr": lr[None]} | ({"ref": [reference[None] for reference in references]} if references else {})
    return np.clip(np.asarray(network(inputs))[0], 0.0, 1.0)


def test_gives_what_the_network_gives(lr, rng, monkeypatch):
    monkeypatch.setattr(mobile_upscaler, "_KEPT", np.float32)
    network = tiny_mobile()  # compiled for these
    references = [rng.random(size, np.float32) for size in ((41, 30, 3), (24, 64, 3))]
    upscaler = Upscaler(network)
    for given in ([], references[:1], references):
        result = upscaler(lr, given or None)
        np.testing.assert_allclose(result.image.rgb, whole(network, lr, *given), atol=1e-4)
        assert (result.coverage is None) == (not given)


def test_half_precision_of_what_is_kept_moves_few_matches(network, lr, rng):
    reference = rng.random((64, 80, 3), np.float32)
    sr = Upscaler(network)(lr, reference).image.rgb
    assert np.median(np.abs(sr - whole(network, lr, reference))) < 1e-3


def test_strips_are_parts_of_the_whole(network, lr, rng, monkeypatch):
    reference = rng.random((150, 70, 3), np.float32)
    whole = Upscaler(network)(lr, reference)
    monkeypatch.setattr(mobile_upscaler, "_STRIP", 8)
    seen = []
    strips = Upscaler(network)(lr, reference, progress=lambda *counts: seen.append(counts))
    steps = seen[-1][1]
    assert seen == [(0, steps), *((done, steps) for done in range(steps + 1))]  # every one is reported
    np.testing.assert_allclose(strips.matches.score, whole.matches.score, atol=1e-3)


def test_references_that_numbers_cannot_count_are_refused(network):
    with pytest.raises(ValueError, match=r"references have 900 megapixels, a mobile network takes \d+; give fewer"):
        Upscaler(network).estimated_memory((20, 24, 3), [(30_000, 30_000, 3)])


def test_a_tile_is_larger_than_what_its_branch_needs_around(network):
    with pytest.raises(ValueError, match="tile 60 is too small: neighbours overlap by 48 pixels; the minimum is 64"):
        Upscaler(network, tile=60)


def test_tiles_use_the_matches_of_the_whole_photo(network, lr, rng):
    lr, reference = np.tile(lr, (2, 4, 1)), rng.random((64, 80, 3), np.float32)
    tiled = Upscaler(network, tile=64)(lr, reference)
    once = Upscaler(network)(lr, reference)
    assert tiled.tiles > once.tiles == 1
    np.testing.assert_array_equal(tiled.matches.flow, once.matches.flow)
    # The branch gates by what it sees far beyond a tile.
    assert np.abs(tiled.image.rgb - once.image.rgb).mean() < 0.01


def test_matches_are_counted_in_cells_of_the_reference(network, lr):
    reference = np.repeat(np.repeat(lr, 4, axis=0), 4, axis=1)
    flow = Upscaler(network)(lr, reference).matches.flow
    assert flow.shape == (20, 24, 2)
    assert np.median(np.abs(flow)) < 1.0


def test_refuses_a_search(network):
    for settings in ({"search": "window"}, {"window": 512}):
        with pytest.raises(ValueError, match="its own search"):
            Upscaler(network, **settings)
