"""Resizing inside the graph, beside Pillow's."""

import numpy as np
import pytest
from PIL import Image

from c2m_tf.network.upsampling import resized


@pytest.mark.parametrize("scale", [0.5, 0.84, 1.0, 1.19, 2.0])
def test_equals_pillow_without_rounding(rng, scale):
    photo = rng.random((1, 31, 42, 3), np.float32)
    size = (round(42 * scale), round(31 * scale))
    channels = [Image.fromarray(photo[0, :, :, channel]).resize(size, Image.Resampling.LANCZOS) for channel in range(3)]
    np.testing.assert_allclose(resized(photo, scale)[0], np.stack(channels, axis=-1), atol=1e-5)
