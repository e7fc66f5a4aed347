"""Matching equals a brute-force search, whatever the sizes; flow and pre-offsets follow the published layout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2m_tf.network import matching

SIDE = st.integers(3, 9)


def patches(features):
    """All 3x3 patches of unit cells [H,W,C] as rows, row-major by top-left cell."""
    unit = features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)
    windows = np.lib.stride_tricks.sliding_window_view(unit, (3, 3), axis=(0, 1))
    return windows.reshape(windows.shape[0] * windows.shape[1], -1)


def brute_force(lr_features, ref_features, candidates=None):
    """Scores of every pair of patches in float64, and the first best for each LR patch, as (y, x) and index."""
    scores = patches(lr_features.astype(np.float64)) @ patches(ref_features.astype(np.float64)).T / 9
    if candidates is not None:
        allowed = np.lib.stride_tricks.sliding_window_view(candidates, (3, 3)).reshape(-1, 9).all(axis=1)
        scores[:, ~allowed] = -np.inf
    return scores


def check(lr_features, ref_features, candidates=None):
    """Asserts that `match` finds, for each patch, a best reference patch up to float32 rounding, and its score."""
    matches, score = matching.match(lr_features[None], ref_features[None], candidates)
    scores = brute_force(lr_features, ref_features, candidates)
    matches = np.asarray(matches)[0]
    columns = ref_features.shape[1] - 2
    chosen = (matches[..., 0] * columns + matches[..., 1]).ravel()
    best = scores.max(axis=1)
    assert matches.min() >= 0
    assert (matches[..., 1] < columns).all()
    np.testing.assert_allclose(scores[np.arange(len(chosen)), chosen], best, atol=1e-6)
    np.testing.assert_allclose(np.asarray(score).ravel(), best, atol=1e-6)
    clear = np.sort(scores, axis=1)[:, -2] < best - 1e-5 if scores.shape[1] > 1 else np.ones(len(best), bool)
    np.testing.assert_array_equal(chosen[clear], scores.argmax(axis=1)[clear])


@settings(max_examples=25, deadline=None)
@given(h=SIDE, w=SIDE, ref_h=SIDE, ref_w=SIDE, channels=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_match_equals_brute_force_for_any_sizes(h, w, ref_h, ref_w, channels, seed):
    rng = np.random.default_rng(seed)
    check(
        rng.standard_normal((h, w, channels)).astype(np.float32),
        rng.standard_normal((ref_h, ref_w, channels)).astype(np.float32),
    )


@settings(max_examples=15, deadline=None)
@given(h=SIDE, w=SIDE, ref_h=SIDE, ref_w=SIDE, seed=st.integers(0, 2**32 - 1))
def test_patches_that_touch_padding_are_never_chosen(h, w, ref_h, ref_w, seed):
    rng = np.random.default_rng(seed)
    candidates = (rng.random((ref_h, ref_w)) < 0.9).astype(np.float32)
    top, left = rng.integers(ref_h - 2), rng.integers(ref_w - 2)
    candidates[top : top + 3, left : left + 3] = 1
    check(
        rng.standard_normal((h, w, 4)).astype(np.float32),
        rng.standard_normal((ref_h, ref_w, 4)).astype(np.float32),
        candidates,
    )


@pytest.mark.parametrize("block_bytes", [1, 5000, 10**9])
def test_blocks_do_not_change_the_result(monkeypatch, rng, block_bytes):
    lr_features = rng.standard_normal((2, 11, 7, 5)).astype(np.float32)
    ref_features = rng.standard_normal((2, 6, 9, 5)).astype(np.float32)
    whole = [np.asarray(value) for value in matching.match(lr_features, ref_features)]
    monkeypatch.setattr(matching, "BLOCK_BYTES", block_bytes)
    for actual, expected in zip(matching.match(lr_features, ref_features), whole, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_ties_go_to_the_lowest_index(rng):
    tile = rng.standard_normal((4, 5, 3)).astype(np.float32)
    reference = np.tile(tile, (3, 3, 1))
    matches, _ = matching.match(tile[None], reference[None])
    expected = np.stack(np.meshgrid(np.arange(2), np.arange(3), indexing="ij"), axis=-1)
    np.testing.assert_array_equal(np.asarray(matches)[0], expected)


def test_a_shifted_view_is_found(rng):
    scene = rng.standard_normal((20, 25, 8)).astype(np.float32)
    matches, score = matching.match(scene[None, 6:14, 9:20], scene[None])
    y, x = np.meshgrid(np.arange(6), np.arange(9), indexing="ij")
    np.testing.assert_array_equal(np.asarray(matches)[0], np.stack([y + 6, x + 9], axis=-1))
    np.testing.assert_allclose(score, 1.0, atol=1e-6)


def test_flow_is_zero_in_the_last_two_rows_and_columns():
    matches = np.full((1, 3, 4, 2), 7, np.int32)
    flow = np.asarray(matching.flow_from_matches(matches))
    assert flow.shape == (1, 5, 6, 2)
    assert not flow[:, 3:].any()
    assert not flow[:, :, 4:].any()
    np.testing.assert_array_equal(flow[0, 1, 2], [6, 5])


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_pre_offsets_follow_their_formula(rng, scale):
    flow = rng.integers(-9, 9, (1, 5, 6, 2)).astype(np.float32)
    pre = np.asarray(matching.pre_offsets(matching.bordered(flow), scale))
    assert pre.shape == (1, 5 * scale, 6 * scale, 9, 2)
    for _ in range(200):
        y, x, tap = rng.integers(5 * scale), rng.integers(6 * scale), rng.integers(9)
        row, column = y // scale - tap // 3, x // scale - tap % 3
        inside = row >= 0 and column >= 0
        expected = scale * flow[0, row, column] if inside else np.zeros(2)
        np.testing.assert_array_equal(pre[0, y, x, tap], expected)
