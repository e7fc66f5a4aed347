"""Photos in another size, inside the graph: Pillow's bicubic at 4x, bit for bit, a bilinear skip, and Pillow's Lanczos filter.

Matching compares the reference with the bicubically upsampled LR photo. The published pipeline makes that picture
with Pillow, which works on 8-bit pixels: a horizontal pass with fixed-point weights, rounding to 8 bits, then a
vertical one. Doing the same integers here lets the whole model take an LR photo alone, also once exported.

At 4x, output pixel 4x+p lies (p - 1.5) / 4 input pixels from input pixel x, so there are four sets of weights
("phases"). Pillow drops taps outside the image and renormalises the rest, hence a table by how many are missing.

`keras.ops.image.resize` refuses sizes that are known only when a graph runs, hence the Lanczos filter here.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from c2m_tf.network.tensors import Tensor

SCALE = 4
_REACH = 2  # taps reach two input pixels to either side
_PRECISION_BITS = 22  # of Pillow's fixed-point weights

_LANCZOS_REACH = 3  # of Lanczos's filter
_ROWS = 16  # of a result that one product of matrices gives
_LEAST = 12  # pixels per side that are kept: one 3x3 patch of cells of 4 pixels


def _bicubic_table() -> np.ndarray:
    """int32 [missing on the left 0..2, missing on the right 0..2, phase, tap -2..2], Pillow's fixed-point weights."""
    phase = np.arange(SCALE)[:, None]
    tap = np.arange(-_REACH, _REACH + 1)[None, :]
    distance = np.abs(tap - (phase - 1.5) / SCALE)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    table = np.zeros((3, 3, SCALE, 2 * _REACH + 1), np.int32)
    for left in range(3):
        for right in range(3):
            present = (tap >= left - _REACH) & (tap <= _REACH - right)
            kept = weights * present
            scaled = kept / kept.sum(1, keepdims=True) * (1 << _PRECISION_BITS)
            table[left, right] = np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int32)
    return table


_BICUBIC_TABLE = _bicubic_table()


def bicubic_upsample(lr: Tensor) -> Tensor:
    """Pillow's `Image.resize` by 4 with BICUBIC, exactly.

    Args:
        lr: float [B,h,w,3] in [0, 1]; rounded to 8 bits first.

    Returns:
        float32 [B,4h,4w,3]: multiples of 1/255 in [0, 1]. No gradient flows (the pixels are integers on the way).
    """
    pixels = ops.floor(ops.clip(ops.cast(lr, "float32"), 0.0, 1.0) * 255.0 + 0.5)
    pixels = _bicubic_pass(pixels, axis=2)
    pixels = _bicubic_pass(pixels, axis=1)
    return pixels / 255.0


def _bicubic_pass(pixels: Tensor, axis: int) -> Tensor:
    """Whole numbers in float32 in and out, computed in integers; padded as floats: GPU delegates fail to pad integers."""
    length = ops.shape(pixels)[axis]
    position = ops.arange(length)
    missing_left = ops.maximum(_REACH - position, 0)
    missing_right = ops.maximum(position + _REACH - (length - 1), 0)
    table = ops.convert_to_tensor(_BICUBIC_TABLE.reshape(9, SCALE, -1))
    weights = ops.take(table, missing_left * 3 + missing_right, axis=0)  # [length, phase, tap]
    padding = [[0, 0]] * 4
    padding[axis] = [_REACH, _REACH]
    padded = ops.cast(ops.pad(pixels, padding), "int32")
    total = 1 << (_PRECISION_BITS - 1)
    for tap in range(2 * _REACH + 1):
        total = total + _phases(_shifted(padded, tap, length, axis), weights[:, :, tap], axis)
    whole = ops.clip(ops.right_shift(total, _PRECISION_BITS), 0, 255)
    return _interleave(ops.cast(whole, "float32"), ops.shape(pixels), axis)


def bilinear_upsample(lr: Tensor) -> Tensor:
    """Bilinear 4x upsampling, half-pixel centres, edges clamped: the network's global skip.

    `keras.ops.image.resize` gives the same up to rounding, but in Keras 3.15 it refuses sizes known only when a graph runs.

    Args:
        lr: float [B,h,w,C].

    Returns:
        [B,4h,4w,C] of the same dtype.
    """
    return _weighted_upsample(lr, _BILINEAR_WEIGHTS)


_BILINEAR_WEIGHTS = np.array([[0.375, 0.625, 0.0], [0.125, 0.875, 0.0], [0.0, 0.875, 0.125], [0.0, 0.625, 0.375]])
BICUBIC_WEIGHTS = _BICUBIC_TABLE[0, 0] / (1 << _PRECISION_BITS)


def _weighted_upsample(values: Tensor, weights: np.ndarray) -> Tensor:
    """[B,h,w,C] -> [B,4h,4w,C]: a pixel of phase p is the sum of the pixels around the old one, weighted by weights[p]."""
    reach = weights.shape[1] // 2
    for axis in (2, 1):
        length = ops.shape(values)[axis]
        neighbours = ops.clip(ops.arange(-reach, length + reach), 0, length - 1)
        padded = ops.take(values, neighbours, axis=axis)
        of_taps = ops.convert_to_tensor(weights, values.dtype)[None]
        total = sum(_phases(_shifted(padded, tap, length, axis), of_taps[:, :, tap], axis) for tap in range(2 * reach + 1))
        values = _interleave(total, ops.shape(values), axis)
    return values


def _shifted(padded: Tensor, start: Any, length: Any, axis: int) -> Tensor:
    index = [slice(None)] * 4
    index[axis] = slice(start, start + length)
    return padded[tuple(index)]


def _phases(values: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Values [B,h,w,C] times weights [length or 1, phase] -> [what is before `axis`, length, phase, what is after it].

    Four axes are as many as delegates for GPUs take.
    """
    shape = ops.shape(values)
    rest = (shape[0], shape[1], 1, shape[2] * shape[3]) if axis == 1 else (shape[0] * shape[1], shape[2], 1, shape[3])
    return ops.reshape(values, rest) * ops.reshape(weights, (1, -1, SCALE, 1))


def _interleave(values: Tensor, shape: Sequence[Any], axis: int) -> Tensor:
    """The result of `_phases` for [B,h,w,C], the phases merged into `axis`."""
    merged = list(shape)
    merged[axis] = shape[axis] * SCALE
    return ops.reshape(values, merged)


@keras.saving.register_keras_serializable("c2m_tf")
class BilinearUpsample(layers.Layer):
    """Layer around `bilinear_upsample`, computed in float32: [B,h,w,C] -> [B,4h,4w,C]."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, dtype="float32", **kwargs)

    def call(self, lr: Tensor) -> Tensor:
        return bilinear_upsample(ops.cast(lr, "float32"))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, channels = input_shape
        return (batch, height and height * SCALE, width and width * SCALE, channels)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["dtype"]
        return config


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


def resized_length(length: int, scale: float) -> int:
    """The new size of a side, by numbers, rounded as tensors are."""
    return max(int(np.round(np.float32(scale) * np.float32(length))), min(length, _LEAST))


def _resized_along(photo: Tensor, scale: float, axis: int) -> Tensor:
    length = ops.shape(photo)[axis]
    if isinstance(length, int):  # JAX needs sizes as numbers
        new = resized_length(length, scale)
    else:
        new = ops.maximum(ops.cast(ops.round(scale * ops.cast(length, "float32")), "int32"), ops.minimum(length, _LEAST))
    ratio = ops.cast(length, "float32") / ops.cast(new, "float32")  # old pixels per new one
    stretch = ops.maximum(ratio, 1.0)  # the filter widens where the photo shrinks
    centre = (ops.cast(ops.arange(new), "float32") + 0.5) * ratio
    highest = 1.1 / scale  # of the ratio: sides of 12 pixels are rounded by a twenty-fourth
    taps = 2 * math.ceil(_LANCZOS_REACH * max(1.0, highest)) + 1
    first = ops.cast(ops.floor(centre - _LANCZOS_REACH * stretch), "int32")
    position = first[:, None] + ops.arange(taps, dtype="int32")
    weights = _lanczos((ops.cast(position, "float32") + 0.5 - centre[:, None]) / stretch)
    return filtered(photo, axis, first, weights, highest)


def filtered(photo: Tensor, axis: int, first: Tensor, weights: Tensor, step: float = 1.0) -> Tensor:
    """Rows or columns that are weighted means of some of a photo's, computed by products of matrices.

    Args:
        photo: float32 [B,H,W,C].
        axis: 1 for rows, 2 for columns.
        first: int32 [N], not falling: the first row that each new one sees; it may lie outside the photo.
        weights: float32 [N,T] of the rows from there on. Rows outside the photo are left out, and the others weigh more.
        step: an upper bound of the mean difference of `first` from one to the next, over as many rows as `_ROWS`.

    Returns:
        float32 [B,N,W,C], or [B,H,N,C].
    """
    if axis == 2:
        return ops.transpose(filtered(ops.transpose(photo, (0, 2, 1, 3)), 1, first, weights, step), (0, 2, 1, 3))
    batch, height, width = ops.shape(photo)[:3]
    channels, taps = photo.shape[-1], weights.shape[-1]
    count = ops.shape(first)[0]
    blocks = (count + _ROWS - 1) // _ROWS
    position = first[:, None] + ops.arange(taps, dtype="int32")
    weights = ops.where((position >= 0) & (position < height), weights, 0.0)
    weights = weights / ops.sum(weights, axis=-1, keepdims=True)
    # The last block is filled with the last row.
    numbers = ops.minimum(ops.arange(blocks * _ROWS, dtype="int32"), count - 1)
    first, weights = (ops.take(values, numbers, axis=0) for values in (first, weights))
    start = ops.reshape(first, (blocks, _ROWS))[:, :1]
    seen = start + ops.arange(math.ceil(_ROWS * step) + taps, dtype="int32")  # [blocks, rows of the photo]
    tap = ops.reshape(seen[:, None], (blocks, 1, -1)) - ops.reshape(first, (blocks, _ROWS, 1))
    matrix = ops.take_along_axis(ops.reshape(weights, (blocks, _ROWS, taps)), ops.clip(tap, 0, taps - 1), axis=-1)
    matrix = ops.where((tap >= 0) & (tap < taps), matrix, 0.0)
    rows = ops.take(photo, ops.reshape(ops.clip(seen, 0, height - 1), (-1,)), axis=1)
    result = ops.matmul(matrix, ops.reshape(rows, (batch, blocks, seen.shape[1], width * channels)))
    return ops.reshape(result, (batch, blocks * _ROWS, width, channels))[:, :count]


def _lanczos(distance: Tensor) -> Tensor:
    """sinc(x) sinc(x/3) within 3."""
    angle = math.pi * ops.where(ops.abs(distance) < 1e-6, 1e-6, distance)
    value = ops.sin(angle) / angle * ops.sin(angle / _LANCZOS_REACH) / (angle / _LANCZOS_REACH)
    return ops.where(ops.abs(distance) < _LANCZOS_REACH, value, 0.0)
