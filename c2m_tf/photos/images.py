"""Photos in and out of files, safely, and Pillow's bicubic degradation.

Reading: PNG, JPEG, WebP, BMP and TIFF, recognised by content, nothing else. The size in the header is checked before a pixel is
decoded, so a small file cannot ask for gigabytes. EXIF orientation is applied. What becomes of other kinds of pixels:

    gray             three equal channels; the result is written as gray again
    palette          its colours, and its transparency as alpha
    alpha            kept beside the colours; upscaled by bicubic
    16-bit gray      scaled to [0, 1] at full precision; the result has 8 bits
    16-bit colour    Pillow reads the upper 8 bits
    CMYK, YCbCr, LAB converted to RGB by Pillow's formulas, without colour management; an embedded profile of an RGB or gray
                     photo is copied to the result
    several frames   the first

Writing: into a temporary file beside the target, which replaces it only when complete.
"""

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from c2m_tf.photos.files import replacing
from c2m_tf.photos.headers import FORMATS as FORMATS
from c2m_tf.photos.headers import MAX_PIXELS, ImageError, decoding, name_of, opened
from c2m_tf.photos.headers import TooLargeError as TooLargeError
from c2m_tf.photos.headers import UnknownFormatError as UnknownFormatError

SCALE = 4
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
SUFFIXES_WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")
_FLOATS_AT_ONCE = 2**20


class Photo(NamedTuple):
    """A photo as the networks take it.

    rgb: float32 [H,W,3] in [0, 1].
    alpha: float32 [H,W] in [0, 1], or None.
    gray: whether the file was gray.
    icc_profile: embedded colour profile, or None.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    gray: bool = False
    icc_profile: bytes | None = None


def read(source: str | os.PathLike | BinaryIO, max_pixels: int = MAX_PIXELS) -> Photo:
    """Reads a photo.

    Args:
        source: path of a file, or an open binary file at its start.
        max_pixels: refuse larger photos, before decoding.

    Returns:
        Photo.

    Raises:
        ImageError: no such file, a directory, not one of the formats, damaged, truncated, or too large.
    """
    with opened(source) as file:
        return decode(file, name_of(source), max_pixels)


def decode(file: BinaryIO, name: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Photo:
    """Reads a photo from an open file.

    Args:
        file: binary, at its start.
        name: what errors call it.
        max_pixels: refuse larger photos, before decoding.

    Returns:
        Photo.

    Raises:
        UnknownFormatError: not one of the formats.
        TooLargeError: more pixels than allowed.
        ImageError: damaged or truncated. The two above are ImageErrors too.
    """
    with decoding(file, name, max_pixels) as image:
        return _photo(name, image)


def write(
    path: str | os.PathLike,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    gray: bool = False,
    icc_profile: bytes | None = None,
) -> None:
    """Writes a photo; the file appears complete or not at all, and an older one is replaced only by a complete one.

    Args:
        path: target; the suffix chooses the format (`SUFFIXES`).
        rgb: uint8 [H,W,3], or float [H,W,3] in [0, 1], which is clipped and rounded.
        alpha: optional, [H,W] of the same kind.
        gray: write one channel (the luma of rgb).
        icc_profile: optional colour profile to embed.

    Raises:
        ImageError: suffix unknown or unable to hold alpha, folder missing or not writable, disk full.
    """
    path = Path(path)
    check_suffix(path, alpha is not None)
    write_atomically(path, lambda file: encode(file, SUFFIXES[path.suffix.lower()], rgb, alpha, gray, icc_profile))


def encode(
    file: BinaryIO,
    file_format: str,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    gray: bool = False,
    icc_profile: bytes | None = None,
) -> None:
    """Writes a photo of one of `FORMATS` to an open binary file; other arguments as of `write`."""
    image = Image.fromarray(as_uint8(rgb))
    if gray:
        image = image.convert("L")
    if alpha is not None:
        image.putalpha(Image.fromarray(as_uint8(alpha)))
    options = {"icc_profile": icc_profile} if icc_profile else {}
    if file_format in ("JPEG", "WEBP"):
        options["quality"] = 95
    image.save(file, file_format, **options)


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


def check_suffix(path: str | os.PathLike, with_alpha: bool = False) -> None:
    """Raises ImageError if the suffix of `path` names no format that we write, or none that can hold alpha if need be."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ImageError(f"{path}: cannot write {suffix or 'a file without suffix'}; choose one of {' '.join(SUFFIXES)}")
    if with_alpha and suffix not in SUFFIXES_WITH_ALPHA:
        raise ImageError(f"{path}: {suffix} cannot hold transparency; choose one of {' '.join(SUFFIXES_WITH_ALPHA)}")


def check_output(path: str | os.PathLike, inputs: Iterable[str | os.PathLike]) -> None:
    """Raises ImageError if writing to `path` is bound to fail or would overwrite one of `inputs`; creates nothing."""
    path = Path(path)
    check_suffix(path)
    check_writable(path)
    for source in inputs:
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise ImageError(f"output {path} is an input; choose another name, inputs are never overwritten")


def make_folder(path: str | os.PathLike) -> Path:
    """The folder `path`, made if it is missing; raises ImageError if that fails or it is a file."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"cannot make folder {folder}: {error.strerror}") from error
    return folder


def check_writable(path: str | os.PathLike) -> None:
    """Raises ImageError if `path` is a folder, or its folder does not exist or cannot be written; creates nothing."""
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise ImageError(f"cannot write {path}: folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise ImageError(f"cannot write {path}: folder {path.parent} is not writable")


def as_uint8(values: np.ndarray) -> np.ndarray:
    """uint8 as it is; float in [0, 1] clipped, scaled to 0..255 and rounded. NaN becomes 0."""
    values = np.asarray(values)
    if values.dtype == np.uint8:
        return values
    result = np.empty(values.shape, np.uint8)
    # Some rows at a time: a float copy of a large photo would take four times its own memory.
    rows = max(1, _FLOATS_AT_ONCE // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), rows):
        part = np.nan_to_num(values[start : start + rows].astype(np.float32))
        result[start : start + rows] = np.rint(np.clip(part, 0.0, 1.0) * np.float32(255.0))
    return result


def as_float(values: np.ndarray) -> np.ndarray:
    """uint8 0..255 -> float32 [0, 1]; float as float32."""
    values = np.asarray(values)
    if values.dtype != np.uint8:
        return values.astype(np.float32)
    result = values.astype(np.float32)
    result /= np.float32(255.0)
    return result


def bicubic(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pillow's bicubic resize, as the field degrades photos: 8 bits in, 8 bits out, antialiased when shrinking.

    Args:
        values: uint8 [H,W,3] or [H,W].
        size: (height, width) wanted.

    Returns:
        uint8 of that size.
    """
    return np.asarray(Image.fromarray(values).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def downsample(hr: np.ndarray) -> np.ndarray:
    """LR photo of an HR one whose sides are multiples of 4: Pillow's bicubic by 4, uint8 [h,w,3]."""
    return bicubic(hr, (hr.shape[0] // SCALE, hr.shape[1] // SCALE))


def upsample(lr: np.ndarray) -> np.ndarray:
    """Pillow's bicubic by 4: uint8 [4h,4w,3] or [4h,4w]."""
    return bicubic(lr, (lr.shape[0] * SCALE, lr.shape[1] * SCALE))


def crop_to_multiple(photo: np.ndarray, multiple: int = SCALE) -> np.ndarray:
    """Drops rows at the bottom and columns at the right until both sides are multiples of 4."""
    height, width = (size // multiple * multiple for size in photo.shape[:2])
    return photo[:height, :width]


def _photo(name, image):
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    profile = image.info.get("icc_profile")
    if image.mode in ("I;16", "I;16B", "I;16L"):
        values = np.asarray(image).astype(np.float32) / np.float32(65535.0)
        return Photo(np.repeat(values[..., None], 3, axis=2), None, True, profile)
    if image.mode in ("I", "F"):
        raise ImageError(f"{name} has 32 bits a pixel, whose range is unknown; convert it to 8 or 16 bits")
    gray = image.mode in ("1", "L", "LA", "La")
    transparent = image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info
    if image.mode not in ("1", "L", "LA", "La", "RGB", "RGBA", "RGBa", "P", "PA"):
        profile = None  # it describes the colours before the conversion
    rgba = np.asarray(image.convert("RGBA")) if transparent else np.asarray(image.convert("RGB"))
    alpha = as_float(rgba[..., 3]) if transparent else None
    return Photo(as_float(rgba[..., :3]), alpha, gray, profile)
