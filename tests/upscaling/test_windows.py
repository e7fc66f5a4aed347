"""Windows lie where the reference shows the tile."""

import numpy as np
from skimage import data

from c2m_tf.photos import images
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler
from c2m_tf.upscaling.tiles import MAX_COARSE_CELLS, Canvas, CoarseMatches, CoarseReferences, shrinking


def coarse_matches(model, lr, references):
    small = CoarseReferences(references, shrinking(lr.shape, [reference.shape for reference in references]))
    return CoarseMatches(lr, small, KerasUpscaler(model)._locate)


def test_a_scene_far_away_in_a_large_reference_is_found(preset):
    photo = data.astronaut()
    lr = images.downsample(photo[120:280, 160:352])
    reference = np.zeros((900, 1000, 3), np.uint8)
    reference[340:852, 470:982] = photo  # the scene lies (340, 470) pixels away
    coarse = coarse_matches(preset, lr, [reference])
    tile = next(iter(Canvas(*lr.shape[:2], 96, 4)))
    window = coarse.window(tile, 320)
    assert window.y <= 340 + 120
    assert window.x <= 470 + 160
    assert window.y + 320 >= 340 + 280
    assert window.x + 320 >= 470 + 352


def test_windows_come_from_the_reference_that_shows_the_tile(preset, scene):
    lr, ref = scene
    other = data.chelsea()
    coarse = coarse_matches(preset, lr, [other, ref])
    for tile in Canvas(*lr.shape[:2], 48, 4):
        assert coarse.window(tile, 224).reference == 1


def test_small_versions_have_a_bounded_number_of_cells():
    assert shrinking((80, 100), [(400, 400)]) == 1.0
    for lr, ref in (((1080, 1920), (4320, 7680)), ((200, 100), (6000, 8000)), ((4000, 3000), (500, 500))):
        factor = shrinking(lr, [ref])
        assert lr[0] * lr[1] / factor**2 <= MAX_COARSE_CELLS * 1.001
        assert ref[0] * ref[1] / 16 / factor**2 <= MAX_COARSE_CELLS * 1.001
