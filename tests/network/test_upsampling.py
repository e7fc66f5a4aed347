"""Upsampling inside the graph equals Pillow's bicubic bit for bit, and half-pixel bilinear interpolation."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize

from c2m_tf.network.upsampling import bicubic_upsample, bilinear_upsample
from c2m_tf.photos import images


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 2**32 - 1), binary=st.booleans())
def test_bicubic_equals_pillow_bit_for_bit(height, width, seed, binary):
    rng = np.random.default_rng(seed)
    lr = rng.integers(0, 2 if binary else 256, (height, width, 3), dtype=np.uint8) * np.uint8(255 if binary else 1)
    ours = np.asarray(bicubic_upsample(images.as_float(lr)[None]))[0]
    np.testing.assert_array_equal(images.as_uint8(ours), images.upsample(lr))


def test_bicubic_treats_each_photo_of_a_batch_alone(rng):
    batch = rng.random((3, 5, 4, 3), np.float32)
    together = np.asarray(bicubic_upsample(batch))
    for index in range(3):
        np.testing.assert_array_equal(together[index], np.asarray(bicubic_upsample(batch[index : index + 1]))[0])


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_bilinear_has_half_pixel_centres_and_clamped_edges(height, width, seed):
    lr = np.random.default_rng(seed).random((height, width, 3))
    expected = resize(lr, (4 * height, 4 * width, 3), order=1, mode="edge", anti_aliasing=False)
    ours = bilinear_upsample(lr[None].astype(np.float32))
    np.testing.assert_allclose(np.asarray(ours)[0], expected, atol=1e-5)
