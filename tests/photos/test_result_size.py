"""Sizes and parts of results: what is asked for is what comes, and a part is that part of the whole."""

import numpy as np
import pytest

from c2m_tf.photos.images import ImageError
from c2m_tf.photos.result_size import FULL_SIZE, Region, ResultSize, Wanted

SIDES = (30, 41)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (FULL_SIZE, (120, 164)),
        (ResultSize(scale=2), (60, 82)),
        (ResultSize(scale=1.5), (45, 62)),
        (ResultSize(size="100x"), (73, 100)),
        (ResultSize(size="x99"), (99, 135)),
        (ResultSize(size="100x60"), (60, 82)),
        (ResultSize(long_side=164), (120, 164)),
        (ResultSize(scale=0.001), (1, 1)),
    ],
)
def test_sizes(size, expected):
    size.check()
    assert size.of(SIDES) == expected
    assert Wanted(SIDES, size).shape == expected


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (ResultSize(scale=2, long_side=9), "scale and long_side both say how large the result is; give one"),
        (ResultSize(scale=4.5), "scale 4.5 is not above 0 and at most 4"),
        (ResultSize(scale=float("nan")), "scale nan is not above 0 and at most 4"),
        (ResultSize(size="4k"), "size 4k is none; give a width 3840x, a height x2160, or both to fit into, 3840x2160"),
        (ResultSize(size="x"), "size x is none"),
        (ResultSize(long_side=0), "long_side 0 is no positive number of pixels"),
    ],
)
def test_what_is_no_size_is_refused(size, reason):
    with pytest.raises(ValueError, match=reason):
        size.check()


def test_more_than_the_network_makes_is_refused():
    with pytest.raises(ImageError, match="41x30 pixels becomes 164x120 at most, asked for are 200x146; ask for less"):
        ResultSize(size="200x").of(SIDES)


@pytest.mark.parametrize("given", ["1,2,3", "1,2,3,x", "1,2,3,0", (1, 2, -3, 4), None])
def test_what_is_no_region_is_refused(given):
    with pytest.raises(ValueError, match="region"):
        Region.of(given)


@pytest.mark.parametrize("given", ["-1,0,5,5", "37,0,5,5", "0,26,5,5"])
def test_regions_outside_are_refused(given):
    with pytest.raises(ImageError, match=f"region {given} reaches out of the LR photo of 41x30 pixels"):
        Wanted(SIDES, region=Region.of(given))


@pytest.mark.parametrize("scale", [4, 3, 2, 1.7, 1, 0.6])
@pytest.mark.parametrize("given", ["0,0,41,30", "0,0,9,7", "8,11,13,5", "40,29,1,1", "21,0,20,30"])
def test_a_part_is_that_part_of_the_whole(scale, given, rng):
    photo = rng.random((120, 164, 3)).astype(np.float32)
    whole, region = Wanted(SIDES, ResultSize(scale)), Region.of(given)
    part = Wanted(SIDES, ResultSize(scale), region)
    assert whole.enlarges == (scale > 1)
    found, expected = part.of_whole(photo), whole.of_whole(photo)
    height, width = expected.shape[:2]
    assert found.shape[:2] == part.shape
    top, left = (min(round(first * side / lr), side - 1) for first, side, lr in ((region.y, height, 30), (region.x, width, 41)))
    np.testing.assert_allclose(found, expected[top : top + part.shape[0], left : left + part.shape[1]], atol=1e-6)


def test_reduction_keeps_what_a_smaller_picture_can_show():
    rows = np.sin(np.arange(120) / 9)[:, None] / 2 + 0.5
    photo = np.broadcast_to(rows, (120, 164)).astype(np.float32)
    found = Wanted(SIDES, ResultSize(2)).of_whole(photo)
    np.testing.assert_allclose(found[8:-8, 5], (photo[::2] + photo[1::2])[8:-8, 5] / 2, atol=2e-3)
    assert Wanted(SIDES).of_whole(photo) is not None
    np.testing.assert_array_equal(Wanted(SIDES).of_whole(photo), photo)
