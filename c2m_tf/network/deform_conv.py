"""Modulated deformable convolution (DCNv2): a 3x3 convolution whose nine taps sample at given positions.

    out[Y, X] = bias + sum over taps k, channels c of  kernel[k, c] * mask[Y, X, g, k] * features(position, c)
    position  = (Y + k_y - 1 + dy[Y, X, g, k],  X + k_x - 1 + dx[Y, X, g, k])

where g is the deformable group of channel c. Positions are sampled bilinearly; outside the image the value is 0. The
output grid is the offsets' grid, so features may have any other size: that is what lets the LR photo and the reference
differ.

Offsets come as blocks [dy | dx], each group-major (channel g * 9 + k, tap k = 3 * row + column).

Source: Zhu et al., Deformable ConvNets v2 (CVPR 2019), eq. 1; the arithmetic is that of the published CUDA kernel.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from c2m_tf.network.tensors import Tensor, larger, smaller

TAPS = 9

# Output pixels sampled at a time at inference: their gathered columns stay in the processor's cache, and memory stays bounded.
PIXELS_IN_STRIP = 2048


@keras.saving.register_keras_serializable("c2m_tf")
class ModulatedDeformConv2D(layers.Layer):
    """3x3 modulated deformable convolution, stride 1, dilation 1.

    Sampling positions, interpolation and sums over corners are float32 under every dtype policy; only the final product with
    the kernel runs in the compute dtype.

    Args:
        filters: number of output channels.
        groups: deformable groups; the input channels are split into as many, each with its own offsets and masks.

    Call arguments:
        features: [B,H,W,C], sampled; C must be a multiple of `groups`.
        offsets: float32 [B,h,w,2*groups*9], blocks [dy | dx] in pixels of `features`.
        mask: [B,h,w,groups*9], multiplies each sample.
        pre_offset: optional float32 [B,h,w,9,2], (dy, dx) added to the offsets of every group.
        training: in training all pixels are sampled at once, at inference strip by strip.

    `call_integer_offsets` is the same function without residual offsets, at a third of the cost.

    Returns:
        [B,h,w,filters] in the compute dtype.

    Raises:
        ValueError: channels of features, offsets or mask do not fit `groups`.
    """

    def __init__(self, filters: int, groups: int = 8, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        self.groups = groups

    def build(
        self,
        features_shape: tuple,
        offsets_shape: tuple | None = None,
        mask_shape: tuple | None = None,
        pre_offset_shape: tuple | None = None,
    ) -> None:
        channels = features_shape[-1]
        if channels % self.groups:
            raise ValueError(f"{channels} channels cannot be split into {self.groups} deformable groups")
        points = self.groups * TAPS
        for name, shape, expected in (("offsets", offsets_shape, 2 * points), ("mask", mask_shape, points)):
            if shape is not None and shape[-1] != expected:
                raise ValueError(f"{name} have {shape[-1]} channels; {self.groups} groups of {TAPS} taps need {expected}")
        limit = 1.0 / (channels * TAPS) ** 0.5
        uniform = keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight(shape=(3, 3, channels, self.filters), initializer=uniform, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(
        self,
        features: Tensor,
        offsets: Tensor,
        mask: Tensor,
        pre_offset: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        inputs = [offsets, mask] if pre_offset is None else [offsets, mask, pre_offset]
        table = self._row_table(features)
        size = ops.shape(features)[1:3]
        kernel = self._grouped_kernel()

        def strip(start, rows, offsets, mask, *pre_offset):
            batch, _, width = ops.shape(offsets)[:3]
            y, x = self._positions(start, rows, width, offsets, *pre_offset)
            columns = self._sample(table, size, batch, y, x, ops.cast(mask, "float32"))
            return self._product(columns, kernel, (batch, rows, width))

        return _by_strips(strip, inputs, training)

    def call_integer_offsets(
        self, features: Tensor, pre_offset: Tensor, mask: Tensor | None = None, training: bool = False
    ) -> Tensor:
        """What the layer computes while residual offsets are 0.

        With whole-numbered pre-offsets every sample then is one pixel, the same for all groups, so that nothing needs
        interpolating.

        Args:
            features: [B,H,W,C], sampled.
            pre_offset: float32 [B,h,w,9,2], (dy, dx), whole numbers.
            mask: [B,h,w,groups*9]; None for 0.5 everywhere, as at the start of training.
            training: as of the call.

        Returns:
            [B,h,w,filters] in the compute dtype.
        """
        channels = features.shape[-1]
        rows, columns = ops.shape(features)[1:3]
        padded = ops.pad(ops.cast(features, self.compute_dtype), [[0, 0], [1, 1], [1, 1], [0, 0]])
        table = ops.reshape(padded, (-1, channels))
        kernel = ops.reshape(self.kernel, (-1, self.filters))
        kernel = ops.cast(kernel if mask is not None else 0.5 * kernel, self.compute_dtype)
        tap = np.arange(TAPS, dtype=np.int32)

        def strip(start, height, pre_offset, *mask):
            batch, _, width = ops.shape(pre_offset)[:3]
            shift = ops.cast(pre_offset, "int32")
            y = shift[..., 0] + (start + ops.arange(height))[:, None, None] + (tap // 3 - 1)
            x = shift[..., 1] + ops.arange(width)[:, None] + (tap % 3 - 1)
            y, x = ops.clip(y, -1, rows) + 1, ops.clip(x, -1, columns) + 1
            image = ops.arange(batch)[:, None, None, None] * ((rows + 2) * (columns + 2))
            sampled = ops.take(table, image + y * (columns + 2) + x, axis=0)
            if mask:
                by_tap = ops.reshape(ops.cast(mask[0], self.compute_dtype), (batch, height, width, self.groups, TAPS))
                by_tap = ops.transpose(by_tap, (0, 1, 2, 4, 3))[..., None]
                sampled = ops.reshape(sampled, (batch, height, width, TAPS, self.groups, channels // self.groups)) * by_tap
            return self._product(sampled, kernel, (batch, height, width))

        return _by_strips(strip, [pre_offset] if mask is None else [pre_offset, mask], training)

    def _row_table(self, features: Tensor) -> Tensor:
        """Features with a border of one zero pixel, as a table [B*(H+2)*(W+2)*groups, C/groups] to gather rows from."""
        padded = ops.pad(ops.cast(features, "float32"), [[0, 0], [1, 1], [1, 1], [0, 0]])
        return ops.reshape(padded, (-1, features.shape[-1] // self.groups))

    def _grouped_kernel(self) -> Tensor:
        """[groups*9*C/groups, filters], rows in the order of the sampled columns."""
        channels = self.kernel.shape[2]
        kernel = ops.reshape(self.kernel, (TAPS, self.groups, channels // self.groups, self.filters))
        kernel = ops.reshape(ops.transpose(kernel, (1, 0, 2, 3)), (TAPS * channels, self.filters))
        return ops.cast(kernel, self.compute_dtype)

    def _product(self, columns: Tensor, kernel: Tensor, shape: Sequence[Any]) -> Tensor:
        """Sampled columns times the kernel, plus bias: [*shape, filters]."""
        batch, rows, width = shape
        columns = ops.reshape(columns, (batch * rows * width, kernel.shape[0]))
        outputs = ops.matmul(ops.cast(columns, self.compute_dtype), kernel) + ops.cast(self.bias, self.compute_dtype)
        return ops.reshape(outputs, (batch, rows, width, self.filters))

    def _positions(
        self, start: Any, rows: Any, width: Any, offsets: Tensor, pre_offset: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Sampling positions (y, x), each float32 [B,rows,w,groups*9], in pixels of the features."""
        points = self.groups * TAPS
        tap = np.arange(points) % TAPS
        y = ops.cast(start + ops.arange(rows), "float32")[:, None, None] + np.float32(tap // 3 - 1)
        x = ops.cast(ops.arange(width), "float32")[:, None] + np.float32(tap % 3 - 1)
        offsets = ops.cast(offsets, "float32")
        y, x = offsets[..., :points] + y, offsets[..., points:] + x
        if pre_offset is not None:
            y = y + ops.tile(pre_offset[..., 0], (1, 1, 1, self.groups))
            x = x + ops.tile(pre_offset[..., 1], (1, 1, 1, self.groups))
        return y, x

    def _sample(self, table: Tensor, size: Any, batch: Any, y: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """mask * bilinear value at (y, x): [B,rows,w,groups*9,C/groups]."""
        height, width = size
        last_y, last_x = ops.cast(height, "float32"), ops.cast(width, "float32")
        y, x = ops.clip(y, -1.0, last_y), ops.clip(x, -1.0, last_x)
        top = ops.minimum(ops.floor(y), last_y - 1.0)
        left = ops.minimum(ops.floor(x), last_x - 1.0)
        fraction_y, fraction_x = y - top, x - left
        lower = mask * fraction_y
        upper = mask - lower
        lower_right, upper_right = lower * fraction_x, upper * fraction_x

        group = np.arange(self.groups * TAPS, dtype=np.int32) // TAPS
        image = ops.arange(batch)[:, None, None, None] * ((height + 2) * (width + 2))
        pixel = (ops.cast(top, "int32") + 1) * (width + 2) + ops.cast(left, "int32") + 1 + image
        index = pixel * self.groups + group
        right, down = self.groups, (width + 2) * self.groups
        corners = (
            (index, upper - upper_right),
            (index + right, upper_right),
            (index + down, lower - lower_right),
            (index + down + right, lower_right),
        )
        return sum(ops.take(table, row, axis=0) * weight[..., None] for row, weight in corners)

    def compute_output_shape(
        self,
        features_shape: tuple,
        offsets_shape: tuple,
        mask_shape: tuple | None = None,
        pre_offset_shape: tuple | None = None,
    ) -> tuple:
        return (*offsets_shape[:3], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}


def _by_strips(strip: Callable[..., Tensor], inputs: Sequence[Tensor], whole: bool) -> Tensor:
    """strip(first row, rows, *those rows of the inputs) -> [B,rows,w,filters], over all rows of the inputs [B,h,w,...]."""
    batch, height, width = ops.shape(inputs[0])[:3]
    if whole:
        return strip(0, height, *inputs)
    rows = smaller(height, larger(1, PIXELS_IN_STRIP // (batch * width)))
    strips = (height + rows - 1) // rows
    starts = ops.minimum(ops.arange(strips) * rows, height - rows)
    outputs = ops.map(lambda start: strip(start, rows, *(_rows(x, start, rows) for x in inputs)), starts)
    # [strips,B,rows,w,filters]; the last strip overlaps the one before it.
    together = ops.reshape(ops.transpose(outputs[:-1], (1, 0, 2, 3, 4)), (batch, -1, width, outputs.shape[-1]))
    fresh = height - (strips - 1) * rows
    return ops.concatenate([together, outputs[-1][:, rows - fresh :]], axis=1)


def _rows(x: Tensor, start: Any, rows: Any) -> Tensor:
    shape = list(ops.shape(x))
    shape[1] = rows
    return ops.slice(x, (0, start, *[0] * (len(shape) - 2)), shape)
