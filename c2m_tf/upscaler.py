"""Upscaling photos with a model: arrays in, arrays out, with every input checked first.

    upscaler = Upscaler(C2Matching.from_preset("light"))
    sr = upscaler.upscale(lr, ref)            # uint8 or float [h,w,3], [H,W,3] -> float32 [4h,4w,3] in [0, 1]

The search for matches is exact and the whole photo is restored at once, so memory grows with the photo; the need is
estimated beforehand, and what would not fit is refused instead of being killed by the system.
"""

import os
from collections.abc import Iterable, Sequence

import numpy as np

from c2m_tf.images import SCALE, as_float
from c2m_tf.model import C2Matching

LEAST_LR = 3  # pixels a side: one 3x3 patch of cells
LEAST_REF = 12  # pixels a side: one 3x3 patch of cells of 4 pixels
SHARE_OF_MEMORY = 0.75

# Peak bytes at inference, an upper fit to measurements (benchmarks/upscale.py --memory): a fixed part for framework and
# weights, then per output pixel and per reference pixel. Both variants peak in the same layers, those of the largest level.
_FIXED_BYTES = 1000 * 2**20
_BYTES_PER_OUTPUT_PIXEL = 3400
_BYTES_PER_REF_PIXEL = 900


class Upscaler:
    """Upscales photos 4x with one model.

    Args:
        model: C2Matching.
        max_memory: bytes that one photo may need; by default 75 % of the machine's memory.
    """

    def __init__(self, model: C2Matching, max_memory: int | None = None) -> None:
        self.model = model
        self.max_memory = int(_physical_memory() * SHARE_OF_MEMORY) if max_memory is None else max_memory

    def upscale(self, lr: np.ndarray, refs: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """SR photo of one LR photo.

        Args:
            lr: [h,w,3] RGB, uint8 or float in [0, 1]; h, w >= 3.
            refs: one reference [H,W,3] or a list of them, H, W >= 12, of any sizes; uint8 or float in [0, 1].

        Returns:
            float32 [4h,4w,3] in [0, 1].

        Raises:
            ValueError: wrong shape, type, value range or size, or more memory needed than allowed.
        """
        lr = _checked("LR photo", lr, LEAST_LR)
        refs = [_checked("reference", ref, LEAST_REF) for ref in (refs if isinstance(refs, (list, tuple)) else [refs])]
        if not refs:
            raise ValueError("no reference given; at least one is needed")
        self._check_memory(lr, refs)
        inputs = {"lr": lr[None], "ref": refs[0][None] if len(refs) == 1 else [ref[None] for ref in refs]}
        return np.clip(self.model.predict_on_batch(inputs)[0], 0.0, 1.0)

    def estimated_memory(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> int:
        """Bytes that upscaling needs at its peak, from the shapes of the LR photo and of the references."""
        output_pixels = lr_shape[0] * lr_shape[1] * SCALE * SCALE
        ref_pixels = sum(shape[0] * shape[1] for shape in ref_shapes)
        return _FIXED_BYTES + output_pixels * _BYTES_PER_OUTPUT_PIXEL + ref_pixels * _BYTES_PER_REF_PIXEL

    def _check_memory(self, lr, refs):
        needed = self.estimated_memory(lr.shape, [ref.shape for ref in refs])
        if needed > self.max_memory:
            raise ValueError(
                f"upscaling a {lr.shape[1]}x{lr.shape[0]} photo with {_sizes(refs)} needs about {needed / 2**30:.1f} GiB, "
                f"allowed are {self.max_memory / 2**30:.1f} GiB; use smaller photos or allow more (--max-memory)"
            )


def _checked(what, photo, least):
    """The photo as float32 [H,W,3]; raises ValueError if it is not an RGB photo of at least `least` pixels a side."""
    photo = np.asarray(photo)
    if photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"the {what} has shape {photo.shape}; wanted is [height, width, 3]")
    if photo.dtype != np.uint8 and not np.issubdtype(photo.dtype, np.floating):
        raise ValueError(f"the {what} is of type {photo.dtype}; wanted is uint8, or float in [0, 1]")
    if min(photo.shape[:2]) < least:
        raise ValueError(f"the {what} has {photo.shape[1]}x{photo.shape[0]} pixels; at least {least}x{least} are needed")
    photo = as_float(photo)
    if not np.isfinite(photo).all() or photo.min() < -1e-3 or photo.max() > 1.0 + 1e-3:
        raise ValueError(f"the {what} has values outside [0, 1]; scale it, or give uint8")
    return photo


def _sizes(refs):
    return " and ".join(f"a {ref.shape[1]}x{ref.shape[0]} reference" for ref in refs)


def _physical_memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30  # Windows has no sysconf; assume a small machine
