"""VGG stems."""

import pytest

from c2m_tf.network.features import perceptual_stem


def test_unknown_perceptual_layer_is_named():
    with pytest.raises(ValueError, match="no activation 'relu6_1'"):
        perceptual_stem("relu6_1")
