"""A part of a photo, restored alone, is that part of the whole result, and costs its own tiles."""

import numpy as np
import pytest
from plain_upscaler import PlainUpscaler

from c2m_tf import Image, Upscaler
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler

REGIONS = [(0, 0, 10, 10), (30, 21, 25, 3), (59, 44, 1, 1), (20, 0, 40, 45)]


@pytest.fixture
def lr(rng):
    return rng.integers(0, 256, (45, 60, 3), np.uint8)


def cut(picture, region):
    x, y, width, height = (4 * number for number in region)
    return picture[y : y + height, x : x + width]


@pytest.mark.parametrize("ensemble", [1, 8])
@pytest.mark.parametrize("region", REGIONS)
def test_a_part_is_that_part_of_the_whole(lr, region, ensemble, rng):
    upscaler = Upscaler(PlainUpscaler(), ensemble=ensemble)
    alpha = rng.integers(0, 256, lr.shape[:2], np.uint8)
    photo = Image(lr, alpha)
    whole, part = upscaler(photo, lr), upscaler(photo, lr, region=region)
    np.testing.assert_array_equal(part.image.rgb, cut(whole.image.rgb, region))
    np.testing.assert_array_equal(part.image.alpha, cut(whole.image.alpha, region))
    assert part.coverage == whole.coverage
    assert part.tiles <= whole.tiles


@pytest.mark.parametrize("search", ["exact", "window"])
def test_a_part_of_a_network_s_result(tiny, lr, search, rng):
    reference = rng.integers(0, 256, (140, 130, 3), np.uint8)
    upscaler = Upscaler(KerasUpscaler(tiny, search=search, tile=32, window=128))
    whole = upscaler(lr, reference)
    for region in REGIONS[:2]:
        np.testing.assert_array_equal(upscaler(lr, reference, region=region).image.rgb, cut(whole.image.rgb, region))


def test_a_part_costs_its_tiles_and_its_memory(lr):
    large, done = np.tile(lr, (4, 4, 1)), []
    model = PlainUpscaler()
    upscaler = Upscaler(model)
    upscaler(large, region=(100, 100, 4, 4), progress=lambda *tiles: done.append(tiles))
    assert model.restored <= 4
    assert done[-1] == (model.restored, model.restored)
    short = Upscaler(model, max_memory=upscaler.estimated_memory(large.shape, []) // 2)
    assert short(large, region=(100, 100, 4, 4)).image.rgb.shape == (16, 16, 3)
    with pytest.raises(ValueError, match="needs about"):
        short(large)


def test_sizes_between(lr):
    upscaler = Upscaler(PlainUpscaler())
    assert upscaler(lr, scale=2).image.rgb.shape == (90, 120, 3)
    assert upscaler(lr, size="100x").image.rgb.shape == (75, 100, 3)
    assert upscaler(lr, long_side=240, region="0,0,30,45").image.rgb.shape == (180, 120, 3)
    half = upscaler(lr, scale=2)
    part = upscaler(lr, scale=2, region=(10, 20, 30, 12))
    np.testing.assert_allclose(part.image.rgb, half.image.rgb[40:64, 20:80], atol=1e-6)


def test_a_photo_that_is_large_enough_is_not_restored(lr):
    model = PlainUpscaler()
    for scale in (1, 0.5):
        result = Upscaler(model)(lr, lr, scale=scale)
        assert result.image.rgb.shape == (round(45 * scale), 60 * scale, 3)
        assert (result.preset, result.coverage, result.tiles) == (None, None, 0)
        assert "as many pixels" in result.reason
    assert model.restored == 0
    np.testing.assert_allclose(Upscaler(model)(lr, scale=1).image.rgb, lr / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"scale": 5}, "scale 5 is not above 0 and at most 4"),
        ({"size": "999x"}, "becomes 240x180 at most, asked for are 999x749"),
        ({"scale": 2, "size": "9x"}, "scale and size both"),
        ({"region": (50, 0, 20, 20)}, "region 50,0,20,20 reaches out of the LR photo of 60x45 pixels"),
        ({"region": "1,2"}, "region 1,2 is none"),
    ],
)
def test_what_cannot_be_is_refused(lr, wanted, reason):
    with pytest.raises(ValueError, match=reason):
        Upscaler(PlainUpscaler())(lr, **wanted)


class BranchFirst(PlainUpscaler):
    """A branch goes over the photo in tiles of its own, and a mixture with its result is made of the others."""

    def plan(self, lr_shape, ref_shapes):
        return super().plan(lr_shape, ref_shapes)._replace(branch_tile=80)

    def _restore_tiles(self, work, tiles):
        for tile in tiles:
            (picture,) = self._restore_alone(work.lr, [tile])
            yield (picture + work.alone.part(tile)) / 2


@pytest.mark.parametrize("ensemble", [1, 8])
def test_a_part_needs_the_branch_where_its_tiles_lie(lr, ensemble):
    large, region, model = np.tile(lr, (4, 4, 1)), (101, 90, 31, 2), BranchFirst()
    upscaler = Upscaler(model, ensemble=ensemble)
    for references in (None, lr):
        whole, before, done = upscaler(large, references), model.restored, []
        part = upscaler(large, references, region=region, progress=lambda *tiles, done=done: done.append(tiles))
        np.testing.assert_array_equal(part.image.rgb, cut(whole.image.rgb, region))
        assert part.tiles < whole.tiles
        assert done[-1] == (part.tiles, part.tiles) == (model.restored - before,) * 2
