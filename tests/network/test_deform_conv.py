"""The deformable convolution equals its definition, evaluated point by point."""

import keras
import numpy as np
import pytest

from c2m_tf.network import deform_conv
from c2m_tf.network.deform_conv import ModulatedDeformConv2D

GROUPS, CHANNELS, FILTERS = 2, 6, 3


def sample(image, y, x):
    """Bilinear value of [H,W,C] at (y, x), zero outside."""
    height, width = image.shape[:2]
    value = np.zeros(image.shape[2])
    top, left = int(np.floor(y)), int(np.floor(x))
    for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < height and 0 <= column < width:
                value += weight_y * weight_x * image[row, column]
    return value


def by_definition(layer, features, offsets, mask, pre_offset):
    kernel, bias = (np.asarray(weight, np.float64) for weight in layer.weights)
    batch, height, width = offsets.shape[:3]
    dy, dx = (part.reshape(batch, height, width, GROUPS, 9) for part in np.split(offsets, 2, axis=-1))
    mask = mask.reshape(batch, height, width, GROUPS, 9)
    size = CHANNELS // GROUPS
    out = np.tile(bias, (batch, height, width, 1))
    for b, y, x, group, tap in np.ndindex(batch, height, width, GROUPS, 9):
        row = y + tap // 3 - 1 + dy[b, y, x, group, tap] + pre_offset[b, y, x, tap, 0]
        column = x + tap % 3 - 1 + dx[b, y, x, group, tap] + pre_offset[b, y, x, tap, 1]
        channels = slice(group * size, (group + 1) * size)
        value = mask[b, y, x, group, tap] * sample(features[b, :, :, channels], row, column)
        out[b, y, x] += value @ kernel[tap // 3, tap % 3, channels]
    return out


@pytest.fixture
def inputs(rng):
    features = rng.standard_normal((2, 7, 9, CHANNELS)).astype(np.float32)
    offsets = (3 * rng.standard_normal((2, 5, 6, 2 * 9 * GROUPS))).astype(np.float32)
    mask = rng.random((2, 5, 6, 9 * GROUPS), np.float32)
    pre_offset = rng.integers(-4, 5, (2, 5, 6, 9, 2)).astype(np.float32)
    return features, offsets, mask, pre_offset


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("pixels", [1, 30, 10**6])
def test_layer_equals_its_definition(monkeypatch, inputs, training, pixels):
    monkeypatch.setattr(deform_conv, "PIXELS_IN_STRIP", pixels)
    layer = ModulatedDeformConv2D(FILTERS, GROUPS)
    out = np.asarray(layer(*inputs, training=training))
    np.testing.assert_allclose(out, by_definition(layer, *inputs), atol=1e-5)


def test_zero_offsets_and_full_masks_make_a_plain_convolution(rng):
    features = rng.standard_normal((1, 6, 8, CHANNELS)).astype(np.float32)
    layer = ModulatedDeformConv2D(FILTERS, GROUPS)
    out = layer(features, np.zeros((1, 6, 8, 36), np.float32), np.ones((1, 6, 8, 18), np.float32))
    plain = keras.ops.conv(features, layer.kernel.value, padding="same")
    np.testing.assert_allclose(out, plain, atol=1e-5)


def test_samples_outside_the_feature_are_zero(rng):
    features = rng.standard_normal((1, 6, 8, CHANNELS)).astype(np.float32)
    layer = ModulatedDeformConv2D(FILTERS, GROUPS)
    for distance in (100.0, -100.0, 1e6, -1e6):
        out = layer(features, np.full((1, 6, 8, 36), distance, np.float32), np.ones((1, 6, 8, 18), np.float32))
        np.testing.assert_allclose(out, np.zeros((1, 6, 8, FILTERS)), atol=1e-7)


def test_output_has_the_grid_of_the_offsets_not_of_the_features(inputs):
    features, offsets, mask, _ = inputs
    assert ModulatedDeformConv2D(FILTERS, GROUPS)(features, offsets, mask).shape == (2, 5, 6, FILTERS)


def test_channels_that_do_not_fit_the_groups_are_refused(inputs):
    features, offsets, mask, _ = inputs
    with pytest.raises(ValueError, match="6 channels cannot be split into 4 deformable groups"):
        ModulatedDeformConv2D(FILTERS, 4)(features, offsets, mask)
    with pytest.raises(ValueError, match="offsets have 18 channels; 2 groups of 9 taps need 36"):
        ModulatedDeformConv2D(FILTERS, GROUPS)(features, offsets[..., :18], mask)
