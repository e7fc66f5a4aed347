"""Inputs of upscalers, arrays or files, and their checks.

A file is used in three steps: its size is read from its header; memory is estimated from all sizes, and what would not fit is
refused; pixels are decoded last, in this photo's turn.
"""

import os
from collections.abc import Sequence
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from c2m_tf.photos import images
from c2m_tf.photos.headers import read_header, rereadable
from c2m_tf.photos.images import as_float

MIN_LR_SIDE = 3  # pixels: one 3x3 patch of cells
MIN_REF_SIDE = 12  # pixels: one 3x3 patch of cells of 4 pixels

PhotoLike: TypeAlias = np.ndarray | str | os.PathLike | BinaryIO

# Stands for an LR photo whose colours are sRGB.
_NO_PROFILE = images.Photo(np.zeros((1, 1, 3), np.float32))


def sources_of(refs: Any) -> list[Any]:
    """One reference or several (`PhotoLike`) as a list of sources (`source_of`); raises ValueError if there are none."""
    if isinstance(refs, (list, tuple)) and not refs:
        raise ValueError("the list of references is empty; leave refs out to upscale without a reference")
    return [source_of(ref) for ref in (refs if isinstance(refs, (list, tuple)) else [refs])]


def source_of(photo: Any) -> Any:
    """A `PhotoLike` as an array, or as a file that can be read more than once."""
    return rereadable(photo) if is_file(photo) else np.asarray(photo)


def is_file(photo: Any) -> bool:
    """Whether a photo is a path or an open file."""
    return isinstance(photo, (str, os.PathLike)) or hasattr(photo, "read")


def shapes_of(refs: Sequence[Any]) -> list[tuple[int, ...]]:
    """Shapes of references; see `shape_of`."""
    return [shape_of("reference", ref) for ref in refs]


def shape_of(what: str, photo: Any) -> tuple[int, ...]:
    """Shape of a photo, from its header if it is a file; raises ValueError if an array is no RGB photo."""
    if is_file(photo):
        header = read_header(photo)
        return header.height, header.width, 3
    if photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"the {what} has shape {photo.shape}; expected is [height, width, 3]")
    if photo.dtype != np.uint8 and not np.issubdtype(photo.dtype, np.floating):
        raise ValueError(f"the {what} is of type {photo.dtype}; expected is uint8, or float in [0, 1]")
    return photo.shape


def pixels_of(what: str, photo: Any, lr: images.Photo | None = None) -> np.ndarray:
    """The photo as uint8 or float32 [H,W,3], a file in the colours of `lr` (sRGB by default); raises ValueError if values lie
    outside [0, 1]."""
    if is_file(photo):
        return images.reference_colours(images.read(photo), _NO_PROFILE if lr is None else lr)
    if photo.dtype == np.uint8:
        return photo
    if not np.isfinite(photo).all() or photo.min() < -1e-3 or photo.max() > 1.0 + 1e-3:
        raise ValueError(f"the {what} has values outside [0, 1]; scale it, or give uint8")
    return as_float(photo)


def check_sides(what: str, shape: Sequence[int], minimum: int) -> None:
    """Raises ValueError if a photo is smaller than `minimum` pixels along an axis."""
    if min(shape[:2]) < minimum:
        raise ValueError(f"the {what} has {shape[1]}x{shape[0]} pixels; at least {minimum}x{minimum} are needed")


def listed(ref_shapes: Sequence[Sequence[int]]) -> str:
    """References in words, e.g. "with a 640x480 reference"."""
    if not ref_shapes:
        return "without a reference"
    if len(ref_shapes) > 3:
        pixels = sum(shape[0] * shape[1] for shape in ref_shapes)
        return f"with {len(ref_shapes)} references of {pixels:,} pixels together"
    return "with " + " and ".join(f"a {shape[1]}x{shape[0]} reference" for shape in ref_shapes)
