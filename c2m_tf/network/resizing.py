"""Photos in another size, inside the graph, with Pillow's filter.

`keras.ops.image.resize` refuses sizes that are known only when a graph runs.
"""

import math

import numpy as np
from keras import ops

from c2m_tf.network.tensors import Tensor

_REACH = 3  # of Lanczos's filter
_LEAST = 12  # pixels per side that are kept: one 3x3 patch of cells of 4 pixels


def resized(photo: Tensor, scale: float) -> Tensor:
    """A photo in `scale` times its size, by Pillow's Lanczos filter, without rounding to 8 bits.

    Args:
        photo: float [B,H,W,C].
        scale: positive.

    Returns:
        float32 [B, round(scale*H), round(scale*W), C]; a side of 12 or more is not made shorter than 12.
    """
    photo = ops.cast(photo, "float32")
    if scale == 1.0:
        return photo
    for axis in (1, 2):
        photo = _resized_along(photo, scale, axis)
    return photo


def _resized_along(photo, scale, axis):
    length = ops.shape(photo)[axis]
    if isinstance(length, int):  # JAX needs sizes as numbers; rounded as tensors are
        new = max(int(np.round(np.float32(scale) * np.float32(length))), min(length, _LEAST))
    else:
        new = ops.maximum(ops.cast(ops.round(scale * ops.cast(length, "float32")), "int32"), ops.minimum(length, _LEAST))
    ratio = ops.cast(length, "float32") / ops.cast(new, "float32")  # old pixels per new one
    stretch = ops.maximum(ratio, 1.0)  # the filter widens where the photo shrinks
    centre = (ops.cast(ops.arange(new), "float32") + 0.5) * ratio
    taps = 2 * math.ceil(_REACH * max(1.0, 1.0 / scale * 1.1)) + 1
    first = ops.cast(ops.floor(centre - _REACH * stretch), "int32")
    shape = (1, -1, 1, 1) if axis == 1 else (1, 1, -1, 1)
    total, sum_of_weights = 0.0, 0.0
    for tap in range(taps):
        position = first + tap
        weight = _lanczos((ops.cast(position, "float32") + 0.5 - centre) / stretch)
        weight = ops.where((position >= 0) & (position < length), weight, 0.0)
        pixels = ops.take(photo, ops.clip(position, 0, length - 1), axis=axis)
        total = total + ops.reshape(weight, shape) * pixels
        sum_of_weights = sum_of_weights + weight
    return total / ops.reshape(sum_of_weights, shape)


def _lanczos(distance):
    """sinc(x) sinc(x/3) within 3."""
    angle = math.pi * ops.where(ops.abs(distance) < 1e-6, 1e-6, distance)
    value = ops.sin(angle) / angle * ops.sin(angle / _REACH) / (angle / _REACH)
    return ops.where(ops.abs(distance) < _REACH, value, 0.0)
