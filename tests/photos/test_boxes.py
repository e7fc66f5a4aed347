"""The fullest box is the one that trying every box finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from c2m_tf.photos.drawing import fullest_box


@settings(max_examples=50, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 2**32 - 1),
)
def test_fullest_box_equals_exhaustive_search(shape, size, seed):
    values = np.random.default_rng(seed).integers(0, 4, shape).astype(float)
    height, width = min(size[0], shape[0]), min(size[1], shape[1])
    sums = np.lib.stride_tricks.sliding_window_view(values, (height, width)).sum((2, 3))
    expected = (*np.unravel_index(sums.argmax(), sums.shape), sums.max())
    assert fullest_box(values, size) == expected
