"""Comparison sheets enlarge the square that differs most."""

import numpy as np

from c2m_tf.photos.drawing import comparison_sheet, most_changed_box
from c2m_tf.upscaling.base import UpscaleResult


def test_the_most_changed_square_is_found(rng):
    first = rng.integers(0, 50, (60, 80, 3), np.uint8)
    second = first.copy()
    second[20:30, 40:50] += 100
    top, left, height, width = most_changed_box(first, second, 10)
    assert (top, left, height, width) == (20, 40, 10, 10)
    assert most_changed_box(first, second, 500)[2:] == (60, 80)


def test_a_sheet_names_what_made_the_result(rng):
    titles = [UpscaleResult(None, None, preset, None, None).title for preset in ("mobile", "runs/own.keras", None)]
    assert titles == ["mobile", "own.keras", "upscaled"]
    photo = rng.integers(0, 256, (40, 60, 3), np.uint8)
    first, second = (comparison_sheet(photo, photo[::-1], None, title=title).astype(int) for title in titles[:2])
    assert (first != second).any()
