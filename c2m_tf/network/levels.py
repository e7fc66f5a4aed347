"""Search by levels: correspondence matching whose cost grows with the photos' area, where exact search grows with its square.

Cells averaged over blocks of 2x2 (and these again, up to 8x8) are searched exactly where they are few (`matching.match`).
Level by level, blocks of 8x8 cells of the LR photo look only around displacements that were found in them and beside them:

    1. Of the displacements found there, the few are chosen that most cells agree on (`_agreed`).
    2. For each, one window of the reference is gathered, which holds what every cell of the block is compared with. A matrix
       product correlates cells of both; each row of the window meets the 2*RADIUS+1 rows of the block that may move to it.
    3. Only columns at most RADIUS apart are of use. In a row-major array [columns of the block, columns of the windows] they
       start one later in each row: rows read as if they were one longer bring them into columns (`_diagonals`).
    4. Correlations are summed over patches; the best wins, the lowest index among equals.

Restored photos are as good as with exact search: what is given up in score, neighbours that agree make up for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from c2m_tf.network import PATCH
from c2m_tf.network.matching import match, unit
from c2m_tf.network.tensors import Tensor, first_highest, in_chunks, shared, smaller

EXACT_PAIRS = 2**23  # pairs of cells up to which a level is searched exactly
LEVELS = 3  # at most, above the photo's cells: blocks of 2x2, 4x4 and 8x8
RADIUS = 1  # cells around a displacement that are tried along each axis
DISPLACEMENTS = 2  # tried in each block
BLOCK = 8  # LR cells per side; even
_HALF = BLOCK // 2
_LEAST_SIDE = 2 * PATCH - 1  # of what is halved
_AGREED = 4.0  # cells apart from which on displacements have nothing in common
_NUMBERS = 1536  # of features, in all blocks that are searched at a time
_INVALID = -100.0  # added to scores of patches that must not be matched; scores lie within [-9, 9]


def halved(features: Tensor) -> Tensor:
    """Unit vectors [B,h,w,C] averaged over 2x2 cells, again of length one: [B,h/2,w/2,C], sizes rounded up."""
    return unit(ops.average_pool(_even(features), 2, 2, padding="valid", data_format="channels_last"))


def match_around(
    lr: Tensor, ref: Tensor, candidates: Tensor | None, coarse: Tensor, coarse_score: Tensor
) -> tuple[Tensor, Tensor]:
    """Matches of cells, as of `match_by_levels`, near those of cells averaged over 2x2; features are unit vectors."""
    batch, height, width = (ops.shape(lr)[axis] for axis in range(3))
    rows, columns = ops.shape(coarse)[1:3]
    blocks_y, blocks_x = ((size - (PATCH - 1) + BLOCK - 1) // BLOCK for size in (height, width))
    y, x = ops.meshgrid(ops.arange(rows, dtype="int32"), ops.arange(columns, dtype="int32"), indexing="ij")
    displacement = 2 * (coarse - ops.stack([y, x], axis=-1)[None])

    # Of averaged cells, the block's own and those beside it. The patch of cell c starts at c - 1.
    beside = ops.arange(-2, _HALF, dtype="int32")
    of_rows = ops.clip(_HALF * ops.arange(blocks_y, dtype="int32")[:, None] + beside, 0, rows - 1)
    of_columns = ops.clip(_HALF * ops.arange(blocks_x, dtype="int32")[:, None] + beside, 0, columns - 1)
    index = ops.reshape(of_rows[:, None, :, None] * columns + of_columns[None, :, None, :], (-1,))
    found = (batch * blocks_y * blocks_x, beside.shape[0] ** 2)
    tried = ops.reshape(ops.take(ops.reshape(displacement, (batch, rows * columns, 2)), index, axis=1), (*found, 2))
    weight = ops.take(ops.reshape(ops.maximum(coarse_score, 0.0), (batch, rows * columns)), index, axis=1)
    matches, score = _search(lr, ref, candidates, tried, ops.reshape(weight, found), blocks_y, blocks_x)
    # Each cell's own averaged patch is matched with one whose inner cells are free to be matched.
    own_rows, own_columns = (
        ops.clip((ops.arange(size - (PATCH - 1)) + 1) // 2 - 1, 0, number - 1)
        for size, number in ((height, rows), (width, columns))
    )
    own, own_score = (ops.take(ops.take(values, own_rows, axis=1), own_columns, axis=2) for values in (coarse, coarse_score))
    valid = score > _INVALID / (2 * PATCH * PATCH)
    return ops.where(valid[..., None], matches, 2 * own + 1), ops.where(valid, score, own_score)


class Searches(NamedTuple):
    """The parts of a search by levels; what compiles each by itself may take their places.

    Attributes:
        exact: of a level's features, `matching.match`.
        halved: `halved`.
        around: `match_around`.
    """

    exact: Callable = shared(match)
    halved: Callable = shared(halved)
    around: Callable = shared(match_around)


def match_by_levels(
    lr_features: Tensor,
    ref_features: Tensor,
    candidates: Tensor | None = None,
    searches: Searches | None = None,
    exact_pairs: float | None = None,
) -> tuple[Tensor, Tensor]:
    """A good matching reference patch of each LR patch; the best where photos are small (`EXACT_PAIRS`).

    Where all that is tried lies outside of the reference, it is what averaged cells have found, with its score. No gradient
    flows through either.

    Args:
        lr_features: float [B,h,w,C], features of the LR photo; h, w >= 3.
        ref_features: float [B,H,W,C], features of the reference (or an atlas of several); H, W >= 3, need not equal h, w.
        candidates: optional float [H,W], 1 where a cell shows the reference, 0 where it is padding or a gap; a patch
            that touches a 0 is never chosen. At least one patch must be free of zeros.
        searches: what does the parts of it; by default the functions of this module.
        exact_pairs: pairs of cells up to which a level is searched exactly; `EXACT_PAIRS` by default.

    Returns:
        matches: int32 [B,h-2,w-2,2], (y, x) of the reference patch's top-left cell.
        score: float32 [B,h-2,w-2], mean cosine over the patch's nine cells, in [-1, 1].
    """
    exact_pairs = EXACT_PAIRS if exact_pairs is None else exact_pairs
    if candidates is not None:
        candidates = ops.cast(candidates, "float32")
    lr_features, ref_features = (unit(ops.stop_gradient(features)) for features in (lr_features, ref_features))
    return _match(lr_features, ref_features, candidates, LEVELS, searches or Searches(), exact_pairs)


def _match(
    lr: Tensor, ref: Tensor, candidates: Tensor | None, levels: int, searches: Searches, exact_pairs: float
) -> tuple[Tensor, Tensor]:
    """`match_by_levels` of unit vectors, with so many levels at most."""
    (height, width), (ref_height, ref_width) = ops.shape(lr)[1:3], ops.shape(ref)[1:3]
    least = smaller(smaller(height, width), smaller(ref_height, ref_width))
    # As floats, because pairs of cells of large photos are more than an int32 can count.
    pairs = _float(height) * _float(width) * _float(ref_height) * _float(ref_width)
    by_levels = (pairs > exact_pairs) & (least >= _LEAST_SIDE)
    small_candidates = None
    if candidates is not None:
        # Each patch of averaged cells that is free of zeros covers patches of cells that are.
        small_candidates = _lowest(_even(candidates[None, :, :, None]), 2, 2)[0, :, :, 0]
        padded = ops.pad(small_candidates, [[2, 2], [2, 2]])[None, :, :, None]
        by_levels = _known(by_levels & (ops.max(_lowest(padded, PATCH, 1)) > 0.0))

    def exactly() -> tuple[Tensor, Tensor]:
        return searches.exact(lr, ref, candidates)

    def around_coarse() -> tuple[Tensor, Tensor]:
        coarse = _match(searches.halved(lr), searches.halved(ref), small_candidates, levels - 1, searches, exact_pairs)
        return searches.around(lr, ref, candidates, *coarse)

    if levels == 0:
        return exactly()
    if isinstance(by_levels, bool):
        return around_coarse() if by_levels else exactly()
    return ops.cond(by_levels, around_coarse, exactly)


def _known(condition: Any) -> Any:
    """A condition as True or False, outside of graphs."""
    try:
        return bool(condition)
    except TypeError:  # of both backends, for what a graph alone will tell
        return condition


def _float(size: Any) -> Any:
    return float(size) if isinstance(size, int) else ops.cast(size, "float32")


def _even(values: Tensor) -> Tensor:
    """[B,h,w,C] with the last row and column repeated where h and w are odd."""
    for axis in (1, 2):
        size = ops.shape(values)[axis]
        values = ops.take(values, ops.minimum(ops.arange(size + size % 2), size - 1), axis=axis)
    return values


def _lowest(values: Tensor, size: int, strides: int) -> Tensor:
    return -ops.max_pool(-values, size, strides, padding="valid", data_format="channels_last")


def _agreed(displacements: Tensor, weights: Tensor) -> Tensor:
    """Of displacements [N,K,2], weighed by [N,K], the DISPLACEMENTS that most agree on: [N,D,2].

    What agrees with one that is chosen counts less for the next.
    """
    apart = ops.max(ops.abs(displacements[:, :, None] - displacements[:, None]), axis=-1)
    agreement = ops.maximum(1.0 - ops.cast(apart, "float32") / _AGREED, 0.0)
    chosen = []
    for _ in range(DISPLACEMENTS):
        best = first_highest(ops.sum(agreement * weights[:, None, :], axis=-1))[0][:, None, None]
        chosen.append(ops.take_along_axis(displacements, best, axis=1))
        weights = weights * (1.0 - ops.take_along_axis(agreement, best, axis=1)[:, 0])
    return ops.concatenate(chosen, axis=1)


def _search(
    lr: Tensor, ref: Tensor, candidates: Tensor, tried: Tensor, weight: Tensor, blocks_y: Any, blocks_x: Any
) -> tuple[Tensor, Tensor]:
    """Best patches around those displacements of each block, [B*blocks,K,2] weighed by [B*blocks,K], that most agree on.

    Matches and scores as of `match`; where none of the patches may be matched, the score is far below -1.
    """
    batch, height, width = (ops.shape(lr)[axis] for axis in range(3))
    ref_height, ref_width = ops.shape(ref)[1:3]
    channels, count = lr.shape[-1], DISPLACEMENTS
    blocks = batch * blocks_y * blocks_x
    side = BLOCK + PATCH - 1  # cells of a block's patches
    reach = 2 * RADIUS + 1
    window_rows, window = side + 2 * RADIUS, side + reach  # one column more than is looked at
    patches = BLOCK + 2 * RADIUS  # that start in a window's rows

    # Windows may start a block and RADIUS before the reference, and end as far after it.
    before, after = BLOCK - 1 + RADIUS, BLOCK + 1 + RADIUS
    outside = [[0, 0], [before, after], [before, after]]
    ref_rows, ref_columns = ref_height + before + after, ref_width + before + after
    ref_cells = ops.reshape(ops.pad(ref, [*outside, [0, 0]]), (-1, channels))
    allowed = ops.ones((1, ref_height, ref_width, 1)) if candidates is None else candidates[None, :, :, None]
    allowed = _lowest(ops.pad(allowed, [*outside, [0, 0]]), PATCH, 1)
    penalty = ops.pad((1.0 - allowed) * _INVALID, [[0, 0], [0, PATCH - 1], [0, PATCH - 1], [0, 0]])
    penalty = ops.reshape(penalty, (-1,))
    # The block's cells, one column more, and a cell of nothing.
    lr_rows, lr_columns = (blocks * BLOCK + PATCH for blocks in (blocks_y, blocks_x))
    lr_cells = ops.pad(lr, [[0, 0], [0, lr_rows - height], [0, lr_columns - width], [0, 0]])
    lr_cells = ops.pad(ops.reshape(lr_cells, (-1, channels)), [[0, 1], [0, 0]])

    # Rows of the block that meet each row of a window.
    rows = ops.arange(window_rows, dtype="int32")[:, None] - ops.arange(reach, dtype="int32")
    met = ((rows >= 0) & (rows < side))[None, :, :, None]
    lr_index = rows[:, :, None] * lr_columns + ops.arange(side + 1, dtype="int32")
    window_index = ops.arange(window_rows, dtype="int32")[:, None] * ref_columns
    window_index = window_index[:, :, None] + ops.arange(window, dtype="int32")
    inside = ops.arange(BLOCK, dtype="int32")

    def search(inputs):
        """Flat index and score [N,BLOCK,BLOCK] of N blocks, of numbers [N], displacements [N,K,2] and weights [N,K]."""
        number, displacement = inputs[0], _agreed(*inputs[1:])
        photo, block_y, block_x = number // (blocks_y * blocks_x), number // blocks_x % blocks_y, number % blocks_x
        first = (photo * lr_rows + block_y * BLOCK) * lr_columns + block_x * BLOCK
        cells = ops.where(met, first[:, None, None, None] + lr_index, batch * lr_rows * lr_columns)
        query = ops.reshape(ops.take(lr_cells, cells, axis=0), (-1, window_rows, reach * (side + 1), channels))

        start_y = ops.clip(block_y[:, None] * BLOCK + displacement[..., 0], 1 - BLOCK, ref_height - PATCH)
        start_x = ops.clip(block_x[:, None] * BLOCK + displacement[..., 1], 1 - BLOCK, ref_width - PATCH)
        # In the order of the reference's cells, so that the first of equal scores is the one at the lowest index.
        order = ops.sort((start_y + BLOCK) * ref_columns + start_x + BLOCK, axis=-1)
        start_y, start_x = order // ref_columns - BLOCK, order % ref_columns - BLOCK
        start = (photo[:, None] * ref_rows + start_y + BLOCK - 1) * ref_columns + start_x + BLOCK - 1
        seen = ops.reshape(start[:, None, :, None] + window_index, (-1, window_rows, count * window))
        key = ops.take(ref_cells, seen[..., :-1], axis=0)
        products = _diagonals(ops.einsum("nrmc,nrkc->nrmk", query, key), reach, side, count, window)
        sums = sum(products[:, i : i + patches] for i in range(PATCH))
        sums = sum(sums[:, :, :, j : j + BLOCK] for j in range(PATCH))
        # Of patches that start at each cell of the window, for each column of the block.
        added = ops.take(penalty, seen[:, :patches] - photo[:, None, None] * (ref_rows * ref_columns), axis=0)
        added = ops.reshape(added, (-1, patches, count, window))
        added = ops.stack([added[..., j : j + reach] for j in range(BLOCK)], axis=2)[:, :, None]
        scores = ops.reshape(sums + added, (-1, patches, reach, BLOCK, count * reach))

        # The best in each row of the reference, then of the rows [N,BLOCK,reach,BLOCK].
        by_row = first_highest(scores)
        place, score = (ops.stack([part[:, i : i + BLOCK, i] for i in range(reach)], axis=2) for part in by_row)
        which = ops.reshape(place // reach, (-1, BLOCK * reach * BLOCK))
        y, x = (ops.reshape(ops.take_along_axis(part, which, axis=1), ops.shape(place)) for part in (start_y, start_x))
        y = y + inside[:, None, None] + ops.arange(-RADIUS, RADIUS + 1, dtype="int32")[:, None]
        x = x + inside + place % reach - RADIUS
        best = ops.max(score, axis=2)
        index = ops.where(score >= best[:, :, None], y * ref_width + x, ref_height * ref_width)
        return ops.min(index, axis=2), best

    numbers = ops.arange(blocks, dtype="int32")
    found = in_chunks(search, (numbers, tried, weight), max(1, _NUMBERS // channels))

    def arranged(values):
        """[blocks, BLOCK, BLOCK] -> [B,h-2,w-2]."""
        values = ops.transpose(ops.reshape(values, (batch * blocks_y, blocks_x, BLOCK, BLOCK)), (0, 2, 1, 3))
        return ops.reshape(values, (batch, blocks_y * BLOCK, blocks_x * BLOCK))[:, : height - PATCH + 1, : width - PATCH + 1]

    index, score = (arranged(values) for values in found)
    return ops.stack([index // ref_width, index % ref_width], axis=-1), score / (PATCH * PATCH)


def _diagonals(products: Tensor, reach: int, side: int, count: int, window: int) -> Tensor:
    """[N,R,reach*(side+1),count*window-1] -> [N,R,reach,side,count,reach]: for column j of a block, columns j to j+reach-1."""
    rows, length = products.shape[1], count * window
    flat = ops.reshape(products, (-1, rows, reach, (side + 1) * (length - 1)))
    return ops.reshape(flat[..., : side * length], (-1, rows, reach, side, count, window))[..., :reach]
