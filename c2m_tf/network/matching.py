"""Correspondence matching: where does the reference show what each LR patch shows?

Both images are described by dense features, one unit vector per cell (a cell is 4x4 image pixels). A 3x3 patch of cells of
the LR photo is compared with every 3x3 patch of the reference by cosine; the best wins, the lowest index among equals.

    patch score S[p, q] = sum over the nine shifts d of G[p + d, q + d],   G[p, q] = <lr cell p, ref cell q>

(p, q are top-left cells), so G costs 256 products for each pair of cells where patches as vectors would cost 2304.
With G laid out flat, moving p and q by one cell to the right is one constant step in memory, and so is moving both
one row down: the nine-fold sum is two sums of three shifted views. The LR photo is processed in strips of columns,
a few rows at a time; the sums along x of the last two rows are carried on. So nothing is computed twice, and memory
stays bounded for photos of any size.

Source: C2-Matching (CVPR 2021), section 3.2; the published code's result is reproduced, index by index.
"""

import functools
from collections.abc import Sequence
from typing import Any

from keras import ops

from c2m_tf.network import PATCH
from c2m_tf.network.tensors import Tensor, larger, round_up, smaller

ROWS = 4  # of the LR photo at a time: enough to make the matrix product efficient
# Bytes of one block of the correlation matrix, ROWS by the strip's columns by all reference cells. About six such blocks
# are alive at once.
BLOCK_BYTES = 24 * 2**20
# Rows of the reference's grid are padded to a multiple of this many float32 numbers (64 bytes), so that TensorFlow can take
# views shifted by whole rows without copying.
ALIGNMENT = 16
_INVALID = -100.0  # added once for each cell that must not be matched; patch scores lie within [-9, 9]


def match(lr_features: Tensor, ref_features: Tensor, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Best matching reference patch of each LR patch.

    Args:
        lr_features: float [B,h,w,C], features of the upsampled LR photo; h, w >= 3.
        ref_features: float [B,H,W,C], features of the reference (or an atlas of several); H, W >= 3, need not equal h, w.
        candidates: optional float [H,W], 1 where a cell shows the reference, 0 where it is padding or a gap; a patch
            that touches a 0 is never chosen. At least one patch must be free of zeros.

    Returns:
        matches: int32 [B,h-2,w-2,2], (y, x) of the best reference patch's top-left cell.
        score: float32 [B,h-2,w-2], mean cosine over the patch's nine cells, in [-1, 1]. No gradient flows through either.
    """
    batch, height, width = ops.shape(lr_features)[:3]
    ref_height, ref_width = ops.shape(ref_features)[1:3]
    # Extra cells that may not be matched: patches that would wrap around touch them.
    grid_width = round_up(ref_width + 1, ALIGNMENT)
    cells = (ref_height + 1) * grid_width
    reference = _reference_matrix(ops.stop_gradient(ref_features), candidates, grid_width)

    columns = smaller(width, larger(1, BLOCK_BYTES // (ROWS * cells * 4) - PATCH))
    strips = (width + columns - 1) // columns
    steps = (height + ROWS - 1) // ROWS  # in each strip
    query = unit(ops.stop_gradient(lr_features))
    query = ops.pad(query, [[0, 0], [0, 0], [0, 0], [0, 1]], constant_values=1.0)
    channels = query.shape[-1]
    # Strips overlap by two columns; a third one keeps the shifted views below inside the array.
    query = ops.pad(query, [[0, 0], [0, steps * ROWS - height], [0, strips * columns + PATCH - width], [0, 0]])
    scored = columns * cells
    carried = scored + (PATCH - 1) * grid_width
    row_length = (columns + PATCH) * cells

    def step(number, sums_of_row_before_last, sums_of_last_row, best_cell, best_score):
        photo, strip, rows = number // (strips * steps), number // steps % strips, number % steps
        pixels = ops.slice(query, (photo, rows * ROWS, strip * columns, 0), (1, ROWS, columns + PATCH, channels))
        pixels = ops.reshape(pixels, (1, ROWS * (columns + PATCH), channels))
        all_cells = ops.slice(reference, (photo, 0, 0), (1, channels, cells))
        correlation = ops.reshape(ops.matmul(pixels, all_cells), (ROWS * row_length,))
        sums = [sums_of_row_before_last, sums_of_last_row]
        for row in range(ROWS):
            sums.append(_sum_of_parts([(correlation, row * row_length + j * (cells + 1)) for j in range(PATCH)], carried))
        scores = [_sum_of_parts([(sums[row + i], i * grid_width) for i in range(PATCH)], scored) for row in range(ROWS)]
        # Of equal scores, top_k takes the one at the lowest index.
        best = [ops.top_k(ops.reshape(score, (columns, cells)), 1) for score in scores]
        cell = ops.stack([ops.cast(indices[:, 0], "int32") for _, indices in best])
        here = ops.reshape(ops.arange(batch * strips * steps) == number, (-1, 1, 1))
        best_cell = ops.where(here, cell, best_cell)
        best_score = ops.where(here, ops.stack([values[:, 0] for values, _ in best]), best_score)
        # A cell is never negative. Adding its lower bound makes the next step wait for this one; TensorFlow would
        # otherwise start several at once and hold the memory of them all.
        following = number + 1 + ops.minimum(cell[0, 0], 0)
        return following, sums[-2], sums[-1], best_cell, best_score

    no_sums = ops.zeros((carried,))
    no_result = ops.zeros((batch * strips * steps, ROWS, columns))
    state = (ops.convert_to_tensor(0, "int32"), no_sums, no_sums, ops.cast(no_result, "int32"), no_result)
    *_, best_cell, best_score = ops.while_loop(lambda number, *_: number < batch * strips * steps, step, state)

    def arranged(values):
        """[B*strips*steps, ROWS, columns] -> [B,h-2,w-2]. Row y was scored when the last row of its patch was reached."""
        values = ops.reshape(values, (batch, strips, steps * ROWS, columns))
        values = ops.reshape(ops.transpose(values, (0, 2, 1, 3)), (batch, steps * ROWS, strips * columns))
        return values[:, PATCH - 1 : height, : width - PATCH + 1]

    cell = arranged(best_cell)
    return ops.stack([cell // grid_width, cell % grid_width], axis=-1), arranged(best_score) / (PATCH * PATCH)


def flow_from_matches(matches: Tensor) -> Tensor:
    """Displacement of each LR cell to its match, as the published code lays it out.

    The flow of cell (y, x) is that of the patch whose *top-left* cell it is; the last two rows and columns, where no patch
    starts, are zero.

    Args:
        matches: int32 [B,h-2,w-2,2], (y, x).

    Returns:
        float32 [B,h,w,2], (dy, dx) in cells of 4 pixels.
    """
    rows, columns = ops.shape(matches)[1:3]
    y, x = ops.meshgrid(ops.arange(rows), ops.arange(columns), indexing="ij")
    displacement = matches - ops.cast(ops.stack([y, x], axis=-1), matches.dtype)[None]
    border = [0, PATCH - 1]
    return ops.pad(ops.cast(displacement, "float32"), [[0, 0], border, border, [0, 0]])


def bordered(flow: Tensor) -> Tensor:
    """A photo's flow [B,h,w,2] as `pre_offsets` expects it: two rows of zeros above and two columns left, [B,h+2,w+2,2]."""
    border = [PATCH - 1, 0]
    return ops.pad(flow, [[0, 0], border, border, [0, 0]])


def pre_offsets(flow: Tensor, scale: int) -> Tensor:
    """The nine displacements that the deformable convolution's taps start from.

    Tap (i, j) at output pixel (Y, X) follows the match of the patch in which that pixel's cell sits at position (i, j):

        pre[Y, X, 3i + j] = scale * flow[Y // scale - i, X // scale - j]

    Args:
        flow: float32 [B,h+2,w+2,2] in cells, (dy, dx): that of h x w cells, and two rows above and two columns left of it,
            zeros outside the photo (`bordered`).
        scale: pixels of the level per cell side: 1, 2 or 4.

    Returns:
        float32 [B, scale*h, scale*w, 9, 2], (dy, dx) in pixels of that level.
    """
    height, width = (size - (PATCH - 1) for size in ops.shape(flow)[1:3])
    scaled = flow * float(scale)
    taps = []
    for i in range(PATCH):
        for j in range(PATCH):
            top, left = PATCH - 1 - i, PATCH - 1 - j
            taps.append(scaled[:, top : top + height, left : left + width])
    stacked = ops.stack(taps, axis=3)
    return ops.repeat(ops.repeat(stacked, scale, axis=1), scale, axis=2)


def _reference_matrix(ref_features: Tensor, candidates: Tensor, grid_width: Any) -> Tensor:
    """[B,C+1,cells]: unit features as columns, the last row holding what is added to each cell's correlations."""
    batch, height, width = ops.shape(ref_features)[:3]
    added = [[0, 1], [0, grid_width - width]]  # rows and columns
    allowed = ops.ones((height, width)) if candidates is None else ops.cast(candidates, "float32")
    penalty = (1.0 - ops.pad(allowed, added)) * _INVALID
    reference = ops.reshape(ops.pad(unit(ref_features), [[0, 0], *added, [0, 0]]), (batch, -1, ref_features.shape[-1]))
    penalty = ops.broadcast_to(ops.reshape(penalty, (1, 1, -1)), (batch, 1, (height + 1) * grid_width))
    return ops.concatenate([ops.transpose(reference, (0, 2, 1)), penalty], axis=1)


def unit(features: Tensor) -> Tensor:
    """Features [...,C] as float32 vectors of length one; vectors of zeros stay so."""
    return ops.normalize(ops.cast(features, "float32"), axis=-1, epsilon=1e-12)


def _sum_of_parts(parts: Sequence[tuple[Tensor, Any]], length: Any) -> Tensor:
    """Sum of parts of flat arrays, each given as (array, where the part starts): [length]."""
    return functools.reduce(ops.add, (array[start : start + length] for array, start in parts))
