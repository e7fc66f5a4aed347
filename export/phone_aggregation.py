"""Dynamic aggregation in a form that is fast in TFLite.

On a phone the time goes into moving rows and into reading whole tensors once per operation, not into arithmetic. So sampling

- computes row indices in integers, from one index per cell and tap;
- gathers whole pixels without residual offsets, and the four corners of a sample as one row with them;
- expands masks and weights to the width of what they multiply by a 1x1 convolution with ones, and sums the corners within
  the product with the kernel, so that everything after the gathering can run in int8;
- works in strips of rows, which keeps tensors in the cache. The strips are unrolled, because `ops.map` would leave its whole
  result in the file as a constant of zeros, and each depends on the one before it (`phone_matching.after`);
- has at most four axes in each tensor and one in each list of places to gather, which is what GPUs take.

Sampling positions and their fractions stay float32: 256 values would be too coarse.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from c2m_tf.network import PATCH
from c2m_tf.network.aggregation import DEFORMABLE_GROUPS, LEAKY_SLOPE, DynamicAggregation
from c2m_tf.network.deform_conv import TAPS

from .fake_quantization import ActivationRange, QuantizedConv2D, rounded_kernel
from .phone_matching import after

ROWS_IN_STRIP = 16
_POINTS = DEFORMABLE_GROUPS * TAPS
# Shares lie in [0, 1]; this upper end makes their steps the 1/256 that TFLite's sigmoid has.
_SHARE = (0.0, 255 / 256)


@keras.saving.register_keras_serializable("c2m_tf.export")
class PhoneAggregation(DynamicAggregation):
    """`DynamicAggregation` for references that are at least four times as high and as wide as the LR photo.

    Args:
        quantized: whether activations and kernels are rounded (`fake_quantization`).
        others: as of `DynamicAggregation`.
    """

    def __init__(
        self, channels: int, scale: int, residual_offsets: bool = True, quantized: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(channels, scale, residual_offsets, **kwargs)
        self.quantized = quantized
        self.constant_kernel = None
        if quantized:
            for part in ("offset_conv1", "offset_conv2", "offset_mask"):
                convolution = getattr(self, part)
                delattr(self, part)
                setattr(self, part, QuantizedConv2D.from_config(convolution.get_config()))
            names = ("joined", "conv1", "leaky1", "conv2", "leaky2", "raw", "mask", "weights", "spread", "product", "output")
            fixed = {"mask": _SHARE, "weights": _SHARE, "spread": _SHARE}
            self.ranges = {name: ActivationRange(fixed.get(name), name=f"range_{name}") for name in names}

    def build(self, x_shape, reference_shape=None, flow_shape=None, context_shape=None, strength_shape=None) -> None:
        super().build(x_shape, reference_shape, flow_shape, context_shape, strength_shape)
        if self.quantized:
            self.limit = self.add_weight(shape=(self.channels,), initializer="zeros", trainable=False, name="limit")
            for layer in self.ranges.values():
                layer.build(())

    @property
    def inner_layers(self) -> list[keras.Layer]:
        """The layers within this one."""
        ranges = self.ranges.values() if self.quantized else ()
        return [*self.offset_layers, self.deform_conv, *ranges]

    def _without_reference(self, x):
        # A zero that the converter cannot know: it would store the bias once per pixel.
        zero = ops.clip(x[..., :1], 0.0, 0.0)
        return ops.leaky_relu(self._rounded("output", zero + self.deform_conv.bias), LEAKY_SLOPE)

    def _aggregated(self, x, reference, flow, context, training):
        features = self._rounded("joined", ops.concatenate([x, context], axis=-1))
        for number, convolution in enumerate((self.offset_conv1, self.offset_conv2), 1):
            features = self._rounded(f"conv{number}", convolution(features))
            features = self._rounded(f"leaky{number}", ops.leaky_relu(features, LEAKY_SLOPE))
        raw = self._rounded("raw", self.offset_mask(features))
        mask = self._rounded("mask", ops.sigmoid(raw[..., -_POINTS:]))
        rows = None if training else ROWS_IN_STRIP
        if self.residual_offsets:
            output = self._between_pixels(reference, flow, raw[..., :-_POINTS], mask, rows)
        else:
            output = self._at_pixels(reference, flow, mask, rows)
        return self._rounded("output", output)

    def _rounded(self, name, x):
        return self.ranges[name](x) if self.quantized else x

    def _product(self, columns, mask, kernel):
        """Columns [1,rows,w,K] times mask, times kernel [1,1,K,channels], plus bias."""
        columns = self._rounded("product", columns * mask)
        return tf.nn.conv2d(columns, kernel, 1, "VALID") + ops.convert_to_tensor(self.deform_conv.bias)

    def _spread(self, shares, ones):
        """Shares [1,rows,w,K] expanded to the width of what they multiply by a 1x1 convolution with ones [1,1,K,width]."""
        if self.quantized:
            limits = np.ones(ones.shape[-1], np.float32)
            ones = tf.quantization.fake_quant_with_min_max_vars_per_channel(ones, -limits, limits, narrow_range=True)
        return self._rounded("spread", tf.nn.conv2d(shares, ones, 1, "VALID"))

    def _columns_kernel(self):
        """The kernel [1,1,K,channels] in the order of the columns; rounded last, as the converter expects it."""
        kernel = ops.convert_to_tensor(self.deform_conv.kernel) if self.constant_kernel is None else self.constant_kernel
        if self.constant_kernel is None:
            kernel = self._in_order_of_columns(kernel)
        return rounded_kernel(kernel, self.limit) if self.quantized else kernel

    def _in_order_of_columns(self, kernel):
        """Kernel [3,3,C,channels] as [1,1,K,channels]: taps, channels; or groups, taps, corners, channels of a group."""
        channels = self.channels
        if self.residual_offsets:
            size = channels // DEFORMABLE_GROUPS
            kernel = ops.transpose(ops.reshape(kernel, (TAPS, DEFORMABLE_GROUPS, 1, size, channels)), (1, 0, 2, 3, 4))
            kernel = ops.broadcast_to(kernel, (DEFORMABLE_GROUPS, TAPS, 4, size, channels))
        return ops.reshape(kernel, (1, 1, -1, channels))

    def hold_kernel(self) -> None:
        """Makes the deformable convolution's kernel a constant: the converter does not quantize kernels that are computed."""
        self.constant_kernel = self._in_order_of_columns(ops.convert_to_tensor(self.deform_conv.kernel)).numpy()

    def _at_pixels(self, reference, flow, mask, rows):
        """Each tap samples one pixel, the same for all groups."""
        batch, height, width = ops.shape(mask)[:3]
        channels = self.channels
        table, pitch = _table(reference)
        y, x = self._cell_positions(flow)
        image = ops.arange(batch, dtype="float32")[:, None, None, None] * float((reference.shape[1] + 2) * pitch)
        index = self._all_pixels(ops.cast(y * float(pitch) + x + image, "int32"), pitch, 1)
        kernel = self._columns_kernel()
        ones = self._mask_to_channels()
        mask = ops.reshape(mask, (1, batch * height, width, _POINTS))

        def strip(rows, previous):
            sampled = tf.gather(table, ops.reshape(after(index[rows], previous), (-1,)))
            sampled = ops.reshape(sampled, (1, -1, width, TAPS * channels))
            # The mask waits too, in places to gather: in int8, `after` would change its scale.
            places = after(tf.range(rows.start, rows.stop), previous)
            return self._product(sampled, self._spread(tf.gather(mask, places, axis=1), ones), kernel)

        return ops.reshape(_by_strips(strip, batch * height, rows), (batch, height, width, channels))

    def _between_pixels(self, reference, flow, offsets, mask, rows):
        """Each tap of each group samples between four pixels."""
        batch, height, width = ops.shape(mask)[:3]
        channels = self.channels
        size = channels // DEFORMABLE_GROUPS
        table, pitch = _corner_table(reference)
        last_y, last_x = (float(side) for side in reference.shape[1:3])
        first_y, first_x = self._cell_positions(flow)
        y0, x0 = self._all_pixels(first_y, 1, 0), self._all_pixels(first_x, 0, 1)
        kernel = self._columns_kernel()
        ones = np.repeat(np.eye(4, dtype=np.float32), size, axis=1)[None, None]  # [1,1,4,4*size]
        group = np.repeat(np.arange(DEFORMABLE_GROUPS, dtype=np.float32), TAPS)
        image = ops.repeat(ops.arange(batch, dtype="float32") * ((last_y + 2) * pitch), height)[:, None, None]
        offsets = ops.reshape(offsets, (batch * height, width, 2 * DEFORMABLE_GROUPS, TAPS))
        mask = ops.reshape(mask, (batch * height, width, _POINTS))

        def axis(first, shift, last):
            position = ops.clip(ops.reshape(first[:, :, None] + shift, (-1, width, _POINTS)), 0.0, last + 1.0)
            whole = ops.minimum(ops.floor(position), last)
            return whole, position - whole

        def strip(rows, previous):
            shift = after(offsets[rows], previous)
            top, lower = axis(y0[rows], shift[:, :, :DEFORMABLE_GROUPS], last_y)
            left, right = axis(x0[rows], shift[:, :, DEFORMABLE_GROUPS:], last_x)
            pixel = ops.cast(top * pitch + left + image[rows], "int32")
            index = pixel * DEFORMABLE_GROUPS + group.astype(np.int32)
            lower = mask[rows] * lower
            upper = mask[rows] - lower
            lower_right, upper_right = lower * right, upper * right
            corners = (upper - upper_right, upper_right, lower - lower_right, lower_right)
            weights = self._rounded("weights", ops.stack(corners, axis=-1))  # [rows,width,72,4]
            weights = self._spread(ops.reshape(weights, (1, -1, width * _POINTS, 4)), ones)
            shape = (1, -1, width, _POINTS * 4 * size)
            sampled = tf.gather(table, ops.reshape(index, (-1,)))
            return self._product(ops.reshape(sampled, shape), ops.reshape(weights, shape), kernel)

        return ops.reshape(_by_strips(strip, batch * height, rows), (batch, height, width, channels))

    def _cell_positions(self, flow):
        """Position (y, x), in the bordered reference, of each tap of the first pixel of each cell: float32 [B,h,w,9] each."""
        height, width = (size - (PATCH - 1) for size in ops.shape(flow)[1:3])
        # As of `matching.pre_offsets`, without a tensor of five axes.
        parts = [flow[:, i : i + height, j : j + width] for i in range(PATCH)[::-1] for j in range(PATCH)[::-1]]
        y, x = (ops.concatenate([part[..., axis : axis + 1] for part in parts], axis=-1) for axis in (0, 1))
        tap = np.arange(TAPS, dtype=np.float32)
        y = (y + ops.arange(height, dtype="float32")[:, None, None]) * self.scale + tap // PATCH
        x = (x + ops.arange(width, dtype="float32")[:, None]) * self.scale + tap % PATCH
        return y, x

    def _all_pixels(self, first, down, right):
        """Values [B,h,w,9] of the first pixel of each cell, for all pixels: [B*height,width,9], more by `down` and `right`."""
        batch, height, width = ops.shape(first)[:3]
        # Four axes and a batch of one: GPU delegates take the first of fewer axes for the batch, and fail to broadcast over it.
        within = np.arange(self.scale, dtype=first.dtype.as_numpy_dtype)[None, None, :, None]
        rows = ops.reshape(first, (1, batch * height, 1, width * TAPS)) + down * within
        rows = ops.reshape(rows, (1, batch * height * self.scale * width, 1, TAPS)) + right * within
        return ops.reshape(rows, (batch * height * self.scale, width * self.scale, TAPS))

    def _mask_to_channels(self):
        """Ones [1,1,72,9*C] that copy the mask of group g and tap k to all channels of that group and tap."""
        size = self.channels // DEFORMABLE_GROUPS
        ones = np.zeros((DEFORMABLE_GROUPS, TAPS, TAPS, DEFORMABLE_GROUPS, size), np.float32)
        for group in range(DEFORMABLE_GROUPS):
            for tap in range(TAPS):
                ones[group, tap, tap, group] = 1.0
        return ones.reshape(1, 1, _POINTS, TAPS * self.channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "quantized": self.quantized}


def _table(reference):
    """Pixels of the reference [B,H,W,C] and a border of zeros as rows [B*(H+2)*(W+2),C], and the rows in a row of pixels."""
    padded = ops.pad(reference, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return ops.reshape(padded, (-1, reference.shape[-1])), reference.shape[2] + 2


def _corner_table(reference):
    """The same with a row for each pixel and group, [B*(H+2)*(W+2)*8, 4*C/8]: the pixel, those right, below and diagonally."""
    height, width, channels = reference.shape[1:]
    size, pitch = channels // DEFORMABLE_GROUPS, (width + 2) * DEFORMABLE_GROUPS
    padded = ops.pad(reference, [[0, 0], [1, 2], [1, 2], [0, 0]])
    padded = ops.reshape(padded, (-1, height + 3, (width + 3) * DEFORMABLE_GROUPS, size))
    starts = [(y, x * DEFORMABLE_GROUPS) for y in (0, 1) for x in (0, 1)]
    corners = [padded[:, y : y + height + 2, x : x + pitch] for y, x in starts]
    return ops.reshape(ops.concatenate(corners, axis=-1), (-1, 4 * size)), width + 2


def _by_strips(strip, height, rows):
    """strip(slice of rows, strip before it or None) -> [1,rows,w,C], over all of them."""
    if rows is None:
        return strip(slice(0, height), None)
    strips = [None]
    for start in range(0, height, rows):
        strips.append(strip(slice(start, min(start + rows, height)), strips[-1]))
    return ops.concatenate(strips[1:], axis=1)
