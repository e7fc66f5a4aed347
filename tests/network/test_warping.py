"""Aggregation by warping alone."""

import numpy as np

from c2m_tf import C2Matching
from c2m_tf.network.aggregation import warp_offsets
from c2m_tf.network.matching import bordered


def test_warped_features_are_those_that_the_flow_points_to(rng):
    """With a kernel that copies the middle tap, the layer gives the reference moved by the flow."""
    model = C2Matching.light(flow_warping=True)
    layer = model.restoration.get_layer("medium")
    kernel = np.zeros(layer.deform_conv.kernel.shape, np.float32)
    kernel[1, 1] = np.eye(128)
    layer.deform_conv.kernel.assign(2.0 * kernel)  # masks are 0.5
    reference = rng.random((1, 20, 24, 128), np.float32)
    flow = np.zeros((1, 6, 7, 2), np.float32)
    flow[..., 0], flow[..., 1] = 2, -1  # cells; two pixels each at this level
    sampled = layer(np.zeros((1, 12, 14, 64), np.float32), reference, bordered(flow))
    np.testing.assert_allclose(sampled[0, 2:, 4:], reference[0, 6:16, 2:12], atol=1e-6)


def test_taps_follow_the_flow_of_their_neighbours(rng):
    flow = rng.integers(-5, 6, (1, 6, 7, 2)).astype(np.float32)
    offsets = np.asarray(warp_offsets(bordered(flow), 2))
    assert offsets.shape == (1, 12, 14, 9, 2)
    np.testing.assert_array_equal(offsets[0, 4, 6, 4], 2 * flow[0, 1, 2])
    np.testing.assert_array_equal(offsets[0, 4, 6, 0], offsets[0, 3, 5, 4])
    np.testing.assert_array_equal(offsets[0, 4, 6, 8], offsets[0, 5, 7, 4])
    np.testing.assert_array_equal(offsets[0, 11, 13, 8], offsets[0, 11, 13, 4])
