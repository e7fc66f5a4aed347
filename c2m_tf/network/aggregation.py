"""Dynamic aggregation: the reference's texture, carried to where the LR photo needs it.

At one level (stride 4, 2 or 1) the flow found by matching says roughly where to look; two convolutions over the LR branch's
feature and the reference's feature add learned residuals and masks; a deformable convolution samples the reference there.

    offset features = LeakyReLU(conv(LeakyReLU(conv([x, reference]))))
    dy, dx, mask    = conv(offset features), blocks of 72 = 8 groups x 9 taps each; mask through a sigmoid
    output          = LeakyReLU(ModulatedDeformConv2D(reference, [dy | dx] + pre-offset, strength * mask))

The strength, in [0, 1] per sample, is ours: 1 is the published layer; at 0 nothing of the reference is left in the output,
which then is LeakyReLU(bias) everywhere, so nothing of the reference needs to be computed.

Note that the convolutions see the reference where it lies, not where it is matched to; the published network does so.

Source: C2-Matching (CVPR 2021), section 3.3.
"""

from typing import Any

import keras
from keras import layers, ops

from c2m_tf.network import PATCH
from c2m_tf.network.deform_conv import TAPS, ModulatedDeformConv2D
from c2m_tf.network.matching import pre_offsets
from c2m_tf.network.tensors import Tensor, edge_padded

LEAKY_SLOPE = 0.1
DEFORMABLE_GROUPS = 8


@keras.saving.register_keras_serializable("c2m_tf")
class DynamicAggregation(layers.Layer):
    """One level of dynamic aggregation.

    Args:
        channels: channels of the reference's feature at this level, and of the output.
        scale: pixels of this level in a cell of the flow: 1, 2 or 4.
        residual_offsets: False leaves the residual offsets out: every tap samples one pixel, and only masks are learnt.

    Call arguments:
        x: [B, scale*h, scale*w, 64], the LR branch's feature.
        reference: [B,H,W,channels], the reference's feature; any H, W.
        flow: float32 [B,h+2,w+2,2], (dy, dx) in cells, with the border that `matching.pre_offsets` expects.
        context: [B, scale*h, scale*w, channels], the reference's feature at x's own place, zeros where there is none.
        strength: float32 [B] in [0, 1], multiplies the masks; None for 1.
        training: passed on to the deformable convolution.

    Called with x alone, the layer gives what it gives for any reference at strength 0.

    Returns:
        [B, scale*h, scale*w, channels].

    Offsets and masks can be kept at the values that training starts from (`learns_offsets = False`, before the model
    is first called): the three convolutions are then left out and do not train, and a training step costs a third.
    """

    def __init__(self, channels: int, scale: int, residual_offsets: bool = True, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.channels = channels
        self.scale = scale
        self.residual_offsets = residual_offsets
        self._learns_offsets = True
        self._make_offset_layers()
        name, dtype = self.name, self.dtype_policy
        self.deform_conv = ModulatedDeformConv2D(channels, DEFORMABLE_GROUPS, name=f"{name}_dyn_agg", dtype=dtype)

    def _make_offset_layers(self) -> None:
        channels, name, dtype = self.channels, self.name, self.dtype_policy
        normal = keras.initializers.RandomNormal(stddev=0.02)
        common = {"padding": "same", "data_format": "channels_last", "dtype": dtype}
        self.offset_conv1 = layers.Conv2D(channels, 3, kernel_initializer=normal, name=f"{name}_offset_conv1", **common)
        self.offset_conv2 = layers.Conv2D(channels, 3, kernel_initializer=normal.clone(), name=f"{name}_offset_conv2", **common)
        self.offset_mask = layers.Conv2D(
            (3 if self.residual_offsets else 1) * DEFORMABLE_GROUPS * TAPS,
            3,
            kernel_initializer="zeros",
            name=f"{name}_dyn_agg_conv_offset_mask",
            **common,
        )

    @property
    def offset_layers(self) -> tuple[keras.Layer, ...]:
        """The convolutions that residual offsets and masks come from."""
        return self.offset_conv1, self.offset_conv2, self.offset_mask

    @property
    def learns_offsets(self) -> bool:
        """Whether residual offsets and masks come from the convolutions; if not, they are 0 and 0.5."""
        return self._learns_offsets

    @learns_offsets.setter
    def learns_offsets(self, value: bool) -> None:
        self._learns_offsets = value
        for layer in self.offset_layers:
            layer.trainable = value

    def build(
        self,
        x_shape: tuple,
        reference_shape: tuple | None = None,
        flow_shape: tuple | None = None,
        context_shape: tuple | None = None,
        strength_shape: tuple | None = None,
    ) -> None:
        self._build_layers(x_shape)

    def _build_layers(self, x_shape: tuple) -> None:
        reference_shape = (*x_shape[:3], self.channels)
        points = DEFORMABLE_GROUPS * TAPS
        self.offset_conv1.build((*x_shape[:3], x_shape[-1] + self.channels))
        self.offset_conv2.build(reference_shape)
        self.offset_mask.build(reference_shape)
        self.deform_conv.build(reference_shape, (*x_shape[:3], 2 * points), (*x_shape[:3], points))

    def call(
        self,
        x: Tensor,
        reference: Tensor | None = None,
        flow: Tensor | None = None,
        context: Tensor | None = None,
        strength: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        if reference is None:
            return self._without_reference(x)
        output = self._aggregated(x, reference, flow, context, training)
        if strength is not None:
            # Masks multiply samples, and the convolution is linear in them: scaling all masks scales what it adds to its bias.
            bias = ops.cast(self.deform_conv.bias, output.dtype)
            output = bias + ops.cast(ops.reshape(strength, (-1, 1, 1, 1)), output.dtype) * (output - bias)
        return ops.leaky_relu(output, LEAKY_SLOPE)

    def _without_reference(self, x: Tensor) -> Tensor:
        constant = ops.leaky_relu(ops.cast(self.deform_conv.bias, self.compute_dtype), LEAKY_SLOPE)
        return ops.broadcast_to(constant, (*ops.shape(x)[:3], self.channels))

    def _aggregated(self, x: Tensor, reference: Tensor, flow: Tensor, context: Tensor, training: bool) -> Tensor:
        """The deformable convolution of the reference, bias included, before its LeakyReLU."""
        flow = pre_offsets(flow, self.scale)
        if not self.learns_offsets:
            return self.deform_conv.call_integer_offsets(reference, flow, training=training)
        features = ops.concatenate([ops.cast(x, self.compute_dtype), ops.cast(context, self.compute_dtype)], axis=-1)
        features = ops.leaky_relu(self.offset_conv1(features), LEAKY_SLOPE)
        features = ops.leaky_relu(self.offset_conv2(features), LEAKY_SLOPE)
        raw = self.offset_mask(features)
        mask = ops.sigmoid(raw[..., -DEFORMABLE_GROUPS * TAPS :])
        if not self.residual_offsets:
            return self.deform_conv.call_integer_offsets(reference, flow, mask, training=training)
        offsets = ops.cast(raw[..., : -DEFORMABLE_GROUPS * TAPS], "float32")
        return self.deform_conv(reference, offsets, mask, flow, training=training)

    def compute_output_shape(
        self,
        x_shape: tuple,
        reference_shape: tuple | None = None,
        flow_shape: tuple | None = None,
        context_shape: tuple | None = None,
        strength_shape: tuple | None = None,
    ) -> tuple:
        return (*x_shape[:3], self.channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "scale": self.scale,
            "residual_offsets": self.residual_offsets,
        }


@keras.saving.register_keras_serializable("c2m_tf")
class FlowWarping(DynamicAggregation):
    """One level of warping; arguments and call arguments are those of `DynamicAggregation`, `context` is not looked at."""

    offset_layers = ()

    def _make_offset_layers(self) -> None:
        """None: nothing is learnt of where to look."""

    def _build_layers(self, x_shape: tuple) -> None:
        self.deform_conv.build((*x_shape[:3], self.channels))

    def _aggregated(self, x: Tensor, reference: Tensor, flow: Tensor, context: Tensor, training: bool) -> Tensor:
        return self.deform_conv.call_integer_offsets(reference, warp_offsets(flow, self.scale), training=training)


def warp_offsets(flow: Tensor, scale: int) -> Tensor:
    """The nine displacements by which the taps of a 3x3 convolution sample a warped map.

    Args:
        flow: float32 [B,h+2,w+2,2] in cells, (dy, dx), with a border as of `matching.bordered`.
        scale: pixels of the level in a cell: 1, 2 or 4.

    Returns:
        float32 [B, scale*h, scale*w, 9, 2], (dy, dx) in pixels of that level: tap (i, j) at (Y, X) has the flow of pixel
        (Y + i - 1, X + j - 1), the nearest one inside the photo.
    """
    height, width = (size - (PATCH - 1) for size in ops.shape(flow)[1:3])
    # Flow belongs to a patch's top-left cell; that of the patch around a cell lies one cell up and left.
    middle = flow[:, 1 : height + 1, 1 : width + 1] * float(scale)
    middle = edge_padded(ops.repeat(ops.repeat(middle, scale, axis=1), scale, axis=2), 1)
    rows, columns = scale * height, scale * width
    return ops.stack([middle[:, i : i + rows, j : j + columns] for i in range(PATCH) for j in range(PATCH)], axis=3)
