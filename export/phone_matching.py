"""Matching (`c2m_tf.network.matching.match`) in a form that is fast and small in TFLite, for sizes known beforehand.

The same scores, block by block: some rows of the LR photo against some rows of the reference. A block's correlations are one
matrix product [reference cells q, LR pixels p], from which without a copy

    along x   a step to (q+1, p+1) leads straight down in rows of one number more: average pooling over three rows
    along y   a step to (q + one row of the reference, p + one row of the LR photo) leads straight down in rows as long as one
              of the LR photo: a depthwise convolution, dilated
    best      the highest score of each row of the reference by pooling, the best of these, then the place in that row

All of these have many channels: XNNPACK keeps three addresses for each pixel that a pooling or convolution computes, as long as
the interpreter lives, and with few channels these take more memory than the correlations.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from c2m_tf.network import PATCH
from c2m_tf.network.matching import unit

_BELOW = 1000.0  # bound of the magnitude of `previous` and of the values

BLOCK_BYTES = 8 * 2**20  # of one block's correlations; about three times as many are in memory at once
_INVALID = -100.0  # a correlation with a cell that must not be matched; others lie within [-1, 1]
_BORDER = PATCH - 1


def after(values: Any, previous: Any | None) -> Any:
    """The unchanged values, available only once `previous` is computed.

    Args:
        values: float tensor with values of at least -1000, or int32 tensor with values of at least 0.
        previous: float tensor, finite, whose first value is read; None for no dependency.

    Returns:
        `values`, computed as their maximum with a number below all of them that is derived from `previous`.
    """
    if previous is None:
        return values
    # One element in a tensor of one axis: GPUs take no tensors without axes.
    low = tf.clip_by_value(tf.reshape(previous, (-1,))[:1], -_BELOW, _BELOW) - 2 * _BELOW
    return tf.maximum(values, tf.cast(low, values.dtype))


class Block(NamedTuple):
    """Rows of the LR photo, rows of the reference, and its cells: a multiple of LR pixels + 1, for the view along x."""

    lr_rows: int
    rows: int
    cells: int


def match(lr_features: Any, ref_features: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Best matching reference patch of each LR patch; result and ties as of `c2m_tf.network.matching.match`.

    Args:
        lr_features: float [1,h,w,C]; h, w >= 3, static.
        ref_features: float [1,H,W,C]; H, W >= 3, static.

    Returns:
        matches: int32 [1,h-2,w-2,2], (y, x) of the best reference patch's top-left cell.
        score: float32 [1,h-2,w-2], mean cosine over the patch's nine cells.
    """
    height, width, channels = lr_features.shape[1:]
    rows, columns = ref_features.shape[1:3]
    pitch = columns + 1  # a cell of nothing ends each row of the reference
    block = block_for(height, width, rows, pitch)
    query = tf.pad(unit(lr_features), [[0, 0], [0, 0], [0, 0], [0, 1]], constant_values=1.0)
    query = tf.reshape(query, (1, height * width, channels + 1))
    reference = _reference_matrix(ref_features, pitch, _starts(rows, block.rows)[-1] * pitch + block.cells)
    places: list[tf.Tensor] = []
    scores: list[tf.Tensor] = []
    starts = _starts(height, block.lr_rows)
    for first, following in zip(starts, [*starts[1:], height - _BORDER], strict=True):
        lr_rows = query[:, first * width : (first + block.lr_rows) * width]
        place, score = _search(lr_rows, reference, width, pitch, rows, block, places[-1] if places else None)
        # The last block may begin before the one before it ends. Sums are anchored in the middle of a patch.
        inside = slice(1, 1 + following - first)
        places.append(tf.reshape(place, (block.lr_rows, width))[inside, 1:-1])
        scores.append(tf.reshape(score, (block.lr_rows, width))[inside, 1:-1])
    place = tf.concat(places, axis=0)[None, :, :, None]
    row = tf.floor((place + 0.5) / pitch)
    return tf.cast(tf.concat([row, place - row * pitch], axis=-1), tf.int32), tf.concat(scores, axis=0)[None]


def match_coarsely(lr_features: Any, ref_features: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Matches of features averaged over 2x2 cells, laid out as those of `match`: a sixteenth of its correlations.

    A patch then shows 6x6 cells. Each 3x3 patch gets the displacement of the one whose middle is next to its own.

    Args:
        lr_features: float [1,h,w,C]; h, w >= 6, static.
        ref_features: float [1,H,W,C]; H, W >= 6, static.

    Returns:
        matches: int32 [1,h-2,w-2,2], (y, x) of the top-left cell of a 3x3 patch of the reference.
        score: float32 [1,h-2,w-2], mean cosine over the nine averages.
    """
    matches, score = match(*(tf.nn.avg_pool2d(features, 2, 2, "VALID") for features in (lr_features, ref_features)))
    steps = []
    for axis in (1, 2):
        position = np.arange(lr_features.shape[axis] - _BORDER, dtype=np.int32)
        nearest = np.clip((position - 1) // 2, 0, score.shape[axis] - 1)
        matches, score = (tf.gather(values, nearest, axis=axis) for values in (matches, score))
        steps.append(position - 2 * nearest)
    down, right = steps
    # Each axis by itself, because a file would hold the positions of all; no axis is dropped, because a GPU refuses that.
    return tf.concat([2 * matches[..., :1] + down[:, None, None], 2 * matches[..., 1:] + right[:, None]], axis=-1), score


def block_for(height: int, width: int, rows: int, pitch: int) -> Block:
    """The block with which the fewest correlations are computed, of those within `BLOCK_BYTES`; else the smallest.

    Args:
        height, width: of the LR photo in pixels.
        rows, pitch: of the reference in cells, `pitch` being the length of a row.
    """
    choices = []
    for lr_rows in range(PATCH, height + 1):
        for ref_rows in range(PATCH, rows + 1):
            pixels = lr_rows * width
            cells = math.ceil(ref_rows * pitch / (pixels + 1)) * (pixels + 1)
            blocks = math.ceil((height - _BORDER) / (lr_rows - _BORDER)) * math.ceil((rows - _BORDER) / (ref_rows - _BORDER))
            size = 4 * pixels * cells
            choices.append((max(size, BLOCK_BYTES), blocks * size, Block(lr_rows, ref_rows, cells)))
    return min(choices)[-1]


def _starts(length, size):
    """First row of each block of `size` rows; blocks overlap by two rows, and the last one ends with the rows."""
    return [min(start, length - size) for start in range(0, length - _BORDER, size - _BORDER)]


def _reference_matrix(features, pitch, cells):
    """[1,cells,C+1]: unit features of all cells, and what is added to each cell's correlations."""
    rows, columns, channels = features.shape[1:]
    features = tf.reshape(tf.pad(unit(features), [[0, 0], [0, 0], [0, 1], [0, 0]]), (1, rows * pitch, channels))
    features = tf.pad(features, [[0, 0], [0, cells - rows * pitch], [0, 0]])
    added = np.full((cells,), _INVALID, np.float32)
    added[: rows * pitch].reshape(rows, pitch)[:, :columns] = 0.0
    return tf.concat([features, added[None, :, None]], axis=-1)


def _search(lr_rows, reference, width, pitch, rows, block, previous):
    """Place (its row times `pitch` plus its column) and score, float32 [pixels] each, of the best patch for some LR rows."""
    place, score = None, None
    for first in _starts(rows, block.rows):
        cells = reference[:, first * pitch : first * pitch + block.cells]
        scores = _patch_scores(tf.matmul(cells, after(lr_rows, previous), transpose_b=True), width, pitch)
        there, best = _best(scores, pitch, block.rows)
        there = there + first * pitch
        place, score = (there, best) if place is None else (tf.where(best > score, there, place), tf.maximum(best, score))
        previous = place
    return place, score


def _patch_scores(correlation, width, pitch):
    """Scores [1,cells,1,pixels] of all patches, at their middle cells and pixels, from correlations [1,cells,pixels]."""
    cells, pixels = correlation.shape[1:]
    skewed = tf.reshape(correlation, (1, -1, 1, pixels + 1))
    means = tf.nn.avg_pool2d(skewed, (PATCH, 1), (1, 1), "SAME")
    means = tf.reshape(means, (1, -1, 1, width))
    step = pitch * (pixels // width) + 1  # in rows of the LR photo
    kernel = np.full((PATCH, 1, width, 1), 1 / PATCH, np.float32)
    means = tf.nn.depthwise_conv2d(means, kernel, (1, 1, 1, 1), "SAME", dilations=(step, 1))
    return tf.reshape(means, (1, cells, 1, pixels))


def _best(scores, pitch, rows):
    """Place and value, float32 [pixels] each, of the highest of [1,cells,1,pixels] for each pixel, the first of equals."""
    pixels = scores.shape[-1]
    in_rows = tf.nn.max_pool2d(scores, (pitch, 1), (pitch, 1), "VALID")[:, 1 : rows - 1]
    in_rows = tf.transpose(tf.reshape(in_rows, (rows - 2, pixels)))
    row = tf.argmax(in_rows, axis=1, output_type=tf.int32)
    index = ((row[:, None] + 1) * pitch + np.arange(pitch, dtype=np.int32)) * pixels + np.arange(pixels, dtype=np.int32)[
        :, None
    ]
    that_row = tf.gather(tf.reshape(scores, (-1,)), tf.reshape(index, (-1,)))
    column = tf.argmax(tf.reshape(that_row, (pixels, pitch)), axis=1, output_type=tf.int32)
    return tf.cast(row * pitch + column - 1, tf.float32), tf.reduce_max(in_rows, axis=1)
