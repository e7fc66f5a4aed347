"""Matching (`c2m_tf.network.matching.match`) in a form that is fast in TFLite, for sizes known beforehand.

The same sums, in a layout in which convolutions compute them in one pass instead of six of slices and additions:

    correlation   [reference cells q, LR columns x, LR rows y] by one matrix product for a block of LR rows
    along x       in rows of w+1 numbers a step to (q+1, x+1) leads straight down, so a 3x1 depthwise convolution with ones sums
    along y       a step to (q + one row of the reference, y+1): a convolution, dilated by such a row, whose ones lead from each
                  LR row to the patch it belongs to
    best          the highest score of each row of the reference by pooling, the best of these, then the place in that row
"""

from typing import Any

import numpy as np
import tensorflow as tf

from c2m_tf.network.grid import PATCH
from c2m_tf.network.matching import unit

from .order import after

BLOCK_BYTES = 48 * 2**20  # of one block's correlations; about four of them are in memory at once
_INVALID = -100.0  # a correlation with a cell that must not be matched; patch scores lie within [-9, 9]


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
    pitch = columns + 1  # a cell of nothing ends each row of the reference, a row of them the whole
    cells = -(-(rows + 1) * pitch // (width + 1)) * (width + 1)  # a multiple of w+1, for the view along x
    reference = _reference_matrix(ref_features, rows, columns, cells)
    query = tf.pad(unit(lr_features)[0], [[0, 0], [0, 0], [0, 1]], constant_values=1.0)

    block = min(height - PATCH + 1, max(1, BLOCK_BYTES // (cells * width * 4) - PATCH + 1))
    places: list[tf.Tensor] = []
    scores: list[tf.Tensor] = []
    for first in range(0, height - PATCH + 1, block):
        count = min(block, height - PATCH + 1 - first)
        lr_rows = tf.transpose(query[first : first + count + PATCH - 1], (1, 0, 2))  # [w,rows,C+1]
        lr_rows = after(tf.reshape(lr_rows, (1, -1, channels + 1)), scores[-1] if scores else None)
        correlation = tf.matmul(reference, lr_rows, transpose_b=True)  # [1,cells,w*rows]
        place, score = _best(_patch_scores(correlation, width, count, pitch, rows), pitch)
        places.append(place)
        scores.append(score)
    # Sums along x are anchored in the middle, so the first and the last column lack a neighbour.
    matches, score = (tf.concat(parts, axis=0)[None, :, 1:-1] for parts in (places, scores))
    return matches, score / (PATCH * PATCH)


def _reference_matrix(features, rows, columns, cells):
    """[1,cells,C+1]: unit features of all cells, and what is added to each cell's correlations."""
    features = tf.reshape(tf.pad(unit(features)[0], [[0, 1], [0, 1], [0, 0]]), (1, (rows + 1) * (columns + 1), -1))
    features = tf.pad(features, [[0, 0], [0, cells - (rows + 1) * (columns + 1)], [0, 0]])
    added = np.full((cells,), _INVALID, np.float32)
    added[: (rows + 1) * (columns + 1)].reshape(rows + 1, columns + 1)[:rows, :columns] = 0.0
    return tf.concat([features, added[None, :, None]], axis=-1)


def _patch_scores(correlation, width, count, pitch, rows):
    """Scores [1,(rows-2)*pitch,w,count] of all patches, at the cell right of the top-left one, from [1,cells,w*(count+2)]."""
    lr_rows = count + PATCH - 1
    skewed = tf.reshape(correlation, (1, -1, width + 1, lr_rows))
    sums = tf.nn.depthwise_conv2d(skewed, np.ones((PATCH, 1, lr_rows, 1), np.float32), (1, 1, 1, 1), "SAME")
    sums = tf.reshape(sums, (1, -1, width, lr_rows))
    lead = np.zeros((PATCH, 1, lr_rows, count), np.float32)
    for step in range(PATCH):
        lead[step, 0, step : step + count] = np.eye(count)
    return tf.nn.conv2d(sums, lead, 1, "VALID", dilations=(pitch, 1))[:, : (rows - PATCH + 1) * pitch]


def _best(scores, pitch):
    """Place (y, x) int32 [count,w,2] and value [count,w] of the highest of [1,rows*pitch,w,count], the first of equals."""
    width, count = scores.shape[2:]
    in_rows = tf.nn.max_pool2d(scores, (pitch, 1), (pitch, 1), "VALID")
    in_rows = tf.reshape(tf.transpose(in_rows, (2, 3, 0, 1)), (width * count, -1))
    row = tf.argmax(in_rows, axis=1, output_type=tf.int32)
    index = (row[:, None] * pitch + np.arange(pitch, dtype=np.int32)) * (width * count)
    that_row = tf.gather(tf.reshape(scores, (-1,)), index + np.arange(width * count, dtype=np.int32)[:, None])
    column = tf.argmax(that_row, axis=1, output_type=tf.int32) - 1
    place = tf.transpose(tf.reshape(tf.stack([row, column], axis=-1), (width, count, 2)), (1, 0, 2))
    return place, tf.transpose(tf.reshape(tf.reduce_max(in_rows, axis=1), (width, count)))
