"""A pair to try things with: a photo that ships with scikit-image, small, and another view of it as the reference.

The view is made of the same photo. That is easier than a real reference; `c2m-tf evaluate` measures on real ones. Photo:
Pikolo Espresso Bar by Rachel Michetti, CC0.
"""

import os
from pathlib import Path

import numpy as np
import skimage
from skimage.transform import warp

from c2m_tf.photos import images

# Homography from the reference to the photo, both as shares of width and height: turned, tilted and a little nearer.
_VIEW = np.array([[0.92, 0.03, 0.05], [-0.02, 0.90, 0.07], [0.02, -0.03, 1.0]])


def sample_photos() -> tuple[np.ndarray, np.ndarray]:
    """The HR photo and the reference, uint8 [H,W,3] of one size, multiples of 4."""
    hr = images.crop_to_multiple(skimage.data.coffee())
    return hr, other_view(hr)


def write_sample(folder: str | os.PathLike) -> list[Path]:
    """Writes lr.png and reference.jpg; what is there stays.

    Args:
        folder: made if missing.

    Returns:
        Paths of both.

    Raises:
        images.ImageError: the folder cannot be made or written, or holds a file of these names.
    """
    folder = images.make_folder(folder)
    paths = [folder / "lr.png", folder / "reference.jpg"]
    for path in paths:
        if path.exists():
            raise images.ImageError(f"{path} is there already; give another folder")
        images.check_writable(path)
    hr, reference = sample_photos()
    for path, pixels in zip(paths, (images.downsample(hr), reference), strict=True):
        images.write(path, pixels)
    return paths


def other_view(photo: np.ndarray) -> np.ndarray:
    """The photo from another side and in warmer, darker colours: uint8 [H,W,3] of the same size."""
    height, width = photo.shape[:2]
    to_pixels = np.diag([width, height, 1.0])
    turned = warp(photo, to_pixels @ _VIEW @ np.linalg.inv(to_pixels), order=3, mode="reflect")
    return images.as_uint8(turned**1.15 * np.array([1.0, 0.95, 0.88]))
