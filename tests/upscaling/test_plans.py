"""Plans: which search, sizes and memory, and sizes that do not fit together."""

import pytest

from c2m_tf.upscaling import plans
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler


def test_auto_keeps_small_references_and_is_bounded_for_large_ones(preset):
    upscaler = KerasUpscaler(preset)
    small = upscaler.plan((125, 83), [(500, 332)])
    large = upscaler.plan((1080, 1920), [(4320, 7680)])
    assert small.search == "levels"
    assert small.tile >= 125
    assert large.search == "window"
    assert large.memory < 4 * 2**30
    assert upscaler.plan((600, 600), [(2400, 2400)]).memory < 2.25e9
    assert upscaler.plan((100, 100), [(3000, 4000)]).search == "window"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"search": "best"}, "unknown search 'best'"),
        ({"tile": 50}, "tile 50 is not a positive multiple of 4"),
        ({"tile": 16}, "neighbours overlap by 16 pixels; the minimum is 20"),
        ({"window": -4}, "window -4 is not a positive multiple"),
        ({"tile": 64, "window": 200}, "window 200 is smaller than what a tile of 64 LR pixels covers, 256"),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(preset, options, words):
    with pytest.raises(ValueError, match=words):
        KerasUpscaler(preset, **options)


def test_default_windows_hold_the_tiles():
    for tile in (None, 20, 96, 400):
        plans.check_sizes("auto", tile, plans.default_window(tile))
