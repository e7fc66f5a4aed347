"""The demo, and a photo and a reference to try things with, from a photo that ships with scikit-image."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import skimage
from skimage.transform import warp

from c2m_tf.photos import images
from c2m_tf.photos.drawing import comparison_sheet

if TYPE_CHECKING:
    from c2m_tf.upscaling.upscaler import Upscaler

_NAMES = ("lr.png", "ref.png", "bicubic.png", "sr.png", "comparison.png")

# Homography from the reference to the photo, both as shares of width and height: turned, tilted and a little nearer.
_VIEW = np.array([[0.92, 0.03, 0.05], [-0.02, 0.90, 0.07], [0.02, -0.03, 1.0]])


def run(upscaler: "Upscaler", folder: str | os.PathLike) -> dict[str, dict[str, float]]:
    """Writes lr.png, ref.png, bicubic.png, sr.png and comparison.png into `folder`.

    Args:
        upscaler: Upscaler.
        folder: made if missing.

    Returns:
        {"bicubic": figures, "sr": figures} by the plain protocol, see `metrics.FIGURES`.

    Raises:
        images.ImageError: the folder cannot be made or written, or holds pictures of these names that are not the demo's.
    """
    from c2m_tf.evaluation.metrics import PROTOCOLS  # needs Keras, the sample does not

    folder = check_folder(folder)
    hr, reference = sample_photos()
    lr = images.downsample(hr)
    bicubic = images.upsample(lr)
    result = upscaler(lr, reference)
    sr = images.as_uint8(result.image.rgb)
    photos = {"lr": lr, "ref": reference, "bicubic": bicubic, "sr": sr}
    photos["comparison"] = comparison_sheet(bicubic, sr, reference, hr, title=result.title)
    for name, pixels in photos.items():
        images.write(folder / f"{name}.png", pixels)
    return {name: PROTOCOLS["plain"].figures(hr, photos[name]) for name in ("bicubic", "sr")}


def check_folder(folder: str | os.PathLike) -> Path:
    """The folder, made if missing; raises ImageError unless the demo can write its files there and overwrites no others."""
    folder = images.make_folder(folder)
    hr, reference = sample_photos()
    lr = images.downsample(hr)
    held = {name for name in _NAMES if (folder / name).exists()}
    own = {name for name, photo in (("lr.png", lr), ("ref.png", reference)) if name in held and _shows(folder / name, photo)}
    # The other pictures depend on the model; they are the demo's where its photos lie beside them.
    strange = sorted(held - (set(_NAMES) if len(own) == 2 else own))
    if strange:
        raise images.ImageError(f"{folder} holds a {strange[0]} that is not the demo's; give an empty or a new folder")
    for name in _NAMES:
        images.check_writable(folder / name)
    return folder


def _shows(path: Path, photo: np.ndarray) -> bool:
    try:
        return np.array_equal(images.as_uint8(images.read(path).rgb), photo)
    except images.ImageError:
        return False


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
