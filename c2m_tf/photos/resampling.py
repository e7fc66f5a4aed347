"""Conversion of photos between 8 bits and floats, and Pillow's bicubic, the field's standard degradation."""

import math

import numpy as np
from PIL import Image

SCALE = 4
_FLOATS_AT_ONCE = 2**20


def as_uint8(values: np.ndarray) -> np.ndarray:
    """uint8 unchanged; float in [0, 1] clipped, scaled to 0..255 and rounded. NaN becomes 0."""
    values = np.asarray(values)
    return values if values.dtype == np.uint8 else _as_integers(values, np.uint8)


def as_uint16(values: np.ndarray) -> np.ndarray:
    """The same in 0..65535; uint8 times 257."""
    values = np.asarray(values)
    return values * np.uint16(257) if values.dtype == np.uint8 else _as_integers(values, np.uint16)


def _as_integers(values, kind):
    largest = np.float32(np.iinfo(kind).max)
    result = np.empty(values.shape, kind)
    # Some rows at a time: a float copy of a large photo would take four times its own memory.
    rows = max(1, _FLOATS_AT_ONCE // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), rows):
        part = np.nan_to_num(values[start : start + rows].astype(np.float32))
        result[start : start + rows] = np.rint(np.clip(part, 0.0, 1.0) * largest)
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
    """Pillow's bicubic resize, the field's standard degradation: 8 bits in, 8 bits out, antialiased when shrinking.

    Args:
        values: uint8 [H,W,3] or [H,W].
        size: (height, width) of the result.

    Returns:
        uint8 of that size.
    """
    return np.asarray(Image.fromarray(values).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def downsample(hr: np.ndarray) -> np.ndarray:
    """LR photo of an HR photo whose sides are multiples of 4: Pillow's bicubic by 4, uint8 [h,w,3]."""
    return bicubic(hr, (hr.shape[0] // SCALE, hr.shape[1] // SCALE))


def upsample(lr: np.ndarray) -> np.ndarray:
    """Pillow's bicubic by 4: uint8 [4h,4w,3] or [4h,4w]."""
    return bicubic(lr, (lr.shape[0] * SCALE, lr.shape[1] * SCALE))


def crop_to_multiple(photo: np.ndarray, multiple: int = SCALE) -> np.ndarray:
    """Drops rows at the bottom and columns at the right until both sides are multiples of 4."""
    height, width = (size // multiple * multiple for size in photo.shape[:2])
    return photo[:height, :width]
