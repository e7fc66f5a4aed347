"""Comparison sheets enlarge the square that differs most."""

import numpy as np

from c2m_tf.photos.drawing import most_changed_box


def test_the_most_changed_square_is_found(rng):
    first = rng.integers(0, 50, (60, 80, 3), np.uint8)
    second = first.copy()
    second[20:30, 40:50] += 100
    top, left, height, width = most_changed_box(first, second, 10)
    assert (top, left, height, width) == (20, 40, 10, 10)
    assert most_changed_box(first, second, 500)[2:] == (60, 80)
