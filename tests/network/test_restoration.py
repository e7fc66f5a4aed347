"""The restoration network: parameters and initialisation."""

import keras
import numpy as np
import pytest

from c2m_tf import C2Matching
from c2m_tf.network.features import reference_encoder
from c2m_tf.network.restoration import VARIANTS, restoration_network


def test_parameters_are_those_that_the_paper_counts(full, light):
    assert full.restoration.count_params() == VARIANTS["full"].parameters == 8_865_547
    assert light.restoration.count_params() == VARIANTS["light"].parameters == 4_825_395
    assert restoration_network("light-warp").count_params() == VARIANTS["light-warp"].parameters
    assert full.extractor_lr.count_params() == full.extractor_ref.count_params() == 555_328
    assert reference_encoder().count_params() == 555_328


def test_initialisation_is_the_published_one():
    network = restoration_network("full")
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = (np.asarray(weight) for weight in layer.weights)
            assert not bias.any()
            assert abs(kernel.std() - 0.02) < 0.002
    aggregation = network.get_layer("large")
    assert not np.asarray(aggregation.offset_mask.kernel).any()
    kernel = np.asarray(aggregation.deform_conv.kernel)
    assert abs(np.abs(kernel).max() - 1 / (64 * 9) ** 0.5) < 1e-3


def test_unknown_variant_is_named():
    with pytest.raises(ValueError, match="unknown variant 'heavy'; choose one of full, light"):
        C2Matching("heavy")
