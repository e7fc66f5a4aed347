"""The restoration network: LR photo + flow + reference features -> SR photo.

    content         conv, 16 residual blocks on the LR photo                                     64 @ h
    small  (h)      [content, aggregated relu3_1] -> 64, residual blocks, + content, 2x up       64 @ 2h
    medium (2h)     [.., aggregated relu2_1] -> 64, residual blocks, + input, 2x up              64 @ 4h
    large  (4h)     [.., aggregated relu1_1] -> 64, residual blocks, + input, 64 -> 32 -> 3       3 @ 4h
    output          + bilinear 4x of the LR photo (not clamped)

A strength in [0, 1] per sample multiplies the masks of every aggregation: 1 is the published network. At 0 nothing of a
reference is left, and the network is a single-image one, the *trunk*; `trunk_network` builds it from the same layers. A model
may have a better one instead (`single_image`).

The light network leaves out the aggregation of relu3_1 and has fewer residual blocks at the two larger levels. Both are
published with residual offsets; without them taps sample whole pixels, which saves most of the gathering.
The warping one is for the paper's ablation: reference features are warped by the flow, and nothing is learnt of where to look.
Layer names are the published ones with "_" for ".", so that the checkpoint importer needs no table.

Source: C2-Matching (CVPR 2021), section 3.3 and supplementary Tables 2 and 3; initialisation N(0, 0.02) as published.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers, ops

from c2m_tf.network.aggregation import LEAKY_SLOPE, DynamicAggregation, FlowWarping
from c2m_tf.network.base import clone_model
from c2m_tf.network.features import STEM_CHANNELS, check_stem_channels
from c2m_tf.network.tensors import Tensor
from c2m_tf.network.upsampling import BilinearUpsample

WIDTH = 64
# The reference's features: the level that aggregates each, and pixels of that level in a cell of the flow.
LEVELS = {"relu3_1": ("small", 1), "relu2_1": ("medium", 2), "relu1_1": ("large", 4)}
# What the published networks, and the ablation's start, have for arguments beside the defaults of `restoration_network`.
PUBLISHED: dict[str, dict[str, Any]] = {
    "full": {},
    "light": {"medium_blocks": 8, "large_blocks": 4, "levels": ("relu2_1", "relu1_1")},
    "light-warp": {"medium_blocks": 8, "large_blocks": 4, "levels": ("relu2_1", "relu1_1"), "flow_warping": True},
}


def restoration_network(
    content_blocks: int = 16,
    small_blocks: int = 16,
    medium_blocks: int = 16,
    large_blocks: int = 16,
    width: int = WIDTH,
    levels: Sequence[str] = tuple(LEVELS),
    stem_channels: Sequence[int] = STEM_CHANNELS,
    residual_offsets: bool = True,
    flow_warping: bool = False,
    name: str = "restoration",
    dtype: Any = None,
) -> keras.Model:
    """Builds the restoration network; the defaults are the published full one.

    Args:
        content_blocks: residual blocks on the LR photo.
        small_blocks, medium_blocks, large_blocks: residual blocks at 1, 2 and 4 times the LR photo's size.
        width: channels of all of these, even.
        levels: which of the reference's features are aggregated, of "relu3_1", "relu2_1" and "relu1_1", in this order.
        stem_channels: channels of relu1_1, relu2_1 and relu3_1, multiples of 8, which is the number of deformable groups.
        residual_offsets: whether aggregations learn them.
        flow_warping: `FlowWarping` in the place of dynamic aggregation.
        name: name of the model.
        dtype: dtype policy of the layers, e.g. "float32" or "mixed_bfloat16".

    Returns:
        keras.Model from a dict to the SR photo, float32 [B,4h,4w,3], not clamped. The dict holds

        - "lr": [B,h,w,3] in [0, 1]
        - "flow": float32 [B,h+2,w+2,2], (dy, dx) in cells (`matching.flow_from_matches`), with a border (`matching.bordered`)
        - "context_relu1_1", ...: the reference's features at the LR photo's own place, of its size
        - those of "relu3_1" [B,H/4,W/4,256], "relu2_1" [B,H/2,W/2,128] and "relu1_1" [B,H,W,64] that are aggregated
        - "strength": float32 [B] in [0, 1], 1 for the published network

    Raises:
        ValueError: sizes that cannot be; the message names the argument.
    """
    blocks = {"small": small_blocks, "medium": medium_blocks, "large": large_blocks}
    _check({"content_blocks": content_blocks} | {f"{level}_blocks": number for level, number in blocks.items()}, width, levels)
    check_stem_channels(stem_channels)
    channels = dict(zip(("relu1_1", "relu2_1", "relu3_1"), stem_channels, strict=True))
    inputs = {"lr": keras.Input((None, None, 3), name="lr"), "flow": keras.Input((None, None, 2), name="flow")}
    for activation in LEVELS:
        if activation in levels:
            for kind in (activation, f"context_{activation}"):
                inputs[kind] = keras.Input((None, None, channels[activation]), name=kind)

    inputs["strength"] = keras.Input((), name="strength")
    with keras.name_scope(name):
        builder = _Builder(dtype, width)
        features = builder.content(inputs["lr"], content_blocks)
        for activation, (level, scale) in LEVELS.items():
            skip = features
            if activation in levels:
                aggregates = FlowWarping if flow_warping else DynamicAggregation
                aggregation = builder.layer(aggregates, level, channels[activation], scale, residual_offsets)
                references = (activation, "flow", f"context_{activation}", "strength")
                aggregated = aggregation(features, *(inputs[key] for key in references))
                features = builder.layer(layers.Concatenate, f"concatenate_{level}")([features, aggregated])
            features = builder.convolution(features, width, f"head_{level}_0", leaky=True)
            features = builder.residual_blocks(features, blocks[level], f"body_{level}")
            features = builder.layer(layers.Add, f"skip_{level}")([features, skip])
            if level != "large":
                features = builder.twice_as_large(features, level)
        sr = builder.photo(features, inputs["lr"])
    return keras.Model(inputs, sr, name=name)


def _check(blocks: Mapping[str, int], width: int, levels: Sequence[str]) -> None:
    """Raises ValueError if one of these arguments of `restoration_network` cannot be."""
    for name, number in blocks.items():
        if not isinstance(number, int) or number < 0:
            raise ValueError(f"{name} is {number!r}, expected is a number of residual blocks, 0 or more")
    if not isinstance(width, int) or width < 2 or width % 2:
        raise ValueError(f"width is {width!r}, expected is an even number of channels")
    if not levels or list(levels) != [level for level in LEVELS if level in levels]:
        raise ValueError(f"levels are {list(levels)}, expected are some of {', '.join(LEVELS)}, in this order")


def sizes_of(variant: str) -> dict[str, Any]:
    """All arguments of `restoration_network` that a key of `PUBLISHED` has, but for `residual_offsets`."""
    parameters = inspect.signature(restoration_network).parameters.values()
    defaults = {parameter.name: parameter.default for parameter in parameters}
    for name in ("residual_offsets", "name", "dtype"):
        del defaults[name]
    return defaults | PUBLISHED[variant]


def variant_of(arguments: dict[str, Any]) -> str:
    """The key of `PUBLISHED` that has these arguments, with residual offsets or without; "custom" if there is none."""
    for variant in PUBLISHED:
        if all(arguments[name] == value for name, value in sizes_of(variant).items()):
            return variant
    return "custom"


def trunk_network(restoration: keras.Model, name: str = "trunk") -> keras.Model:
    """The restoration network at strength 0, which needs no reference.

    Args:
        restoration: result of `restoration_network`, or of exchanging its layers. The trunk shares its layers.
        name: name of the model.

    Returns:
        keras.Model: {"lr": [B,h,w,3] in [0, 1]} -> SR photo, float32 [B,4h,4w,3], not clamped.
    """

    def called(layer: keras.layers.Layer, *inputs: Any, **options: Any) -> Tensor:
        return layer(inputs[0]) if isinstance(layer, DynamicAggregation) else layer(*inputs, **options)

    rewired = clone_model(restoration, clone_function=lambda layer: layer, call_function=called)
    return keras.Model({"lr": rewired.input["lr"]}, rewired.output, name=name)


class _Builder:
    """New layers under one dtype policy, and the pieces that networks are made of."""

    def __init__(self, dtype: Any, width: int) -> None:
        self._dtype = dtype
        self._width = width

    def layer(self, kind: Any, name: str, *arguments: Any, **options: Any) -> Any:
        return kind(*arguments, name=name, dtype=self._dtype, **options)

    def convolution(
        self, features: Tensor, filters: int, name: str, leaky: bool = False, activation: str | None = None
    ) -> Tensor:
        normal = keras.initializers.RandomNormal(stddev=0.02)
        options = {"padding": "same", "data_format": "channels_last", "activation": activation, "kernel_initializer": normal}
        features = self.layer(layers.Conv2D, name, filters, 3, **options)(features)
        return self.layer(layers.LeakyReLU, f"{name}_leaky", LEAKY_SLOPE)(features) if leaky else features

    def residual_blocks(self, features: Tensor, count: int, name: str) -> Tensor:
        """`count` times x + conv(ReLU(conv(x))), without normalisation."""
        for block in range(count):
            residual = self.convolution(features, self._width, f"{name}_{block}_conv1", activation="relu")
            residual = self.convolution(residual, self._width, f"{name}_{block}_conv2")
            features = self.layer(layers.Add, f"{name}_{block}_add")([features, residual])
        return features

    def content(self, lr: Tensor, blocks: int) -> Tensor:
        """The content extractor: LR photo -> features [B,h,w,width]."""
        features = self.convolution(lr, self._width, "content_extractor_conv_first", leaky=True)
        return self.residual_blocks(features, blocks, "content_extractor_body")

    def twice_as_large(self, features: Tensor, level: str) -> Tensor:
        """Features of one level -> those of the next, of twice its height and width."""
        features = self.convolution(features, 4 * self._width, f"tail_{level}_0")
        features = self.layer(PixelShuffle, f"pixel_shuffle_{level}")(features)
        return self.layer(layers.LeakyReLU, f"tail_{level}_leaky", LEAKY_SLOPE)(features)

    def photo(self, features: Tensor, lr: Tensor) -> Tensor:
        """Features of the largest level and the LR photo -> SR photo."""
        features = self.convolution(features, self._width // 2, "tail_large_0", leaky=True)
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

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, channels = input_shape
        return (batch, height and 2 * height, width and 2 * width, channels // 4)

    def get_config(self) -> dict[str, Any]:
        return super().get_config()
