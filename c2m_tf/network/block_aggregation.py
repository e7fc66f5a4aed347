"""Aggregation at the LR photo's resolution: what the matches say about each pixel's 4x4 block of the result.

The match of a pixel's neighbour at (i, j) predicts the pixel too: the reference's block that lies as far from the
neighbour's match as the pixel from the neighbour. Nine neighbours make nine predictions (taps), as in dynamic
aggregation (C2-Matching, section 3.3), but of whole blocks, whose pixels are channels; no pixel of the result is
computed before the last step of the network. A tap is

    the reference's high frequencies in that block, 4x4x3; the LR pixel's difference to what an LR photo would show of that
    block, 3, which tells whether the reference says the same in other light; the correlation of the neighbour's match, 1

High frequencies are what an LR photo whose pixels lie on the match's own grid would not tell: the reference less the
low-pass at every fourth pixel, counted from the match, upsampled again. So the same thing looks the same to the network,
wherever it lies. Matches lie between pixels: the reference is interpolated there, by cubic convolution (Keys, "Cubic
convolution interpolation for digital image processing", 1981), its low-pass linearly.
"""

from collections.abc import Sequence

import numpy as np
from keras import ops

from c2m_tf.network import FEATURE_STRIDE
from c2m_tf.network.tensors import Tensor, edge_padded, in_chunks
from c2m_tf.network.upsampling import BICUBIC_WEIGHTS

TAPS = 9
SIDE = FEATURE_STRIDE
CHANNELS = SIDE**2 * 3 + 3 + 1  # of a tap
_GAIN = 4.0  # of differences of pixels, which are small beside a correlation
_BLOCKS = 3  # blocks per side around a match, one for each neighbour that it predicts
_REACH = BICUBIC_WEIGHTS.shape[1] // 2  # low-pass values beside the one of a block that its upsampled pixels depend on
_CHUNK = 4608  # pixels aggregated at once; each takes about 10 kB
_LOW = _BLOCKS + 2 * _REACH  # low-pass values per side around a match


def _upsampling_matrix():
    """float32 [12,7]: pixels of three blocks from the low-pass values of these and of two more on each side."""
    matrix = np.zeros((_BLOCKS * SIDE, _LOW), np.float32)
    for block in range(_BLOCKS):
        matrix[SIDE * block : SIDE * (block + 1), block : block + 2 * _REACH + 1] = BICUBIC_WEIGHTS
    return matrix


def _shifted(new, taps, step=1):
    """float32 [taps, new, last one seen + 1]: of every `step`-th place that so many taps start at, each tap's own."""
    return np.stack([np.eye(step * (new - 1) + taps, dtype=np.float32)[tap::step][:new] for tap in range(taps)])


_PIXELS = _shifted(_BLOCKS * SIDE, 4)
_CELLS = _shifted(_BLOCKS, 2, step=2)
_UPSAMPLED = _upsampling_matrix() @ _shifted(_LOW, 2, step=2)


def joined(references: Sequence[Tensor]) -> Tensor:
    """Pixels, or cells, of several references as one list.

    Args:
        references: [B,H,W,C] each, of any sizes.

    Returns:
        [B,N,C], those of the first reference row by row, then of the second, and so on.
    """
    flat = [ops.reshape(reference, (ops.shape(reference)[0], -1, reference.shape[-1])) for reference in references]
    return ops.concatenate(flat, axis=1)


def sizes_of(references: Sequence[Tensor]) -> Tensor:
    """int32 [R,2], height and width of each reference [B,H,W,3]."""
    return ops.stack([ops.stack([ops.cast(size, "int32") for size in ops.shape(photo)[1:3]]) for photo in references])


def aggregate_blocks(
    lr: Tensor,
    references: tuple[Tensor, Tensor],
    sizes: Tensor,
    displacement: Tensor,
    number: Tensor,
    score: Tensor,
    origin: Tensor | None = None,
) -> Tensor:
    """Nine predictions of each pixel's block.

    Args:
        lr: float32 [B,h,w,3] in [0, 1].
        references: their pixels, float [B,N,3], and the phases of their cells (`subcell.phases`), float [B,N/16,48], results of
            `joined`. Sides are multiples of 4.
        sizes: result of `sizes_of`, of the pixels.
        displacement: float32 [B,h,w,2], (dy, dx): the block of the pixel at (y, x) starts at (4y + dy, 4x + dx) in its
            reference.
        number: int32 [B,h,w], of the reference that each pixel is matched with.
        score: float32 [B,h,w], correlation of each match.
        origin: int [2], (y, x) of the first pixel if `lr` is a tile of the photo that displacements are counted in.

    Returns:
        float32 [B,h,w,468]: for each tap, row by row of the 3x3 neighbours, pixels of the block row by row, then the
        differences to the low-pass, then the correlation.
    """
    batch, height, width = ops.shape(lr)[:3]
    number = edge_padded(number[..., None], 1)[..., 0]
    high, low = _around_matches(references, sizes, edge_padded(displacement, 1), number, origin)
    score = edge_padded(score[..., None], 1)
    taps = []
    for i in range(_BLOCKS):
        for j in range(_BLOCKS):
            # The neighbour's match predicts what lies on its other side.
            from_row, from_column = 2 - i, 2 - j
            own = (slice(None), slice(i, i - 2 or None), slice(j, j - 2 or None))
            rows, columns = (slice(SIDE * first, SIDE * (first + 1)) for first in (from_row, from_column))
            block = ops.reshape(high[(*own, rows, columns)], (batch, height, width, SIDE**2 * 3))
            taps += [_GAIN * block, _GAIN * (low[(*own, from_row, from_column)] - lr), score[own]]
    return ops.concatenate(taps, axis=-1)


def _around_matches(references, sizes, displacement, number, origin):
    """Of the 3x3 blocks around each match, high frequencies [B,h,w,12,12,3] and low-pass values [B,h,w,3,3,3].

    Of pixels from one before the tile's first one to one after its last. Beyond the reference's edge is its nearest pixel.
    """
    batch, height, width = ops.shape(number)
    first = (0, 0) if origin is None else (origin[0], origin[1])
    areas = sizes[:, 0] * sizes[:, 1]
    start = ops.take(ops.cumsum(areas) - areas, number)
    start = start + ops.reshape(ops.arange(batch, dtype="int32") * ops.shape(references[0])[1], (-1, 1, 1))
    y, x = (SIDE * (first[axis] - 1 + ops.arange(size, dtype="int32")) for axis, size in enumerate((height, width)))
    grid = ops.stack(ops.meshgrid(y, x, indexing="ij"), axis=-1)
    block = ops.floor(displacement)
    fraction = displacement - block
    block = ops.cast(block, "int32") + grid
    items = (start[..., None], ops.take(sizes, number, axis=0), block, fraction)
    flat = [ops.reshape(values, (-1, length)) for values, length in zip(items, (1, 2, 2, 2), strict=True)]
    pixels, phases = (ops.reshape(values, shape) for values, shape in zip(references, ((-1, 3), (-1,)), strict=True))
    high, low = in_chunks(lambda chunk: _around(chunk, pixels, phases), flat, _CHUNK)
    shape = (batch, height, width)
    return ops.reshape(high, (*shape, *high.shape[1:])), ops.reshape(low, (*shape, *low.shape[1:]))


def _around(chunk, pixels, phases):
    """`_around_matches` for a chunk of pixels: where their reference starts [N,1], its size, block and fraction [N,2]."""
    start, size, block, fraction = chunk

    def places(steps):
        """Rows and columns [N,steps] of those at `steps` from each block along both axes."""
        return [ops.clip(block[:, axis, None] + steps, 0, size[:, axis, None] - 1) for axis in range(2)]

    def gathered(values, index, steps):
        taken = ops.take(values, ops.reshape(index, (-1,)), axis=0)
        return ops.cast(ops.reshape(taken, (-1, len(steps), len(steps), 3)), "float32")

    fraction = ops.reshape(fraction, (-1, 2, 1))
    steps = np.arange(-SIDE - 1, 2 * SIDE + 2, dtype=np.int32)
    rows, columns = places(steps)
    seen = gathered(pixels, (start + rows * size[:, 1, None])[:, :, None] + columns[:, None, :], steps)
    seen = _interpolated(seen, _cubic(fraction), _PIXELS)
    cells = SIDE * np.arange(-(_LOW // 2), _LOW // 2 + 1, dtype=np.int32)
    steps = np.stack([cells, cells + 1], axis=1).reshape(-1)  # beside each other, the two to go between
    rows, columns = places(steps)
    # A cell's numbers are 16 phases of each colour.
    of_rows = (start // SIDE**2 + rows // SIDE * (size[:, 1, None] // SIDE)) * (3 * SIDE**2) + rows % SIDE * SIDE
    of_columns = columns // SIDE * (3 * SIDE**2) + columns % SIDE
    colours = SIDE**2 * np.arange(3, dtype=np.int32)
    both = gathered(phases, (of_rows[:, :, None] + of_columns[:, None, :])[..., None] + colours, steps)
    linear = ops.concatenate([1.0 - fraction, fraction], axis=-1)
    inner = slice(2 * _REACH, 2 * (_REACH + _BLOCKS))
    return seen - _interpolated(both, linear, _UPSAMPLED), _interpolated(both[:, inner, inner], linear, _CELLS)


def _interpolated(values, weights, matrices):
    """[N,K,K,3] at new places along both axes, [N,M,M,3], by weights [N,2,T] of the axes' constant matrices [T,M,K]."""
    new, old = matrices.shape[1:]
    matrix = ops.reshape(ops.matmul(weights, matrices.reshape(len(matrices), -1)), (-1, 2, new, old))
    for axis in range(2):
        # Both axes have their turn in front.
        values = ops.matmul(matrix[:, axis], ops.reshape(values, (-1, old, values.shape[2] * 3)))
        values = ops.transpose(ops.reshape(values, (-1, new, old if axis == 0 else new, 3)), (0, 2, 1, 3))
    return values


def _cubic(fraction):
    """Keys's, of the pixels from one before to two after: [N,2,1] -> [N,2,4]."""
    square = fraction * fraction
    cube = square * fraction
    weights = (
        -0.5 * cube + square - 0.5 * fraction,
        1.5 * cube - 2.5 * square + 1.0,
        -1.5 * cube + 2.0 * square + 0.5 * fraction,
        0.5 * cube - 0.5 * square,
    )
    return ops.concatenate(weights, axis=-1)
