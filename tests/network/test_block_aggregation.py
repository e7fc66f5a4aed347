"""Nine predictions of each block, beside a loop."""

import numpy as np

from c2m_tf.network.block_aggregation import CHANNELS, aggregate_blocks, block_rows, joined_rows


def case(rng):
    """LR photo, references, their high frequencies, and matches, some of which leave their reference."""
    lr = rng.random((2, 4, 5, 3), np.float32)
    references = [rng.random((2, 12, 16, 3), np.float32), rng.random((2, 20, 12, 3), np.float32)]
    high = [rng.standard_normal(reference.shape).astype(np.float32) for reference in references]
    displacement = rng.integers(-9, 10, (2, 4, 5, 2)).astype(np.int32)
    number = rng.integers(0, 2, (2, 4, 5)).astype(np.int32)
    return lr, references, high, displacement, number, rng.random((2, 4, 5), np.float32)


def tap(case, photo, y, x, i, j):
    """What the neighbour (i, j) of a pixel predicts for it, as the module's docstring says."""
    lr, references, high, displacement, number, score = case
    ny, nx = np.clip(y + i, 0, 3), np.clip(x + j, 0, 4)
    own = number[photo, ny, nx]
    dy, dx = displacement[photo, ny, nx]
    height, width = references[own].shape[1:3]
    top, left = np.clip(4 * y + dy, 0, height - 4), np.clip(4 * x + dx, 0, width - 4)
    block = (photo, slice(top, top + 4), slice(left, left + 4))
    mean = references[own][block].mean(axis=(0, 1)) - lr[photo, y, x]
    return np.concatenate([4 * high[own][block].ravel(), 4 * mean, [score[photo, ny, nx]]])


def test_taps_are_blocks_that_neighbours_predict(rng):
    whole = case(rng)
    lr, references, high, *matches = whole
    rows, sizes = joined_rows([block_rows(*pair) for pair in zip(references, high, strict=True)])
    taps = np.asarray(aggregate_blocks(lr, rows, sizes, *matches)).reshape(2, 4, 5, 9, CHANNELS)
    for photo, y, x, i, j in np.ndindex(2, 4, 5, 3, 3):
        np.testing.assert_allclose(taps[photo, y, x, 3 * i + j], tap(whole, photo, y, x, i - 1, j - 1), atol=1e-5)


def test_a_tile_is_part_of_the_whole(rng):
    lr, references, high, *matches = case(rng)
    rows, sizes = joined_rows([block_rows(*pair) for pair in zip(references, high, strict=True)])
    taps = np.asarray(aggregate_blocks(lr, rows, sizes, *matches))
    part = (slice(None), slice(1, 4), slice(1, 5))
    tile = aggregate_blocks(lr[part], rows, sizes, *(values[part] for values in matches), origin=np.array([1, 1], np.int32))
    # The first row and column have neighbours outside the tile.
    np.testing.assert_allclose(np.asarray(tile)[:, 1:, 1:], taps[:, 2:4, 2:5], atol=1e-6)
