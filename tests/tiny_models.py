"""Small networks with random weights, for all tests that are not about published or trained ones."""

import random

import keras
import numpy as np

from c2m_tf import C2Matching, Mobile

SIZES = {
    "content_blocks": 2,
    "small_blocks": 1,
    "medium_blocks": 1,
    "large_blocks": 1,
    "width": 8,
    "levels": ("relu2_1", "relu1_1"),
    "stem_channels": (8, 8, 16),
    "trunk_blocks": 1,
    "trunk_width": 8,
}


MOBILE_SIZES = {
    "descriptor_width": 8,
    "descriptor_layers": 2,
    "entry_width": 8,
    "fusion_width": 8,
    "fusion_blocks": 1,
    "branch_blocks": 1,
    "branch_width": 8,
    "trusted": (-2.0, -1.0),  # photos of noise too
}


def tiny_model(seed=0, dtype="float32", **arguments):
    """C2Matching of 2 blocks of width 8; its weights are such that every part changes the result visibly."""
    model = C2Matching(**SIZES | arguments, dtype=dtype)
    numbers = np.random.default_rng(seed)
    for variable in model.variables:
        *_, layer, kind = variable.path.split("/")
        if kind == "kernel":
            scale = 0.05 if layer.endswith("_conv_offset_mask") else (1 / np.prod(variable.shape[:-1])) ** 0.5
            variable.assign(numbers.normal(0, scale, variable.shape).astype(np.float32))
        elif kind == "bias":
            variable.assign(numbers.normal(0, 0.01, variable.shape).astype(np.float32))
    return model


def tiny_mobile(**arguments):
    """Mobile of such sizes, whose fusion adds something."""
    random.seed(5)  # from which Keras draws the seeds of initial weights
    network = Mobile(**MOBILE_SIZES | {"reference_scales": (1.0, 0.8), "refined_scales": (0.9,)} | arguments)
    out = network.fusion.get_layer("out")
    out.set_weights([np.random.default_rng(5).normal(0, 0.05, weight.shape) for weight in out.get_weights()])
    return network


def equal(one, other):
    """Whether two networks have the same weights."""
    return all(
        np.array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))
        for a, b in zip(one.variables, other.variables, strict=True)
    )
