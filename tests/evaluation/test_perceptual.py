"""Perceptual measures: FLIP ranks degradations, missing packages are reported."""

import sys

import numpy as np
import pytest
from skimage import data

from c2m_tf.evaluation.metrics import load_measures
from c2m_tf.photos import images


@pytest.fixture(scope="module")
def flip():
    return load_measures(["flip"])["flip"]


def test_flip_of_equal_photos_and_of_black_and_white(flip):
    black, white = np.zeros((32, 40, 3), np.uint8), np.full((32, 40, 3), 255, np.uint8)
    assert flip(black, black) == 0.0
    assert flip(black, white) > 0.95


def test_flip_grows_with_the_degradation(flip):
    photo = images.crop_to_multiple(data.chelsea()[:200, :240])
    small, large = (images.bicubic(images.bicubic(photo, (200 // n, 240 // n)), (200, 240)) for n in (2, 8))
    assert 0.01 < flip(photo, small) < 0.7 * flip(photo, large)


def test_unknown_measures_are_refused():
    with pytest.raises(ValueError, match="unknown measure 'niqe'; choose from flip, lpips, dists"):
        load_measures(["niqe"])


@pytest.mark.parametrize("name", ["lpips", "dists"])
def test_missing_package_is_reported_with_its_install_command(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "piq", None)  # not installed, whatever is installed
    with pytest.raises(ImportError, match=rf"measure {name} needs: pip install 'c2m-tf\[perceptual\]'"):
        load_measures([name])
