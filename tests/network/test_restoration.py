"""The restoration network: parameters and initialisation."""

import json

import keras
import numpy as np
import pytest

from c2m_tf import C2Matching
from c2m_tf.network.features import reference_encoder
from c2m_tf.network.restoration import PUBLISHED, restoration_network


def test_parameters_are_those_that_the_paper_counts(full, light):
    assert full.restoration.count_params() == 8_865_547
    assert light.restoration.count_params() == 4_825_395
    assert restoration_network(**PUBLISHED["light-warp"]).count_params() == 3_972_099
    assert full.extractor_lr.count_params() == full.extractor_ref.count_params() == 555_328
    assert reference_encoder().count_params() == 555_328


def test_initialisation_is_the_published_one():
    network = restoration_network()
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = (np.asarray(weight) for weight in layer.weights)
            assert not bias.any()
            assert abs(kernel.std() - 0.02) < 0.002
    aggregation = network.get_layer("large")
    assert not np.asarray(aggregation.offset_mask.kernel).any()
    kernel = np.asarray(aggregation.deform_conv.kernel)
    assert abs(np.abs(kernel).max() - 1 / (64 * 9) ** 0.5) < 1e-3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"content_blocks": -1}, "content_blocks is -1, expected is a number of residual blocks"),
        ({"large_blocks": "light"}, "large_blocks is 'light', expected"),
        ({"width": 7}, "width is 7, expected is an even number"),
        ({"levels": ("relu1_1", "relu2_1")}, "in this order"),
        ({"levels": ()}, "expected are some of relu3_1"),
        ({"stem_channels": (64, 128, 250)}, "three multiples of 8"),
        ({"own_trunk": True, "trunk_blocks": 0}, "trunk_blocks is 0"),
        ({"own_trunk": True, "trunk_width": 5}, "trunk_width is 5"),
    ],
)
def test_sizes_that_cannot_be_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        C2Matching(**arguments)


def test_every_size_is_an_argument_and_survives_a_config():
    arguments = {
        "content_blocks": 3,
        "small_blocks": 2,
        "medium_blocks": 1,
        "large_blocks": 0,
        "width": 10,
        "levels": ("relu3_1", "relu1_1"),
        "stem_channels": (8, 16, 24),
        "residual_offsets": False,
        "flow_warping": False,
        "own_trunk": True,
        "trunk_blocks": 2,
        "trunk_width": 6,
    }
    model = C2Matching(**arguments)
    assert model.arguments == arguments
    assert model.variant == "custom"
    again = C2Matching.from_config(json.loads(json.dumps({**arguments, "name": "again"})))
    assert again.arguments == arguments
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
    sr = model({"lr": np.zeros((1, 4, 5, 3), np.float32), "ref": np.zeros((1, 16, 12, 3), np.float32)})
    assert sr.shape == (1, 16, 20, 3)


def test_the_published_networks_are_known_by_their_sizes(full, light):
    assert (full.variant, light.variant) == ("full", "light")
    assert light.like(residual_offsets=False).variant == "light"
