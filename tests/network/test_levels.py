"""Search by levels finds what exact search finds, where it tries the same; and never what must not be matched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2m_tf.network import levels, matching

SIDE = st.integers(5, 9)


@pytest.fixture
def always(monkeypatch):
    """Photos of any size are searched by levels."""
    monkeypatch.setattr(levels, "EXACT_PAIRS", 0)


def smooth_scene(rng, height, width, channels=8):
    """[1,H,W,C], features that averaged cells can tell apart."""
    noise = rng.standard_normal((1, height, width, channels)).astype(np.float32)
    return sum(np.roll(noise, (i, j), (1, 2)) for i in range(3) for j in range(3))


def places(rows, columns, start=(0, 0)):
    return np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1) + start


def assert_equals_exact(lr, ref, candidates=None):
    matches, score = levels.match_by_levels(lr, ref, candidates)
    expected, expected_score = matching.match(lr, ref, candidates)
    np.testing.assert_allclose(score, expected_score, atol=1e-5)
    np.testing.assert_array_equal(matches, expected)


@pytest.mark.usefixtures("always")
@settings(max_examples=8, deadline=None)
@given(h=SIDE, w=SIDE, ref_h=SIDE, ref_w=SIDE, batch=st.integers(1, 2), masked=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_it_equals_exact_search_where_everything_is_tried(h, w, ref_h, ref_w, batch, masked, seed):
    rng = np.random.default_rng(seed)
    candidates = None
    if masked:
        candidates = np.ones((ref_h, ref_w), np.float32)
        candidates[:, rng.integers(ref_w)] = 0
        candidates[:3, :3] = 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(levels, "RADIUS", 14)
        patch.setattr(levels, "DISPLACEMENTS", 1)
        assert_equals_exact(
            rng.standard_normal((batch, h, w, 4)).astype(np.float32),
            rng.standard_normal((batch, ref_h, ref_w, 4)).astype(np.float32),
            candidates,
        )


def test_small_photos_are_searched_exactly(rng):
    assert_equals_exact(*(rng.standard_normal((1, *size, 4)).astype(np.float32) for size in ((20, 30), (17, 9))))


@pytest.mark.parametrize("pairs", [0, 100_000])
def test_a_shifted_view_is_found_up_to_the_edges_of_both(monkeypatch, rng, pairs):
    monkeypatch.setattr(levels, "EXACT_PAIRS", pairs)
    scene = smooth_scene(rng, 60, 71)
    lr, ref = scene[:, :48, 5:], scene[:, 9:, :64]
    matches, score = (np.asarray(value)[0] for value in levels.match_by_levels(lr, ref))
    expected = places(46, 64, (-9, 5))
    shown = ((expected >= 0) & (expected < (49, 62))).all(axis=-1)
    np.testing.assert_array_equal(matches[shown], expected[shown])
    np.testing.assert_allclose(score[shown], 1.0, atol=1e-6)
    assert matches.min() >= 0
    assert (matches < (49, 62)).all()


@pytest.mark.usefixtures("always")
def test_patches_that_touch_padding_are_never_chosen(rng):
    candidates = np.ones((40, 50), np.float32)
    candidates[17:21] = candidates[:, 23:26] = candidates[:, 44:] = 0
    lr, ref = (rng.standard_normal((2, 40, 50, 4)).astype(np.float32) for _ in range(2))
    matches, score = (np.asarray(value) for value in levels.match_by_levels(lr, ref, candidates))
    allowed = np.lib.stride_tricks.sliding_window_view(candidates, (3, 3)).all(axis=(2, 3))
    assert allowed[matches[..., 0], matches[..., 1]].all()
    assert np.abs(score).max() <= 1.0 + 1e-6


@pytest.mark.usefixtures("always")
def test_where_averaged_cells_all_touch_padding_search_is_exact(rng):
    candidates = np.zeros((20, 20), np.float32)
    candidates[5:8, 7:11] = 1
    assert_equals_exact(*(rng.standard_normal((1, 20, 20, 4)).astype(np.float32) for _ in range(2)), candidates)


@pytest.mark.usefixtures("always")
def test_ties_go_to_the_lowest_index_tried(rng):
    tile = rng.standard_normal((1, 2, 2, 3)).astype(np.float32)
    matches, score = levels.match_by_levels(np.tile(tile, (1, 6, 6, 1)), np.tile(tile, (1, 12, 14, 1)))
    np.testing.assert_allclose(score, 1.0, atol=1e-6)
    # Averaged cells are all the same: each finds the first, and cells the first within RADIUS that shows the same.
    assert (np.asarray(matches)[0] % 2 == places(10, 10) % 2).all()
    assert np.asarray(matches)[0, 0, 0].tolist() == [0, 0]


@pytest.mark.usefixtures("always")
def test_sizes_that_are_unknown_change_nothing(monkeypatch, rng):
    monkeypatch.setattr(levels, "LEVELS", 2)
    tf = pytest.importorskip("tensorflow")
    scene = smooth_scene(rng, 40, 40)
    lr, ref = np.concatenate([scene, scene[:, ::-1]])[:, :33, 2:29], np.concatenate([scene, scene])[:, 3:, :31]
    signature = [tf.TensorSpec((None, None, None, 8))] * 2
    unknown = tf.function(levels.match_by_levels, input_signature=signature)
    for actual, expected in zip(unknown(lr, ref), levels.match_by_levels(lr, ref), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("numbers", [1, 30])
def test_blocks_at_a_time_do_not_change_the_result(monkeypatch, rng, numbers):
    lr, ref = smooth_scene(rng, 30, 21), smooth_scene(rng, 17, 26)
    whole = levels.match_by_levels(lr, ref)
    monkeypatch.setattr(levels, "_NUMBERS", numbers)
    for actual, expected in zip(levels.match_by_levels(lr, ref), whole, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-6)
