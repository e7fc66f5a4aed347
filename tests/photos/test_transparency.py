"""Colours of hidden pixels never bleed into visible ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from c2m_tf.photos import images


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_hidden_colours_do_not_matter_and_visible_ones_stay(data):
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    alpha = data.draw(arrays.arrays(np.float32, shape, elements=st.sampled_from([0, 0.5, 1])))
    visible = data.draw(arrays.arrays(np.uint8, (*shape, 3)))
    other = np.where(alpha[..., None] == 0, data.draw(arrays.arrays(np.uint8, (*shape, 3))), visible)
    filled = images.fill_hidden(visible, alpha)
    np.testing.assert_array_equal(filled[alpha > 0], visible[alpha > 0])
    if (alpha > 0).any():
        np.testing.assert_array_equal(images.fill_hidden(other, alpha), filled)
        seen = {tuple(colour) for colour in visible[alpha > 0]}
        assert {tuple(colour) for colour in filled.reshape(-1, 3)} == seen


def test_the_nearest_visible_colour_is_taken():
    rgb = np.zeros((1, 5, 3), np.uint8)
    rgb[0, 0], rgb[0, 4] = 10, 200
    alpha = np.array([[1, 0, 0, 0, 1]])
    assert images.fill_hidden(rgb, alpha)[0, :, 0].tolist()[:2] == [10, 10]
    assert images.fill_hidden(rgb, alpha)[0, :, 0].tolist()[3:] == [200, 200]


@pytest.mark.parametrize("alpha", [None, np.zeros((2, 2)), np.ones((2, 2))])
def test_nothing_to_fill(alpha):
    rgb = np.zeros((2, 2, 3))
    assert images.fill_hidden(rgb, alpha) is rgb


def test_a_reference_s_hidden_colours_are_filled_too():
    rgb, alpha = np.zeros((2, 2, 3), np.float32), np.array([[1, 0], [0, 0]], np.uint8)
    rgb[0, 0] = 1
    found = images.Image(rgb, alpha).in_colours_of(images.Image(rgb))
    np.testing.assert_array_equal(found, np.ones((2, 2, 3)))
