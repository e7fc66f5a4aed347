"""Writes photos to files, atomically."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from c2m_tf.photos import colour, formats
from c2m_tf.photos.errors import ImageError
from c2m_tf.photos.files import remove_left_over, replacing
from c2m_tf.photos.outputs import check_fits, check_suffix
from c2m_tf.photos.resampling import as_uint8

_QUALITY = 95  # of JPEG and WebP


def write(
    path: str | os.PathLike,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    gray: bool = False,
    icc_profile: bytes | None = None,
    exif: bytes = b"",
) -> None:
    """Writes a photo; the file appears complete or not at all, and an existing one is replaced only by a complete one.

    Args:
        path: target; the suffix chooses the format (`formats.SUFFIXES`).
        rgb: uint8 [H,W,3], or float [H,W,3] in [0, 1], which is clipped and rounded.
        alpha: optional, [H,W] of the same dtype and range.
        gray: write one channel (the luma of rgb).
        icc_profile: optional colour profile of rgb. It is embedded; where the format cannot hold it, colours are converted
            to sRGB.
        exif: optional metadata, written where the format holds it.

    Raises:
        ImageError: suffix unknown, format unable to hold alpha or as many pixels, folder missing or not writable, disk full.
    """
    path = Path(path)
    check_suffix(path, alpha is not None)
    check_fits(path, np.shape(rgb)[:2], alpha is not None)
    write_atomically(
        path, lambda file: encode(file, formats.SUFFIXES[path.suffix.lower()], rgb, alpha, gray, icc_profile, exif)
    )


def encode(
    file: BinaryIO,
    file_format: str,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    gray: bool = False,
    icc_profile: bytes | None = None,
    exif: bytes = b"",
) -> None:
    """Writes a photo of one of `formats.FORMATS` to an open binary file; other arguments as of `write`."""
    holds = formats.WRITTEN[file_format]
    pixels = as_uint8(rgb)
    if icc_profile and (not holds.profile or (not holds.gray and colour.is_gray_profile(icc_profile))):
        pixels, icc_profile = as_uint8(colour.converted(pixels, icc_profile, None, gray)), None
    options: dict = {"icc_profile": icc_profile} if icc_profile else {}
    if exif and holds.exif:
        options["exif"] = exif
    if file_format in ("JPEG", "WEBP"):
        options["quality"] = _QUALITY
    as_pillow(pixels, alpha, gray).save(file, file_format, **options)


def as_pillow(rgb: np.ndarray, alpha: np.ndarray | None, gray: bool) -> Image.Image:
    """A picture of Pillow's, of mode L, LA, RGB or RGBA; arguments as of `write`."""
    picture = Image.fromarray(as_uint8(rgb))
    if gray:
        picture = picture.convert("L")
    if alpha is not None:
        picture.putalpha(Image.fromarray(as_uint8(alpha)))
    return picture


def write_single(path: str | os.PathLike, save: Callable[[BinaryIO], object]) -> None:
    """As `write_atomically`, after what killed processes left of the file is removed, for which its folder is listed."""
    remove_left_over([path])
    write_atomically(path, save)


def write_atomically(path: str | os.PathLike, save: Callable[[BinaryIO], object]) -> None:
    """Calls `save(file)` with a temporary binary file in the folder of `path`, then moves that to `path`.

    Raises:
        ImageError: the folder does not exist or cannot be written, the disk is full, or the target is a folder.
    """
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            save(file)
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error
