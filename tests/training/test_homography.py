"""Homographies equal the published sampler's, and warps move pixels accordingly."""

import numpy as np
from c2m_tf.training.augmentation import PHOTO_SIDE, draw_homography, warp
from hypothesis import given, settings
from hypothesis import strategies as st

# The first draw of the released code after np.random.seed(0), image 1 -> its warp.
PUBLISHED = [[0.9801333, -0.06675241, 5.51497198], [0.099675, 0.77174152, 11.42202579], [0.00046273, -0.00072785, 0.99288923]]


def test_seed_gives_the_published_homography():
    drawn = draw_homography(np.random.RandomState(0))
    np.testing.assert_allclose(drawn * PUBLISHED[2][2], PUBLISHED, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_warp_moves_pixels_as_the_homography_maps_them(seed):
    random = np.random.RandomState(seed)
    homography = draw_homography(random)
    y, x = np.mgrid[:220, :240].astype(np.float64)
    # A photo whose colours tell their own position, smooth enough to be interpolated.
    photo = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    origin = (30, 40)
    warped = warp(photo, homography, origin, PHOTO_SIDE)
    cells = np.stack(
        [x[:PHOTO_SIDE:16, :PHOTO_SIDE:16], y[:PHOTO_SIDE:16, :PHOTO_SIDE:16], np.ones((10, 10))], axis=-1
    ).reshape(-1, 3)
    mapped = cells @ homography.T
    mapped = np.rint(mapped[:, :2] / mapped[:, 2:]).astype(int)
    inside = (mapped >= 2).all(axis=1) & (mapped < PHOTO_SIDE - 2).all(axis=1)
    seen = warped[mapped[inside, 1], mapped[inside, 0]].astype(float)
    np.testing.assert_allclose(seen[:, 0] - origin[1], cells[inside, 0], atol=2.0)
    np.testing.assert_allclose(seen[:, 1] - origin[0], cells[inside, 1], atol=2.0)


def test_beyond_the_photo_is_black():
    shifted = np.array([[1.0, 0, 50], [0, 1, 0], [0, 0, 1]])
    warped = warp(np.full((PHOTO_SIDE, PHOTO_SIDE, 3), 200, np.uint8), shifted, (0, 0), PHOTO_SIDE)
    assert (warped[:, :49] == 0).all()
    assert (warped[:, 51:] == 200).all()
