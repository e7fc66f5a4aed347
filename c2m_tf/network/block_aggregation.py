"""Aggregation at the LR photo's resolution: what the matches say about each pixel's 4x4 block of the result.

The match of a pixel's neighbour at (i, j) predicts the pixel too: the reference's block that lies as far from the
neighbour's match as the pixel from the neighbour. Nine neighbours make nine predictions (taps), as in dynamic
aggregation (C2-Matching, section 3.3), but of whole blocks, whose pixels are channels; no pixel of the result is
computed before the last step of the network. A tap is

    the reference's high frequencies in that block, 4x4x3; the LR pixel's difference to the block's mean, 3, which tells
    whether the reference says the same in other light; the correlation of the neighbour's match, 1
"""

from collections.abc import Sequence

from keras import ops

from c2m_tf.network.grid import FEATURE_STRIDE
from c2m_tf.network.padding import edge_padded
from c2m_tf.network.tensors import Tensor

TAPS = 9
SIDE = FEATURE_STRIDE
CHANNELS = SIDE**2 * 3 + 3 + 1  # of a tap
_GAIN = 4.0  # of differences of pixels, which are small beside a correlation
_STORED = SIDE * 3 + 3  # numbers kept for each reference pixel


def block_rows(photo: Tensor, high: Tensor) -> Tensor:
    """What `aggregate_blocks` gathers, four rows of which are a block.

    Args:
        photo: float32 [B,H,W,3], the reference.
        high: float32 [B,H,W,3], its high frequencies.

    Returns:
        float32 [B,H,W,15]: the high frequencies of a pixel and the three right of it, and the mean of the 4x4 pixels that start
        there. Zeros and the edge outside the photo.
    """
    width = ops.shape(high)[2]
    right = ops.pad(high, [[0, 0], [0, 0], [0, SIDE - 1], [0, 0]])
    pixels = [right[:, :, column : column + width] for column in range(SIDE)]
    edged = edge_padded(photo, 0, SIDE - 1)
    mean = ops.average_pool(edged, SIDE, 1, padding="valid", data_format="channels_last")
    return ops.concatenate([*pixels, mean], axis=-1)


def joined_rows(references: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of several references as one list.

    Args:
        references: [B,H,W,15] each, results of `block_rows`, of any sizes.

    Returns:
        rows: [B,N,15], those of the first reference row by row, then of the second, and so on.
        sizes: int32 [R,2], height and width of each reference.
    """
    batch = ops.shape(references[0])[0]
    rows = ops.concatenate([ops.reshape(reference, (batch, -1, _STORED)) for reference in references], axis=1)
    sizes = [ops.stack([ops.cast(size, "int32") for size in ops.shape(reference)[1:3]]) for reference in references]
    return rows, ops.stack(sizes)


def aggregate_blocks(
    lr: Tensor,
    rows: Tensor,
    sizes: Tensor,
    displacement: Tensor,
    number: Tensor,
    score: Tensor,
    origin: Tensor | None = None,
) -> Tensor:
    """Nine predictions of each pixel's block.

    Args:
        lr: float32 [B,h,w,3] in [0, 1].
        rows, sizes: of the references, result of `joined_rows`.
        displacement: int32 [B,h,w,2], (dy, dx): the block of the pixel at (y, x) starts at (4y + dy, 4x + dx) in its reference.
        number: int32 [B,h,w], of the reference that each pixel is matched with.
        score: float32 [B,h,w], correlation of each match.
        origin: int [2], (y, x) of the first pixel if `lr` is a tile of the photo that displacements are counted in.

    Returns:
        float32 [B,h,w,468]: for each tap, row by row of the 3x3 neighbours, pixels of the block row by row, then the mean's
        differences, then the correlation.
    """
    batch, height, width = ops.shape(lr)[:3]
    displaced, numbers, scores = _taps(displacement), _taps(number[..., None])[..., 0], _taps(score[..., None])
    first = (0, 0) if origin is None else (origin[0], origin[1])
    own_y = ops.reshape(SIDE * (first[0] + ops.arange(height, dtype="int32")), (1, -1, 1, 1))
    own_x = ops.reshape(SIDE * (first[1] + ops.arange(width, dtype="int32")), (1, 1, -1, 1))
    areas = sizes[:, 0] * sizes[:, 1]
    starts = ops.take(ops.cumsum(areas) - areas, numbers)
    heights, widths = ops.take(sizes[:, 0], numbers), ops.take(sizes[:, 1], numbers)
    y = ops.clip(own_y + displaced[..., 0], 0, heights - SIDE)
    x = ops.clip(own_x + displaced[..., 1], 0, widths - SIDE)
    photo = ops.reshape(ops.arange(batch, dtype="int32") * ops.shape(rows)[1], (-1, 1, 1, 1))
    index = (photo + starts + y * widths + x)[..., None] + widths[..., None] * ops.arange(SIDE, dtype="int32")
    gathered = ops.take(ops.reshape(rows, (-1, _STORED)), ops.reshape(index, (-1,)), axis=0)
    gathered = ops.cast(ops.reshape(gathered, (-1, TAPS, SIDE, _STORED)), "float32")
    pixels = ops.reshape(gathered[..., : SIDE * 3], (batch, height, width, TAPS, SIDE**2 * 3))
    mean = ops.reshape(gathered[:, :, 0, SIDE * 3 :], (batch, height, width, TAPS, 3))
    taps = [_GAIN * pixels, _GAIN * (mean - lr[..., None, :]), scores]
    return ops.reshape(ops.concatenate(taps, axis=-1), (batch, height, width, TAPS * CHANNELS))


def _taps(values):
    """[B,h,w,C] -> of the 3x3 neighbours [B,h,w,9,C]; beyond the edge is the nearest pixel."""
    height, width = ops.shape(values)[1:3]
    edged = edge_padded(values, 1)
    return ops.stack([edged[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=3)
