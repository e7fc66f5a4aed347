"""A demonstration on a photo that ships with scikit-image.

`sample` has the photo and its reference.
"""

import os
from typing import TYPE_CHECKING

import numpy as np

from c2m_tf.evaluation.protocols import PROTOCOLS
from c2m_tf.evaluation.sample import sample_photos
from c2m_tf.photos import images
from c2m_tf.photos.sheets import comparison_sheet

if TYPE_CHECKING:
    from c2m_tf.upscaling.upscaler import Upscaler

_NAMES = ("lr.png", "ref.png", "bicubic.png", "sr.png", "comparison.png")


def run(upscaler: "Upscaler", folder: str | os.PathLike) -> dict[str, dict[str, float]]:
    """Writes lr.png, ref.png, bicubic.png, sr.png and comparison.png into `folder`.

    Args:
        upscaler: Upscaler.
        folder: made if missing.

    Returns:
        {"bicubic": figures, "sr": figures} by the plain protocol, see `protocols.FIGURES`.

    Raises:
        images.ImageError: the folder cannot be made or written, or holds pictures of these names that are not the demo's.
    """
    folder = images.make_folder(folder)
    hr, reference = sample_photos()
    lr = images.downsample(hr)
    _check_folder(folder, lr, reference)
    bicubic = images.upsample(lr)
    sr = images.as_uint8(upscaler(lr, reference).image.rgb)
    photos = {"lr": lr, "ref": reference, "bicubic": bicubic, "sr": sr}
    photos["comparison"] = comparison_sheet(bicubic, sr, reference, hr)
    for name, pixels in photos.items():
        images.write(folder / f"{name}.png", pixels)
    return {name: PROTOCOLS["plain"].figures(hr, photos[name]) for name in ("bicubic", "sr")}


def _check_folder(folder, lr, reference):
    """Raises ImageError unless the demo can write its files there without overwriting any that are not its own."""
    held = {name for name in _NAMES if (folder / name).exists()}
    own = {name for name, photo in (("lr.png", lr), ("ref.png", reference)) if name in held and _shows(folder / name, photo)}
    # The other pictures depend on the model; they are the demo's where its photos lie beside them.
    strange = sorted(held - (set(_NAMES) if len(own) == 2 else own))
    if strange:
        raise images.ImageError(f"{folder} holds a {strange[0]} that is not the demo's; give an empty or a new folder")
    for name in _NAMES:
        images.check_writable(folder / name)


def _shows(path, photo):
    try:
        return np.array_equal(images.as_uint8(images.read(path).rgb), photo)
    except images.ImageError:
        return False
