"""Correspondence matching: where does the reference show what each LR patch shows?

Both images are described by dense features, one unit vector a cell (a cell is 4x4 image pixels). A 3x3 patch of cells of
the LR photo is compared with every 3x3 patch of the reference by cosine; the best wins, the lowest index among equals.

    patch score S[p, q] = sum over the nine shifts d of G[p + d, q + d],   G[p, q] = <lr cell p, ref cell q>

(p, q are top-left cells), so G costs 256 products for each pair of cells where patches as vectors would cost 2304.
With G laid out flat, moving p and q by one cell to the right is one constant step in memory, and so is moving both
one row down: the nine-fold sum is two sums of three shifted views. Query rows are handled in blocks so that memory
stays bounded.

Source: C2-Matching (CVPR 2021), section 3.2; the published code's result is reproduced, index by index.
"""

from keras import ops

from c2m_tf.sizes import larger, smaller
from c2m_tf.typing import Tensor

PATCH = 3

# Bytes of one block of the correlation matrix: large enough to keep the processor busy, small enough to bound memory.
BLOCK_BYTES = 24 * 2**20
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
        score: float32 [B,h-2,w-2], mean cosine over the patch's nine cells, in [-1, 1].
    """
    batch, height, width = ops.shape(lr_features)[:3]
    ref_height, ref_width = ops.shape(ref_features)[1:3]
    # One extra column and row of cells that may not be matched: patches that would wrap around touch them.
    grid_height, grid_width = ref_height + 1, ref_width + 1
    cells = grid_height * grid_width
    reference = _reference_matrix(ref_features, candidates, batch, cells)
    # Three spare rows keep the shifted views below inside the array.
    query = _append_channel(_unit(lr_features), 1.0)
    channels = query.shape[-1]
    query = ops.reshape(query, (batch, height * width, channels))
    query = ops.pad(query, [[0, 0], [0, PATCH], [0, 0]])

    patch_rows = height - PATCH + 1
    rows = _rows_in_block(batch, width, cells, patch_rows)
    blocks = (patch_rows + rows - 1) // rows
    starts = ops.minimum(ops.arange(blocks) * rows, patch_rows - rows)
    step_right = cells + 1
    step_down = width * cells + grid_width
    length = rows * width * cells

    def block(start):
        size = (batch, (rows + PATCH - 1) * width + PATCH, channels)
        pixels = ops.slice(query, (0, start * width, 0), size)
        correlation = ops.reshape(ops.matmul(pixels, reference), (batch, -1))
        summed = _sum_of_shifted(correlation, step_right, length + (PATCH - 1) * step_down)
        scores = _sum_of_shifted(summed, step_down, length)
        return _argmax(ops.reshape(scores, (batch, rows, width, grid_height, grid_width)))

    best_y, best_x, best = ops.map(block, starts)  # each [blocks, B, rows, w]
    matches = ops.stack([_join(best_y, patch_rows), _join(best_x, patch_rows)], axis=-1)
    patch_columns = width - PATCH + 1
    score = _join(best, patch_rows) / (PATCH * PATCH)
    return matches[:, :, :patch_columns], score[:, :, :patch_columns]


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
    displacement = matches - ops.cast(ops.stack([y, x], axis=-1), matches.dtype)
    border = [0, PATCH - 1]
    return ops.cast(ops.pad(displacement, [[0, 0], border, border, [0, 0]]), "float32")


def pre_offsets(flow: Tensor, scale: int) -> Tensor:
    """The nine displacements that the deformable convolution's taps start from.

    Tap (i, j) at output pixel (Y, X) follows the match of the patch in which that pixel's cell sits at position (i, j):

        pre[Y, X, 3i + j] = scale * flow[Y // scale - i, X // scale - j]      (0 where that lies outside)

    Args:
        flow: float32 [B,h,w,2] in cells, (dy, dx).
        scale: pixels of the wanted level in a cell: 1, 2 or 4.

    Returns:
        float32 [B, scale*h, scale*w, 9, 2], (dy, dx) in pixels of that level.
    """
    height, width = ops.shape(flow)[1:3]
    padded = ops.pad(flow * float(scale), [[0, 0], [PATCH - 1, 0], [PATCH - 1, 0], [0, 0]])
    taps = []
    for i in range(PATCH):
        for j in range(PATCH):
            top, left = PATCH - 1 - i, PATCH - 1 - j
            taps.append(padded[:, top : top + height, left : left + width])
    stacked = ops.stack(taps, axis=3)
    return ops.repeat(ops.repeat(stacked, scale, axis=1), scale, axis=2)


def _reference_matrix(ref_features, candidates, batch, cells):
    """[B, C+1, cells]: unit features as columns, the last row holding what is added to each cell's correlations."""
    reference = _append_channel(_unit(ref_features), 0.0)
    channels = reference.shape[-1]
    height, width = ops.shape(ref_features)[1:3]
    allowed = ops.ones((height, width)) if candidates is None else ops.cast(candidates, "float32")
    allowed = ops.pad(allowed, [[0, 1], [0, 1]])
    penalty = (1.0 - allowed) * _INVALID
    reference = ops.pad(reference, [[0, 0], [0, 1], [0, 1], [0, 0]])
    last_channel = ops.cast(ops.arange(channels) == channels - 1, "float32")
    reference = reference + penalty[None, :, :, None] * last_channel
    return ops.transpose(ops.reshape(reference, (batch, cells, channels)), (0, 2, 1))


def _append_channel(features, value):
    return ops.pad(features, [[0, 0], [0, 0], [0, 0], [0, 1]], constant_values=value)


def _unit(features):
    features = ops.cast(features, "float32")
    norm = ops.sqrt(ops.sum(ops.square(features), axis=-1, keepdims=True))
    return features / ops.maximum(norm, 1e-12)


def _rows_in_block(batch, width, cells, patch_rows):
    bytes_per_row = batch * width * cells * 4
    return smaller(patch_rows, larger(1, BLOCK_BYTES // bytes_per_row))


def _sum_of_shifted(flat, step, length):
    return sum(flat[:, shift : shift + length] for shift in (step, 2 * step)) + flat[:, :length]


def _argmax(scores):
    """First maximum over the last two axes of [..., H, W]: row by row first, because a maximum is cheaper than its place."""
    of_rows = ops.max(scores, axis=-1)
    y = ops.argmax(of_rows, axis=-1)
    row = ops.take_along_axis(scores, y[..., None, None], axis=-2)
    x = ops.argmax(row[..., 0, :], axis=-1)
    return ops.cast(y, "int32"), ops.cast(x, "int32"), ops.max(of_rows, axis=-1)


def _join(blocks, patch_rows):
    """[blocks, B, rows, w] -> [B, patch_rows, w]; the last block overlaps the one before it."""
    count, batch, rows, width = ops.shape(blocks)
    joined = ops.reshape(ops.transpose(blocks[:-1], (1, 0, 2, 3)), (batch, (count - 1) * rows, width))
    fresh = patch_rows - (count - 1) * rows
    return ops.concatenate([joined, blocks[-1][:, rows - fresh :]], axis=1)
