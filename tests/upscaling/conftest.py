"""What tests of large photos share: a trained network, and a scene with a reference."""

import pytest
from skimage import data

from c2m_tf import C2Matching
from c2m_tf.photos import images


@pytest.fixture(scope="session")
def preset():
    """Without a trunk of its own, whose tiles differ a little from the whole."""
    return C2Matching.from_preset("light-photo")


@pytest.fixture(scope="session")
def preset_with_trunk():
    return C2Matching.from_preset("light")


@pytest.fixture(scope="session")
def scene():
    """LR photo [60,72] and a reference of the same scene, moved by (-40, +56) pixels."""
    photo = data.astronaut()
    hr = photo[60:300, 60:348]
    return images.downsample(hr), photo[20:300, 116:428]
