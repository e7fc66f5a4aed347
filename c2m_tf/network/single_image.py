"""A single-image super-resolver: the trunk of its own that a C2Matching model may have.

    lr -> conv 3 -> 48 -> 12 blocks, + their input -> conv 48 -> 48, PixelShuffle by 4 -> sr

    block        x + modulation(normalised x), then x + mixing(normalised x); normalised: unit length over channels
    modulation   one half of a 1x1's channels: times a gate that sees 24x24 pixels; the other: detail, by depthwise 3x3
    mixing       1x1 48 -> 96; 3x3 on the first 24 of them; 1x1 96 -> 48

This is SMFANet+ (Zheng et al., "SMFANet: A Lightweight Self-Modulation Feature Aggregation Network for Efficient Image
Super-Resolution", ECCV 2024) with another gate. The published one is the same for all pixels of a cell (about 8x8 pixels) and
reads the variance of each channel over the whole photo: what a pixel becomes depends on where the cells lie, and a tile of a
photo is restored otherwise than the photo. Here every pixel has a gate of its own, from the largest values around it, and the
variance is that of 7x7 cells, about as much as the patches that the network learns from. With the published weights, nothing
trained, that is better by 0.05 dB (docs/model-card.md). GELU is its tanh approximation, which every runtime has.

Layer names are the published ones with "_" for ".".
"""

import itertools
from typing import Any

import keras
from keras import layers, ops

from c2m_tf.network.tensors import Tensor, round_up

WIDTH = 48
BLOCKS = 12
CELL = 8  # pixels per side
_SCALE = 4
_CELLS_AROUND = 7  # per side, over which variance is taken
_EPSILON = 1e-6
_LEAST = -1e4  # below all features; half precision has no -1e9


def single_image_network(blocks: int = BLOCKS, width: int = WIDTH, name: str = "trunk", dtype: Any = None) -> keras.Model:
    """Builds the network.

    Args:
        blocks: number of blocks.
        width: channels, even.
        name: name of the model.
        dtype: dtype policy of the layers, e.g. "float32" or "mixed_bfloat16"; variances are float32 in both.

    Returns:
        keras.Model, by default with 495,888 parameters: {"lr": [B,h,w,3] in [0, 1]} -> SR photo, float32 [B,4h,4w,3], not
        clamped.

    Raises:
        ValueError: sizes that cannot be.
    """
    if not isinstance(blocks, int) or blocks < 1:
        raise ValueError(f"{name}_blocks is {blocks!r}, expected is a number of blocks, 1 or more")
    if not isinstance(width, int) or width < 2 or width % 2:
        raise ValueError(f"{name}_width is {width!r}, expected is an even number of channels")
    lr = keras.Input((None, None, 3), name="lr")
    with keras.name_scope(name):
        builder = _Builder(dtype, width)
        start = features = builder.convolution(lr, width, 3, "to_feat")
        for block in range(blocks):
            features = builder.block(features, f"feats_{block}")
        features = builder.layer(layers.Add, "add_start")([features, start])
        features = builder.convolution(features, 3 * _SCALE**2, 3, "to_img_0")
        sr = PixelsOfChannels(name="sr", dtype="float32")(features)
    return keras.Model({"lr": lr}, sr, name=name)


class _Builder:
    """New layers under one dtype policy, and the pieces of the network."""

    def __init__(self, dtype: Any, width: int) -> None:
        self._dtype = dtype
        self._width = width

    def layer(self, kind: Any, name: str, *arguments: Any, **options: Any) -> Any:
        return kind(*arguments, name=name, dtype=self._dtype, **options)

    def convolution(self, features: Tensor, filters: int, size: int, name: str, **options: Any) -> Any:
        options |= {"padding": "same", "data_format": "channels_last"}
        return self.layer(Conv2D, name, filters, size, **options)(features)

    def depthwise(self, features: Tensor, multiplier: int, name: str, distance: int = 1) -> Tensor:
        options = {"padding": "same", "data_format": "channels_last", "depth_multiplier": multiplier, "dilation_rate": distance}
        return self.layer(layers.DepthwiseConv2D, name, 3, **options)(features)

    def block(self, features: Tensor, name: str) -> Tensor:
        for kind, part in (("smfa", self._modulation), ("pcfn", self._mixing)):
            normalised = self.layer(UnitLength, f"{name}_norm_{kind}")(features)
            features = self.layer(layers.Add, f"{name}_add_{kind}")([features, part(normalised, f"{name}_{kind}")])
        return features

    def _modulation(self, features: Tensor, name: str) -> Tensor:
        detail, whole = self.convolution(features, 2 * self._width, 1, f"{name}_linear_0", first=self._width)
        maximum = self.depthwise(self.layer(LargestAround, f"{name}_largest")(whole), 1, f"{name}_dw_conv", CELL)
        variance = self.layer(VarianceAround, f"{name}_variance")(whole)
        summary = self.layer(WeightedSum, name)([maximum, variance])
        gate = self.convolution(summary, self._width, 1, f"{name}_linear_1", gelu=True)
        modulated = self.layer(layers.Multiply, f"{name}_modulated")([whole, gate])
        detail = self.depthwise(detail, 2, f"{name}_lde_conv_0_0")
        detail = self.convolution(detail, 2 * self._width, 1, f"{name}_lde_conv_0_1", gelu=True)
        detail = self.convolution(detail, self._width, 1, f"{name}_lde_conv_1")
        total = self.layer(layers.Add, f"{name}_total")([modulated, detail])
        return self.convolution(total, self._width, 1, f"{name}_linear_2")

    def _mixing(self, features: Tensor, name: str) -> Tensor:
        mixed, rest = self.convolution(features, 2 * self._width, 1, f"{name}_conv_0", gelu=True, first=self._width // 2)
        mixed = self.convolution(mixed, self._width // 2, 3, f"{name}_conv_1", gelu=True)
        features = self.layer(layers.Concatenate, f"{name}_joined")([mixed, rest])
        return self.convolution(features, self._width, 1, f"{name}_conv_2")


class _SameShape(layers.Layer):
    """A layer without arguments whose result has the shape of its input."""

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config()


@keras.saving.register_keras_serializable("c2m_tf")
class Conv2D(layers.Conv2D):
    """Keras's, with GELU and two results; one of 1x1 is a product of matrices.

    TensorFlow computes bias and GELU within such a product, which takes half the time, and nothing is cut out of its result.
    The name is Keras's own, because saved models find weights by it.

    Args:
        gelu: whether GELU follows.
        first: channels of the first of two results; 0 for one.
        as_product: whether one of 1x1 is a product, which GPUs of phones do not take.
    """

    def __init__(self, *args: Any, gelu: bool = False, first: int = 0, as_product: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gelu, self.first, self.as_product = gelu, first, as_product

    def call(self, inputs: Tensor) -> Any:
        if self.kernel_size == (1, 1) and self.as_product:
            pixels = ops.reshape(inputs, (-1, inputs.shape[-1]))
            kernel = ops.reshape(self.kernel, (inputs.shape[-1], self.filters))
            bounds = [0, self.first, self.filters] if self.first else [0, self.filters]
            shape = ops.shape(inputs)[:-1]
            results = tuple(
                ops.reshape(
                    self._activated(ops.add(ops.matmul(pixels, kernel[:, start:end]), self.bias[start:end])),
                    (*shape, end - start),
                )
                for start, end in itertools.pairwise(bounds)
            )
            return results if self.first else results[0]
        features = self._activated(super().call(inputs))
        return (features[..., : self.first], features[..., self.first :]) if self.first else features

    def _activated(self, features: Tensor) -> Tensor:
        return ops.gelu(features, approximate=True) if self.gelu else features

    def compute_output_shape(self, input_shape: tuple) -> Any:
        shape = super().compute_output_shape(input_shape)
        return ((*shape[:-1], self.first), (*shape[:-1], self.filters - self.first)) if self.first else shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gelu": self.gelu, "first": self.first, "as_product": self.as_product}


@keras.saving.register_keras_serializable("c2m_tf")
class PixelsOfChannels(layers.Layer):
    """[B,h,w,16*C] -> [B,4h,4w,C]; channel 16*c + 4*a + b of each pixel goes to row a, column b of its 4x4 block."""

    def call(self, features: Tensor) -> Tensor:
        batch, height, width = ops.shape(features)[:3]
        channels = features.shape[-1] // _SCALE**2
        # In two steps, because runtimes for phones transpose five axes at most: columns, then rows of the blocks.
        blocks = ops.reshape(features, (batch * height * width, channels, _SCALE, _SCALE))
        blocks = ops.transpose(blocks, (0, 2, 3, 1))
        rows = ops.reshape(blocks, (batch * height, width, _SCALE, _SCALE * channels))
        rows = ops.transpose(rows, (0, 2, 1, 3))
        return ops.reshape(rows, (batch, _SCALE * height, _SCALE * width, channels))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, channels = input_shape
        return (batch, height and _SCALE * height, width and _SCALE * width, channels // _SCALE**2)

    def get_config(self) -> dict[str, Any]:
        return super().get_config()


@keras.saving.register_keras_serializable("c2m_tf")
class UnitLength(_SameShape):
    """[B,h,w,C] -> the same, each pixel's vector of length one."""

    def call(self, features: Tensor) -> Tensor:
        squares = ops.sum(ops.square(ops.cast(features, "float32")), axis=-1, keepdims=True)
        return features * ops.cast(ops.rsqrt(squares + _EPSILON), features.dtype)


@keras.saving.register_keras_serializable("c2m_tf")
class LargestAround(_SameShape):
    """[B,h,w,C] -> of each channel the largest value from 4 pixels above and left of each pixel to 3 below and right."""

    def call(self, features: Tensor) -> Tensor:
        before, after = CELL // 2, CELL - CELL // 2 - 1
        for axis, size in ((1, (CELL, 1)), (2, (1, CELL))):
            border = [(0, 0)] * 4
            border[axis] = (before, after)
            padded = ops.pad(features, border, constant_values=_LEAST)
            features = ops.max_pool(padded, size, 1, data_format="channels_last")
        return features


@keras.saving.register_keras_serializable("c2m_tf")
class VarianceAround(_SameShape):
    """[B,h,w,C] -> of each channel the variance over the 7x7 cells of 8x8 pixels around the one that each pixel lies in."""

    def call(self, features: Tensor) -> Tensor:
        values = ops.cast(features, "float32")
        mean, mean_of_squares = (_average_around(part) for part in (values, ops.square(values)))
        variance = ops.cast(ops.maximum(mean_of_squares - ops.square(mean), 0.0), features.dtype)
        for axis in (1, 2):
            size = ops.shape(features)[axis]
            before = (round_up(size, CELL) - size) // 2  # pixels of the first cell that lie outside the photo
            variance = ops.take(variance, (ops.arange(size) + before) // CELL, axis=axis)
        return variance


def _average_around(values: Tensor) -> Tensor:
    """[B,h,w,C] -> averages of the cells' own averages [B,h/8,w/8,C], rounded up; nothing outside the photo counts."""
    cells = ops.average_pool(values, CELL, CELL, padding="same", data_format="channels_last")
    return ops.average_pool(cells, _CELLS_AROUND, 1, padding="same", data_format="channels_last")


@keras.saving.register_keras_serializable("c2m_tf")
class WeightedSum(layers.Layer):
    """Two [B,h,w,C] -> their sum, each channel of each times a weight of its own."""

    def build(self, input_shape: tuple) -> None:
        shape = (input_shape[0][-1],)
        self.alpha = self.add_weight(shape=shape, initializer="ones", name="alpha")
        self.belt = self.add_weight(shape=shape, initializer="zeros", name="belt")
        self.built = True

    def call(self, inputs: list[Tensor]) -> Tensor:
        first, second = inputs
        return first * self.alpha + second * self.belt

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return super().get_config()
