"""Matches of cells, refined to fractions of the reference's pixels.

A cell of the LR photo is one pixel; where the reference shows it is known to a cell of 4x4 reference pixels once both
are matched at the LR photo's resolution. But the reference has more to say: shifted by 0 to 3 pixels along each axis
before it is downsampled, it gives 16 LR pictures ("phases") of the same thing, of which one shows it just as the LR
photo's sensor saw it. The phase whose 5x5 pixels correlate best with the LR photo's, among those that start up to a cell
before or within the matched cell, is the match to the pixel; a parabola through its correlation and its neighbours' gives the
fraction. (Those of the cell after it add 0.003 dB and twice the time.)

    phases of a photo = its low-pass at every pixel, [B,H,W,3], cut into cells of 4x4: [B,H/4,W/4,16 phases]

The low-pass is Pillow's bicubic for a reduction by 4, so phase (0, 0) is the reference downsampled by 4.
"""

import numpy as np
from keras import ops

from c2m_tf.network import FEATURE_STRIDE
from c2m_tf.network.tensors import Tensor, edge_padded, first_highest, in_chunks
from c2m_tf.network.upsampling import filtered

WINDOW = 5  # LR pixels per side that are correlated
CHUNK = 4096  # pixels refined at once; each takes about 10 kB
_LEAST_NORM = 0.03  # added to norms, so that what is flat correlates with nothing
_MIDDLE = 0.5  # subtracted from values before they are squared, for the sake of precision
_PHASES = FEATURE_STRIDE**2
_SHIFTS = 2  # cells per side that are tried: the one before the match, and the match
_TRIED = _SHIFTS * FEATURE_STRIDE  # pixels per side
_SEEN = WINDOW + _SHIFTS - 1  # cells per side around a match that are looked at
_LEAST_BEND = 1e-7


def _low_pass_weights():
    """float32 [16], Pillow's bicubic at a quarter of the size, from 6 pixels before the first of a cell to 9 after it."""
    distance = np.abs(np.arange(4 * FEATURE_STRIDE) - 7.5) / FEATURE_STRIDE
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, far)
    return (weights / weights.sum()).astype(np.float32)


_WEIGHTS = _low_pass_weights()
_BEFORE = 6


def low_pass(photo: Tensor) -> Tensor:
    """What an LR pixel shows whose 4x4 pixels start at each pixel of a photo.

    Args:
        photo: float [B,H,W,C].

    Returns:
        float32 [B,H,W,C]. As in Pillow, taps outside the photo are left out and the others weigh more.
    """
    photo = ops.cast(photo, "float32")
    for axis in (1, 2):
        length = ops.shape(photo)[axis]
        weights = ops.broadcast_to(ops.convert_to_tensor(_WEIGHTS), (length, len(_WEIGHTS)))
        photo = filtered(photo, axis, ops.arange(length, dtype="int32") - _BEFORE, weights)
    return photo


def phases(low: Tensor) -> Tensor:
    """The phases of each cell.

    Args:
        low: float [B,H,W,C], result of `low_pass`; H, W multiples of 4.

    Returns:
        [B,H/4,W/4,C*16]; channel 16*c + 4*a + b is that of the cell shifted by a rows and b columns.
    """
    batch, height, width = ops.shape(low)[:3]
    channels = low.shape[-1]
    side = FEATURE_STRIDE
    # In two steps, because runtimes for phones transpose five axes at most: columns of the cells, then rows.
    columns = ops.reshape(low, (batch * height, width // side, side, channels))
    columns = ops.reshape(ops.transpose(columns, (0, 1, 3, 2)), (batch * height // side, side, width // side, channels * side))
    rows = ops.reshape(ops.transpose(columns, (0, 2, 1, 3)), (-1, side, channels, side))
    return ops.reshape(ops.transpose(rows, (0, 2, 1, 3)), (batch, height // side, width // side, channels * _PHASES))


def first_phase(cells: Tensor) -> Tensor:
    """The photo downsampled by 4, [B,Y,X,3], of its phases [B,Y,X,48]."""
    return cells[..., ::_PHASES]


def phase_norms(cells: Tensor) -> Tensor:
    """Of each phase, the norm of the 5x5 cells around each cell, less their mean; the photo's edge is repeated outside.

    Args:
        cells: float32 [B,Y,X,48], result of `phases`.

    Returns:
        float32 [B,Y,X,16].
    """
    values = edge_padded(cells, WINDOW // 2) - _MIDDLE
    shape = (*ops.shape(values)[:3], 3, _PHASES)
    sums = ops.sum(ops.reshape(values, shape), axis=-2)
    squares = ops.sum(ops.reshape(ops.square(values), shape), axis=-2)
    options = {"strides": 1, "padding": "valid", "data_format": "channels_last"}
    mean, mean_square = (ops.average_pool(part, WINDOW, **options) for part in (sums, squares))
    count = WINDOW * WINDOW
    # Of count * 3 values: the sum of squares, less the square of the sum over their number.
    return ops.sqrt(ops.maximum(count * mean_square - count * ops.square(mean) / 3.0, 0.0))


def refine(lr: Tensor, cells: Tensor, norms: Tensor, matches: Tensor) -> tuple[Tensor, Tensor]:
    """The best phase among those of each match and of its neighbours, and where between two pixels correlation would peak.

    Args:
        lr: float [B,h,w,3] in [0, 1].
        cells: float [B,Y,X,48], result of `phases`.
        norms: float [B,Y,X,16], result of `phase_norms`.
        matches: int32 [B,h,w,2], (y, x) of the matched cell, of none in the reference's first row or column.

    Returns:
        positions: float32 [B,h,w,2], (y, x) of the first reference pixel of the 4x4 that each LR pixel shows.
        correlation: float32 [B,h,w], normalised, in [-1, 1] (above by what a parabola adds to it).
    """
    batch, height, width = ops.shape(lr)[:3]
    photo = ops.repeat(ops.arange(batch, dtype="int32"), height * width)
    pixels = (_windows(lr), photo, ops.reshape(matches[..., 0], (-1,)), ops.reshape(matches[..., 1], (-1,)))
    positions, correlation = in_chunks(lambda chunk: _refined(chunk, cells, norms), pixels, CHUNK)
    return ops.reshape(positions, (batch, height, width, 2)), ops.reshape(correlation, (batch, height, width))


def _refined(chunk, cells, norms):
    """`refine` for a chunk of pixels: windows [N,75], numbers of photos, rows and columns of cells, [N] each."""
    window, photo, y, x = chunk
    seen = _from_cells(cells, photo, y, x, -1 - WINDOW // 2, _SEEN)
    seen = ops.reshape(seen, (-1, 3 * _SEEN**2, _PHASES))
    products = ops.matmul(_placed(window), seen)  # [N, shifts, phases]
    norm = _from_cells(norms, photo, y, x, -1, _SHIFTS)
    correlations = products / (ops.reshape(norm, ops.shape(products)) + _LEAST_NORM)
    # Shifts and phases as pixels, row by row: [N, 8*8].
    correlations = ops.reshape(correlations, (-1, _SHIFTS, _SHIFTS, FEATURE_STRIDE, FEATURE_STRIDE))
    correlations = ops.reshape(ops.transpose(correlations, (0, 1, 3, 2, 4)), (-1, _TRIED**2))
    best, peak = first_highest(correlations)
    positions, highest = [], peak
    for cell, place, step in ((y, best // _TRIED, _TRIED), (x, best % _TRIED, 1)):
        moved, added = _vertex(correlations, best, place, step, peak)
        positions.append(ops.cast(FEATURE_STRIDE * (cell - 1) + place, "float32") + moved)
        highest = highest + added
    return ops.stack(positions, axis=-1), highest


def _vertex(correlations, best, place, step, peak):
    """Of the parabola through the best pixel [N] and those beside it along an axis: how far from it, and how much higher."""

    def beside(direction):
        index = ops.clip(best + direction * step, 0, _TRIED**2 - 1)
        return ops.take_along_axis(correlations, index[:, None], axis=1)[:, 0]

    before, after = beside(-1), beside(1)
    bend = ops.minimum(before - 2.0 * peak + after, -_LEAST_BEND)
    between = (place > 0) & (place < _TRIED - 1)  # else one of the neighbours was not tried
    moved = ops.where(between, ops.clip(0.5 * (before - after) / bend, -0.5, 0.5), 0.0)
    return moved, -0.25 * (before - after) * moved


def _windows(lr):
    """5x5 pixels around each pixel, of mean 0 and norm 1: [B*h*w, 5*5*3]."""
    height, width = ops.shape(lr)[1:3]
    edged = edge_padded(ops.cast(lr, "float32"), WINDOW // 2)
    parts = [edged[:, i : i + height, j : j + width] for i in range(WINDOW) for j in range(WINDOW)]
    window = ops.reshape(ops.concatenate(parts, axis=-1), (-1, WINDOW * WINDOW * 3))
    window = window - ops.mean(window, axis=-1, keepdims=True)
    return window / (ops.sqrt(ops.sum(ops.square(window), axis=-1, keepdims=True)) + _LEAST_NORM)


def _placed(window):
    """Windows [N,75] set into 6x6 pixels of zeros at each of 4 places: [N, 4, 6*6*3]."""
    window = ops.reshape(window, (-1, WINDOW, 3 * WINDOW))
    placed = []
    for i in range(_SHIFTS):
        for j in range(_SHIFTS):
            border = [[0, 0], [i, _SHIFTS - 1 - i], [3 * j, 3 * (_SHIFTS - 1 - j)]]
            placed.append(ops.reshape(ops.pad(window, border), (-1, 1, 3 * _SEEN**2)))
    return ops.concatenate(placed, axis=1)


def _from_cells(values, photo, y, x, first, count):
    """Of [B,Y,X,C] those of count x count cells, the first of them at (y + first, x + first): float32 [N,count^2,C].

    Beyond the edge is the nearest cell.
    """
    rows, columns = ops.shape(values)[1:3]
    channels = values.shape[-1]
    offsets = ops.arange(first, first + count, dtype="int32")
    of_rows, of_columns = (ops.clip(cell[:, None] + offsets, 0, size - 1) for cell, size in ((y, rows), (x, columns)))
    index = ((photo[:, None] * rows + of_rows) * columns)[:, :, None] + of_columns[:, None, :]
    taken = ops.take(ops.reshape(values, (-1, channels)), ops.reshape(index, (-1,)), axis=0)
    return ops.cast(ops.reshape(taken, (-1, count**2, channels)), "float32")
