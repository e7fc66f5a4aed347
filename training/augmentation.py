"""What is drawn at random of a training photo: homographies and warps by them, flips, degradations.

A homography is a float64 [3,3] matrix that maps pixels (x, y, 1) of image 1 to image 2, its warp, up to scale. Pixel
coordinates name pixel centres: the first pixel is (0, 0).

LR patches are as they are in everyday photos: cut out of a degraded photo, not degraded after they were cut out. So JPEG's
blocks begin anywhere in a patch, and blur mixes in what lies around it.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from skimage.transform import estimate_transform

from c2m_tf.photos.degradations import Degradation, draw_degradation
from c2m_tf.photos.images import SCALE
from c2m_tf.photos.result_size import Orientation

PHOTO_SIDE = 160  # side of the training photos in pixels
LR_CENTRES = SCALE * np.arange(PHOTO_SIDE // SCALE) + (SCALE - 1) / 2  # of LR pixels along an axis, in pixels of the photo
_NEAREST = 10  # the square whose corners are moved lies at least this far from the photo's origin
_LARGEST_SHIFT = 10  # corners move by less than this many pixels along each axis

# Of stronger homographies, which are not published.
_SCALES = 0.8, 1.25
_LARGEST_SHARE = 0.12  # of the photo's side that corners move along each axis

_SURROUNDINGS = 8  # LR pixels: JPEG's blocks, and more than a blur reaches


def draw_homography(random: np.random.RandomState) -> np.ndarray:
    """A random homography by the published sampler.

    A square of 160 px is set at 10 to 159 px from the origin and its corners are moved by up to 9 px; the homography is the
    map from the moved square back to the square. As the square lies off to one side, pixels move by 11 px in the mean and by
    up to about 55 px.

    Args:
        random: source of numbers; draws come in the order of the released code, so that seeds give its homographies.

    Returns:
        float64 [3,3], image 1 -> image 2, last element 1.
    """
    left, top = random.randint(_NEAREST, PHOTO_SIDE), random.randint(_NEAREST, PHOTO_SIDE)
    corners = np.array(
        [[left, top], [left + PHOTO_SIDE, top], [left, top + PHOTO_SIDE], [left + PHOTO_SIDE, top + PHOTO_SIDE]], np.float64
    )
    moved = corners.copy()
    for corner in moved:
        for axis in range(2):
            shift = random.randint(0, _LARGEST_SHIFT)
            corner[axis] += shift * random.choice([-1, 1])
    homography = estimate_transform("projective", moved, corners).params
    return homography / homography[2, 2]


def draw_stronger_homography(random: np.random.RandomState) -> np.ndarray:
    """A random homography that also enlarges or reduces: by 0.8 to 1.25, then corners move by up to 12 % of the photo's side.

    Args:
        random: what is drawn depends on its state alone.

    Returns:
        float64 [3,3], image 1 -> image 2, last element 1.
    """
    middle = (PHOTO_SIDE - 1) / 2
    corners = middle + PHOTO_SIDE / 2 * np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    scale = np.exp(random.uniform(*np.log(_SCALES)))
    largest = _LARGEST_SHARE * PHOTO_SIDE
    moved = middle + scale * (corners - middle) + random.uniform(-largest, largest, (4, 2))
    homography = estimate_transform("projective", corners, moved).params
    return homography / homography[2, 2]


def warp(photo: np.ndarray, homography: np.ndarray, origin: tuple[int, int], size: int) -> np.ndarray:
    """A window of a photo, warped: the pixel that lies at p in the window is seen at homography * p in the result.

    Args:
        photo: uint8 [H,W,3].
        homography: float [3,3], see `draw_homography`.
        origin: (y, x) of the window's first pixel in the photo. What the warp needs from around the window is taken from the
            photo; beyond the photo it is black.
        size: side of the window and of the result in pixels.

    Returns:
        uint8 [size,size,3], bilinear.
    """
    # Pillow rather than scikit-image: it warps 8 bits as they are, three times as fast. It asks where in the photo each pixel
    # of the result comes from, and counts from pixel corners.
    to_corners = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    to_photo = np.array([[1, 0, origin[1]], [0, 1, origin[0]], [0, 0, 1]])
    inverse = to_photo @ to_corners @ np.linalg.inv(homography) @ np.linalg.inv(to_corners)
    coefficients = tuple((inverse / inverse[2, 2]).ravel()[:8])
    image = Image.fromarray(photo)
    return np.asarray(
        image.transform((size, size), Image.Transform.PERSPECTIVE, coefficients, resample=Image.Resampling.BILINEAR)
    )


class RandomFlip:
    """Flips and a transpose, each with probability one half, the same for every photo it is called on."""

    def __init__(self, random: np.random.RandomState) -> None:
        self._orientation = Orientation(*random.randint(0, 2, 3))

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        return self._orientation.turned(photo)

    def origin(self, shape: Sequence[int], y: int, x: int, side: int = PHOTO_SIDE) -> tuple[int, int]:
        """Where the first pixel of a square window at (y, x) is after the flips."""
        x = shape[1] - side - x if self._orientation.mirrored else x
        y = shape[0] - side - y if self._orientation.upturned else y
        return (x, y) if self._orientation.transposed else (y, x)

    def positions(self, positions: np.ndarray, side: int = PHOTO_SIDE) -> np.ndarray:
        """Where positions [h,w,2] (x, y) in a square photo are after the flips, for pixels that are flipped alike."""
        mirrored, upturned, transposed = self._orientation
        last = side - 1
        x, y = positions[..., 0], positions[..., 1]
        moved = np.stack([last - x if mirrored else x, last - y if upturned else y], axis=-1)
        return self(moved[..., ::-1] if transposed else moved)


def degraded_patch(
    photo: np.ndarray, origin: tuple[int, int], size: int, random: np.random.RandomState, share: float
) -> np.ndarray | None:
    """The LR patch of a window of an HR photo, degraded with the probability `share`.

    Args:
        photo: uint8 [H,W,3], HR.
        origin: of the window in it, (y, x).
        size: side of the window in HR pixels, a multiple of 4.
        random: what is drawn depends on its state alone; untouched if the share is 0.
        share: in [0, 1].

    Returns:
        uint8 [size/4,size/4,3]; None if the patch is not to be degraded.
    """
    if share == 0.0:
        return None
    degradation = draw_degradation(random, 1.0 - share)
    if degradation == Degradation():
        return None
    rows, above = _span(origin[0], size, photo.shape[0], random)
    columns, left = _span(origin[1], size, photo.shape[1], random)
    lr = degradation(photo[rows, columns], random)
    side = size // SCALE
    return lr[above : above + side, left : left + side]


def _span(start: int, size: int, end: int, random: np.random.RandomState) -> tuple[slice, int]:
    """Slice of HR pixels: the window's and some before and after it; and LR pixels before the window's."""
    before = random.randint(min(_SURROUNDINGS, start // SCALE) + 1)
    after = min(_SURROUNDINGS, (end - start - size) // SCALE)
    return slice(start - SCALE * before, start + size + SCALE * after), before
