"""Nine predictions of each block, beside a loop."""

import numpy as np

from c2m_tf.network.block_aggregation import CHANNELS, aggregate_blocks, joined, sizes_of
from c2m_tf.network.subcell import low_pass, phases
from c2m_tf.network.upsampling import BICUBIC_WEIGHTS

NOTHING = np.zeros((1, 3, 3), np.float32)


def case(rng):
    """LR photo, references, their low-pass (numbers of its own here), and matches, some of which leave their reference."""
    lr = rng.random((2, 4, 5, 3), np.float32)
    photos, lows = ([rng.random((2, *size, 3), np.float32) for size in ((12, 16), (20, 12))] for _ in range(2))
    displacement = rng.uniform(-9, 10, (2, 4, 5, 2)).astype(np.float32)
    displacement[:, :2] = np.floor(displacement[:, :2])
    number = rng.integers(0, 2, (2, 4, 5)).astype(np.int32)
    return lr, photos, lows, displacement, number, rng.random((2, 4, 5), np.float32)


def aggregated(lr, photos, lows, *matches, origin=None):
    pixels = joined(photos), joined([phases(low) for low in lows])
    return np.asarray(aggregate_blocks(lr, pixels, sizes_of(photos), *matches, origin=origin))


def keys(distance):
    """Cubic convolution, a = -0.5."""
    x = abs(distance)
    if x >= 2:
        return 0.0
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x < 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2


def linear(distance):
    return max(0.0, 1.0 - abs(distance))


def at(values, y, x, kernel):
    """[H,W,3] interpolated at a point; beyond the edge is the nearest pixel."""
    rows, columns = (np.floor(place).astype(int) + np.arange(-1, 3) for place in (y, x))
    window = values[np.clip(rows, 0, values.shape[0] - 1)][:, np.clip(columns, 0, values.shape[1] - 1)]
    weights = [[kernel(place - position) for position in positions] for place, positions in ((y, rows), (x, columns))]
    return np.einsum("i,j,ijc->c", *weights, window)


def tap(case, photo, y, x, i, j):
    """What the neighbour (i, j) of a pixel predicts for it, as the module's docstring says."""
    lr, photos, lows, displacement, number, score = case
    ny, nx = np.clip(y + i, 0, 3), np.clip(x + j, 0, 4)
    own = number[photo, ny, nx]
    top, left = 4 * y + displacement[photo, ny, nx, 0], 4 * x + displacement[photo, ny, nx, 1]
    block = np.array([[at(photos[own][photo], top + a, left + b, keys) for b in range(4)] for a in range(4)])
    cells = 4 * np.arange(-2, 3)
    low = np.array([[at(lows[own][photo], top + a, left + b, linear) for b in cells] for a in cells])
    high = block - np.einsum("ak,klc,bl->abc", BICUBIC_WEIGHTS, low, BICUBIC_WEIGHTS)
    return np.concatenate([4 * high.ravel(), 4 * (low[2, 2] - lr[photo, y, x]), [score[photo, ny, nx]]])


def test_taps_are_blocks_that_neighbours_predict(rng):
    whole = case(rng)
    taps = aggregated(*whole).reshape(2, 4, 5, 9, CHANNELS)
    for photo, y, x, i, j in np.ndindex(2, 4, 5, 3, 3):
        np.testing.assert_allclose(taps[photo, y, x, 3 * i + j], tap(whole, photo, y, x, i - 1, j - 1), atol=1e-5)


def test_high_frequencies_are_the_same_on_whichever_grid_something_lies(rng):
    """A photo, and itself shifted by less than a cell, give the same taps of the same matches."""
    photo = rng.random((1, 72, 72, 3), np.float32)
    taps = []
    for reference, displacement in ((photo, (28, 28)), (photo[:, 1:69, 3:71], (27, 25))):
        where = np.broadcast_to(np.float32(displacement), (1, 3, 3, 2))
        lr = np.zeros((1, 3, 3, 3), np.float32)
        taps.append(aggregated(lr, [reference], [low_pass(reference)], where, NOTHING.astype(np.int32), NOTHING))
    np.testing.assert_allclose(*taps, atol=1e-5)


def test_a_tile_is_part_of_the_whole(rng):
    lr, photos, lows, *matches = case(rng)
    taps = aggregated(lr, photos, lows, *matches)
    part = (slice(None), slice(1, 4), slice(1, 5))
    tile = aggregated(lr[part], photos, lows, *(values[part] for values in matches), origin=np.array([1, 1], np.int32))
    # The first row and column have neighbours outside the tile.
    np.testing.assert_allclose(tile[:, 1:, 1:], taps[:, 2:4, 2:5], atol=1e-6)
