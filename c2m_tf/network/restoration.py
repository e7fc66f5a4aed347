"""The restoration network: LR photo + flow + reference features -> SR photo.

    content         conv, 16 residual blocks on the LR photo                                     64 @ h
    small  (h)      [content, aggregated relu3_1] -> 64, residual blocks, + content, 2x up       64 @ 2h
    medium (2h)     [.., aggregated relu2_1] -> 64, residual blocks, + input, 2x up              64 @ 4h
    large  (4h)     [.., aggregated relu1_1] -> 64, residual blocks, + input, 64 -> 32 -> 3       3 @ 4h
    output          + bilinear 4x of the LR photo (not clamped)

A strength in [0, 1] per sample multiplies the masks of every aggregation: 1 is the published network. At 0 nothing of a
reference is left, and the network is a single-image one, the *trunk*; `trunk_network` builds it from the same layers. A model
may have a better one instead (`single_image`).

The light variant leaves out the aggregation of relu3_1 and has fewer residual blocks at the two larger levels. Both are
published with residual offsets; without them taps sample whole pixels, which saves most of the gathering.
The warping one is for the paper's ablation: reference features are warped by the flow, and nothing is learnt of where to look.
Layer names are the published ones with "_" for ".", so that the checkpoint importer needs no table.

Source: C2-Matching (CVPR 2021), section 3.3 and supplementary Tables 2 and 3; initialisation N(0, 0.02) as published.
"""

from typing import Any, NamedTuple

import keras
from keras import layers, ops

from c2m_tf.network.aggregation import LEAKY_SLOPE, DynamicAggregation
from c2m_tf.network.cloning import clone_model
from c2m_tf.network.tensors import Tensor
from c2m_tf.network.upsampling import BilinearUpsample
from c2m_tf.network.warping import FlowWarping

WIDTH = 64
# Channels of the reference's features at each level.
REFERENCE_CHANNELS = {"relu3_1": 256, "relu2_1": 128, "relu1_1": 64}


class Variant(NamedTuple):
    """What distinguishes the sizes of the network; `warps` puts flow warping in the place of dynamic aggregation."""

    aggregates_small: bool
    content_blocks: int
    small_blocks: int
    medium_blocks: int
    large_blocks: int
    parameters: int
    warps: bool = False


VARIANTS = {
    "full": Variant(True, 16, 16, 16, 16, 8_865_547),
    "light": Variant(False, 16, 16, 8, 4, 4_825_395),
    "light-warp": Variant(False, 16, 16, 8, 4, 3_972_099, warps=True),
}


def restoration_network(
    variant: str = "full", name: str = "restoration", dtype: Any = None, residual_offsets: bool = True
) -> keras.Model:
    """Builds the restoration network.

    Args:
        variant: "full", "light" or "light-warp".
        name: name of the model.
        dtype: dtype policy of the layers, e.g. "float32" or "mixed_bfloat16".
        residual_offsets: whether aggregations learn them, as published.

    Returns:
        keras.Model from a dict to the SR photo, float32 [B,4h,4w,3], not clamped. The dict holds

        - "lr": [B,h,w,3] in [0, 1]
        - "flow": float32 [B,h+2,w+2,2], (dy, dx) in cells (`matching.flow_from_matches`), with a border (`matching.bordered`)
        - "context_relu1_1", ...: the reference's features at the LR photo's own place, of its size
        - "relu3_1": [B,H/4,W/4,256] (full only)
        - "relu2_1": [B,H/2,W/2,128]
        - "relu1_1": [B,H,W,64]
        - "strength": float32 [B] in [0, 1], 1 for the published network

    Raises:
        ValueError: unknown variant.
    """
    sizes = variant_named(variant)
    inputs = {"lr": keras.Input((None, None, 3), name="lr"), "flow": keras.Input((None, None, 2), name="flow")}
    for level, width in REFERENCE_CHANNELS.items():
        if level != "relu3_1" or sizes.aggregates_small:
            for kind in (level, f"context_{level}"):
                inputs[kind] = keras.Input((None, None, width), name=kind)

    inputs["strength"] = keras.Input((), name="strength")
    with keras.name_scope(name):
        sr = _sr(_Builder(dtype), inputs, sizes, residual_offsets)
    return keras.Model(inputs, sr, name=name)


def trunk_network(restoration: keras.Model, name: str = "trunk") -> keras.Model:
    """The restoration network at strength 0, which needs no reference.

    Args:
        restoration: result of `restoration_network`, or of exchanging its layers. The trunk shares its layers.
        name: name of the model.

    Returns:
        keras.Model: {"lr": [B,h,w,3] in [0, 1]} -> SR photo, float32 [B,4h,4w,3], not clamped.
    """

    def called(layer, *inputs, **options):
        return layer(inputs[0]) if isinstance(layer, DynamicAggregation) else layer(*inputs, **options)

    rewired = clone_model(restoration, clone_function=lambda layer: layer, call_function=called)
    return keras.Model({"lr": rewired.input["lr"]}, rewired.output, name=name)


def _sr(builder, inputs, sizes, residual_offsets):
    """The network from its inputs to the SR photo."""
    content = builder.content(inputs["lr"], sizes.content_blocks)
    levels = (
        ("small", "relu3_1", 1, sizes.small_blocks),
        ("medium", "relu2_1", 2, sizes.medium_blocks),
        ("large", "relu1_1", 4, sizes.large_blocks),
    )
    features = content
    for level, activation, scale, blocks in levels:
        skip = features
        if level != "small" or sizes.aggregates_small:
            kind = FlowWarping if sizes.warps else DynamicAggregation
            aggregation = builder.layer(kind, level, REFERENCE_CHANNELS[activation], scale, residual_offsets)
            references = (activation, "flow", f"context_{activation}", "strength")
            aggregated = aggregation(features, *(inputs[name] for name in references))
            features = builder.layer(layers.Concatenate, f"concatenate_{level}")([features, aggregated])
        features = builder.convolution(features, WIDTH, f"head_{level}_0", leaky=True)
        features = builder.residual_blocks(features, blocks, f"body_{level}")
        features = builder.layer(layers.Add, f"skip_{level}")([features, skip])
        if level != "large":
            features = builder.twice_as_large(features, level)
    return builder.photo(features, inputs["lr"])


def variant_named(variant: str) -> Variant:
    """The `Variant` of that name; raises ValueError, naming the choices, if there is none."""
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    return VARIANTS[variant]


class _Builder:
    """New layers under one dtype policy, and the pieces that networks are made of."""

    def __init__(self, dtype):
        self._dtype = dtype

    def layer(self, kind, name, *arguments, **options):
        return kind(*arguments, name=name, dtype=self._dtype, **options)

    def convolution(self, features, filters, name, leaky=False, activation=None):
        normal = keras.initializers.RandomNormal(stddev=0.02)
        options = {"padding": "same", "data_format": "channels_last", "activation": activation, "kernel_initializer": normal}
        features = self.layer(layers.Conv2D, name, filters, 3, **options)(features)
        return self.layer(layers.LeakyReLU, f"{name}_leaky", LEAKY_SLOPE)(features) if leaky else features

    def residual_blocks(self, features, count, name):
        """`count` times x + conv(ReLU(conv(x))), without normalisation."""
        for block in range(count):
            residual = self.convolution(features, WIDTH, f"{name}_{block}_conv1", activation="relu")
            residual = self.convolution(residual, WIDTH, f"{name}_{block}_conv2")
            features = self.layer(layers.Add, f"{name}_{block}_add")([features, residual])
        return features

    def content(self, lr, blocks):
        """The content extractor: LR photo -> features [B,h,w,64]."""
        features = self.convolution(lr, WIDTH, "content_extractor_conv_first", leaky=True)
        return self.residual_blocks(features, blocks, "content_extractor_body")

    def twice_as_large(self, features, level):
        """Features of one level -> those of the next, of twice its height and width."""
        features = self.convolution(features, 4 * WIDTH, f"tail_{level}_0")
        features = self.layer(PixelShuffle, f"pixel_shuffle_{level}")(features)
        return self.layer(layers.LeakyReLU, f"tail_{level}_leaky", LEAKY_SLOPE)(features)

    def photo(self, features, lr):
        """Features of the largest level and the LR photo -> SR photo."""
        features = self.convolution(features, WIDTH // 2, "tail_large_0", leaky=True)
        residual = self.convolution(features, 3, "tail_large_2")
        skip = BilinearUpsample(name="bilinear_skip")(lr)
        return layers.Add(name="sr", dtype="float32")([residual, skip])


@keras.saving.register_keras_serializable("c2m_tf")
class PixelShuffle(layers.Layer):
    """[B,h,w,4*C] -> [B,2h,2w,C]; channel (2a+b)*C + c of each pixel goes to row a, column b of its 2x2 block.

    The oldest supported Keras (3.12) has no `ops.depth_to_space`.
    """

    def call(self, features: Tensor) -> Tensor:
        batch, height, width = ops.shape(features)[:3]
        channels = features.shape[-1] // 4
        rows = ops.reshape(features, (batch * height, width, 2, 2 * channels))
        rows = ops.transpose(rows, (0, 2, 1, 3))
        return ops.reshape(rows, (batch, 2 * height, 2 * width, channels))

    def compute_output_shape(self, input_shape) -> tuple:
        batch, height, width, channels = input_shape
        return (batch, height and 2 * height, width and 2 * width, channels // 4)

    def get_config(self) -> dict[str, Any]:
        return super().get_config()
