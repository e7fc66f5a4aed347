"""PhoneNetwork: matching and sampling in another form give the same numbers; rounding."""

import numpy as np
import pytest
from c2m_tf.export import phone_matching
from c2m_tf.export.fake_quantization import ActivationRange, QuantizedConv2D, is_divided, kernel_limit
from c2m_tf.export.phone_aggregation import PhoneAggregation
from c2m_tf.export.phone_matching import after
from c2m_tf.export.phone_network import PhoneNetwork
from c2m_tf.training.starts import without_residual_offsets
from hypothesis import given, settings
from hypothesis import strategies as st

from c2m_tf import C2Matching
from c2m_tf.network.aggregation import DynamicAggregation
from c2m_tf.network.matching import bordered, flow_from_matches, match

LR, REF = (1, 20, 24, 3), (1, 96, 104, 3)


@pytest.fixture(scope="module")
def pair():
    random = np.random.default_rng(0)
    return {"lr": random.random(LR, np.float32), "ref": random.random(REF, np.float32)}


@pytest.mark.parametrize("offsets", [True, False])
def test_phone_network_equals_the_network(tiny, pair, offsets):
    network = tiny if offsets else without_residual_offsets(tiny)
    phone = PhoneNetwork(network)
    assert phone.count_params() == network.count_params()
    np.testing.assert_allclose(phone(pair), network(pair), atol=1e-5)


def test_full_networks_are_refused(full):
    with pytest.raises(ValueError, match="a light-warp model is for comparisons alone"):
        PhoneNetwork(C2Matching.light(flow_warping=True))
    with pytest.raises(ValueError, match="a full model is too large for phones; export a light one"):
        PhoneNetwork(full)


@given(
    sizes=st.tuples(*[st.integers(3, 9)] * 4),
    levels=st.integers(2, 4),  # few different values make ties
    block=st.sampled_from([1, 3000, 2**20]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_matching_for_phones_equals_matching(sizes, levels, block, seed):
    random = np.random.default_rng(seed)
    height, width, rows, columns = sizes
    lr = random.integers(0, levels, (1, height, width, 4)).astype(np.float32)
    ref = random.integers(0, levels, (1, rows, columns, 4)).astype(np.float32)
    before, phone_matching.BLOCK_BYTES = phone_matching.BLOCK_BYTES, block
    try:
        places, scores = phone_matching.match(lr, ref)
    finally:
        phone_matching.BLOCK_BYTES = before
    expected_places, expected_scores = match(lr, ref)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    # Sums are added up in another order, so among patches that fit equally well another may be taken.
    differ = (np.asarray(places) != np.asarray(expected_places)).any(axis=-1)
    for _, y, x in np.argwhere(differ):
        np.testing.assert_allclose(patch_score(lr, ref, (y, x), places[0, y, x]), expected_scores[0, y, x], atol=1e-5)


def patch_score(lr, ref, at, place):
    unit = [features[0] / np.maximum(np.linalg.norm(features[0], axis=-1, keepdims=True), 1e-12) for features in (lr, ref)]
    (y, x), (row, column) = at, np.asarray(place)
    return (unit[0][y : y + 3, x : x + 3] * unit[1][row : row + 3, column : column + 3]).sum() / 9


def test_coarse_matches_find_what_was_moved_by_whole_averages(rng):
    lr, ref = rng.normal(size=(1, 12, 15, 8)).astype(np.float32), rng.normal(size=(1, 25, 30, 8)).astype(np.float32)
    ref[:, 6:18, 4:19] = lr
    matches, score = phone_matching.match_coarsely(lr, ref)
    expected = np.stack(np.mgrid[6:16, 4:17], axis=-1)
    np.testing.assert_array_equal(matches[0], expected)
    np.testing.assert_allclose(score, np.ones((1, 10, 13)), atol=1e-5)


@pytest.mark.parametrize("residual_offsets", [True, False])
def test_aggregation_for_phones_equals_aggregation(rng, residual_offsets):
    layer = DynamicAggregation(16, 2, residual_offsets, name="medium")
    x, reference = rng.normal(size=(2, 12, 16, 64)).astype(np.float32), rng.normal(size=(2, 50, 66, 16)).astype(np.float32)
    matches = np.stack([rng.integers(0, 23, (2, 4, 6)), rng.integers(0, 31, (2, 4, 6))], axis=-1)
    flow, context = np.asarray(bordered(flow_from_matches(matches))), reference[:, :12, :16]
    layer.build(x.shape, reference.shape, flow.shape, context.shape)
    layer.set_weights([rng.normal(0, 0.2, weights.shape) for weights in layer.get_weights()])
    phone = PhoneAggregation.from_config(layer.get_config())
    phone.build(x.shape, reference.shape, flow.shape, context.shape)
    phone.set_weights(layer.get_weights())
    expected = layer(x, reference, flow, context)
    for training in (False, True):
        np.testing.assert_allclose(phone(x, reference, flow, context, training=training), expected, rtol=1e-3, atol=1e-2)


@given(previous=st.floats(-(2.0**100), 2.0**100, width=32), seed=st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_forced_order_does_not_change_values(previous, seed):
    random = np.random.default_rng(seed)
    floats = random.uniform(-1000, 1000, (3, 4)).astype(np.float32)
    numbers = random.integers(0, 2**31, (3, 4)).astype(np.int32)
    before = np.full((1, 2, 2, 1), previous, np.float32)
    np.testing.assert_array_equal(after(floats, before), floats)
    np.testing.assert_array_equal(after(numbers, before), numbers)
    assert after(floats, None) is floats


@given(low=st.floats(-8, 0), high=st.floats(0.1, 8), seed=st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_rounding_moves_values_by_a_step_at_most(low, high, seed):
    layer = ActivationRange((low, high))
    values = np.random.default_rng(seed).uniform(low, high, 100).astype(np.float32)
    rounded = np.asarray(layer(values))
    # Half a step of rounding, and half a step by which the range is moved so that zero is one of the 256 values.
    assert np.abs(rounded - values).max() <= (high - low) / 255 * 1.01 + 1e-6
    assert len(np.unique(rounded)) <= 256


def test_a_range_that_observes_grows_and_changes_nothing(rng):
    layer = ActivationRange()
    layer.build(())
    layer.observing = True
    values = rng.normal(size=1000).astype(np.float32)
    np.testing.assert_array_equal(layer(values), values)
    assert layer.low.numpy() == values.min()
    assert layer.high.numpy() == values.max()


def test_kernels_are_rounded_to_the_steps_of_each_filter(rng):
    layer = QuantizedConv2D(3, 1, use_bias=False)
    layer.build((None, 4, 4, 5))
    kernel = rng.normal(size=layer.kernel.shape).astype(np.float32) * np.array([0.01, 1.0, 100.0], np.float32)
    layer.kernel.assign(kernel)
    layer.limit.assign(kernel_limit(kernel))
    rounded = np.asarray(layer(np.eye(5, dtype=np.float32)[None, None]))[0, 0]
    steps = rounded / (kernel_limit(kernel) / 127)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    assert (np.abs(rounded - kernel[0, 0]) <= kernel_limit(kernel) / 127 * 0.501).all()


def test_convolutions_of_large_photos_in_strips_are_the_same(rng):
    layer = QuantizedConv2D(4, 3, padding="same", activation="relu")
    photos = rng.normal(size=(2, 132, 128, 3)).astype(np.float32)
    layer.build(photos.shape)
    layer.limit.assign(kernel_limit(layer.kernel.numpy()))
    assert is_divided(photos[:1].shape)
    assert not is_divided(photos.shape)
    np.testing.assert_allclose(layer(photos[:1]), layer(photos)[:1], atol=1e-5)
