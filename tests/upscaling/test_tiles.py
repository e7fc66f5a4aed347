"""Tiles cover a photo and join without seams."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from c2m_tf.upscaling.tiles import NARROW, WIDE, Canvas


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(3, 200),
    width=st.integers(3, 200),
    tile=st.integers(3, 90),
    scale=st.integers(1, 4),
    fits=st.booleans(),
)
def test_tiles_of_one_size_cover_the_photo_and_join_without_seams(height, width, tile, scale, fits):
    assume(tile > NARROW.pixels or tile >= max(height, width))  # a small photo is one tile
    canvas = Canvas(height, width, tile, scale, fits)
    y, x = np.mgrid[: scale * height, : scale * width]
    photo = np.stack([y / y.max(), x / x.max(), np.full(y.shape, 0.5)], axis=-1)
    tiles = list(canvas)
    assert len(tiles) == len(canvas)
    if not fits:
        assert {(piece.height, piece.width) for piece in tiles} == {(min(height, tile), min(width, tile))}
    else:
        # As many tiles, and one pixel less would not do.
        (sides,) = {(piece.height, piece.width) for piece in tiles}
        for length, side in zip((height, width), sides, strict=True):
            number = len(Canvas(length, 1, tile, 1))
            assert side <= min(length, tile)
            assert len(Canvas(length, 1, side, 1)) == number
            assert number * (side - 1) - (number - 1) * NARROW.pixels < length
    for piece in tiles:
        rows, columns = (slice(scale * part.start, scale * part.stop) for part in (piece.rows, piece.columns))
        canvas.add(piece, photo[rows, columns])
    np.testing.assert_allclose(canvas.photo(), photo, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(3, 400), width=st.integers(3, 400), tile=st.integers(63, 200))
def test_tiles_of_branches_have_their_cells_where_the_photo_has_them(height, width, tile):
    canvas = Canvas(height, width, tile, 1, True, overlap=WIDE)
    y, x = np.mgrid[:height, :width]
    photo = np.stack([y / y.max(), x / x.max(), np.full(y.shape, 0.5)], axis=-1)
    for piece in canvas:
        for start, side, length in ((piece.y, piece.height, height), (piece.x, piece.width, width)):
            assert start % 8 == 0
            assert side == length <= tile or (side <= tile and (length - side) % 8 == 0)
        canvas.add(piece, photo[piece.rows, piece.columns])
    np.testing.assert_allclose(canvas.photo(), photo, atol=1e-5)
