"""Reference features warped by the flow: one sample per pixel, in the place of dynamic aggregation.

    warped[Y, X] = reference[Y + dy, X + dx],   (dy, dx) = scale * flow of the patch in whose middle the pixel's cell sits
    output       = LeakyReLU(3x3 convolution of warped)

This is what the paper's ablation starts from: nothing is learnt of where to look, and no mask weighs what is found there. It is
computed as a deformable convolution whose nine taps sample their neighbours' warped pixels.

Source: C2-Matching (CVPR 2021), supplementary Figure 3, baseline.
"""

import keras
from keras import ops

from c2m_tf.network.aggregation import DynamicAggregation
from c2m_tf.network.grid import PATCH
from c2m_tf.network.tensors import Tensor


@keras.saving.register_keras_serializable("c2m_tf")
class FlowWarping(DynamicAggregation):
    """One level of warping; arguments and call arguments are those of `DynamicAggregation`, `context` is not looked at."""

    offset_layers = ()

    def _make_offset_layers(self) -> None:
        """None: nothing is learnt of where to look."""

    def build(self, x_shape, reference_shape=None, flow_shape=None, context_shape=None, strength_shape=None) -> None:
        self.deform_conv.build((*x_shape[:3], self.channels))

    def _aggregated(self, x, reference, flow, context, training):
        return self.deform_conv.call_at_pixels(reference, warp_offsets(flow, self.scale), training=training)


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
    middle = ops.repeat(ops.repeat(middle, scale, axis=1), scale, axis=2)
    for axis in (1, 2):
        size = ops.shape(middle)[axis]
        middle = ops.take(middle, ops.clip(ops.arange(-1, size + 1), 0, size - 1), axis=axis)
    rows, columns = scale * height, scale * width
    return ops.stack([middle[:, i : i + rows, j : j + columns] for i in range(PATCH) for j in range(PATCH)], axis=3)
