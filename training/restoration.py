"""Trainer of the restoration network by a pixel loss (L1), on flows of a trained matcher.

The matcher's extractors stay as they are: the best match is a hard choice that passes no gradient on. The published training
freezes the reference encoder too; here it can be trained along. Source: C2-Matching (CVPR 2021), section 3.4.
"""

from typing import Any

import keras

from c2m_tf.network.aggregation import DynamicAggregation
from c2m_tf.network.model import C2Matching
from c2m_tf.network.tensors import Tensor

from . import losses


class RestorationTrainer(keras.Model):
    """Trains a C2Matching model.

    Batches are those of `c2m_tf.training.datasets.ReferencePairs`, or of `JointBatches`: their patches without a reference go
    through the trunk, so that nothing of a reference is computed for them.

    Args:
        network: C2Matching.
        learns_offsets: False keeps residual offsets at 0 and masks at 0.5, their values at the start; see `DynamicAggregation`.
        learns_encoder: whether the reference encoder trains along.
        alone_weight: of the loss of patches without a reference.
        pixel_loss: a key of `losses.PIXEL_LOSSES`.
    """

    def __init__(
        self,
        network: C2Matching,
        learns_offsets: bool = True,
        learns_encoder: bool = False,
        alone_weight: float = 0.5,
        pixel_loss: str = "l1",
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.network = network
        self.alone_weight = alone_weight
        self.pixel_loss = losses.PIXEL_LOSSES[pixel_loss]
        network.reference_encoder.trainable = learns_encoder
        if network.own_trunk:
            network.trunk.trainable = alone_weight > 0
        for layer in network.restoration.layers:
            if isinstance(layer, DynamicAggregation):
                layer.learns_offsets = learns_offsets
        self.built = True

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor | dict[str, Tensor]:
        if "alone" not in inputs:
            return self.network(inputs, training=training)
        sr = self.network({"lr": inputs["lr"], "ref": inputs["ref"]}, training=training)
        return {"sr": sr, "alone": self.network.trunk({"lr": inputs["alone"]}, training=training)}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> Tensor:
        del x, sample_weight, training
        if not isinstance(y, dict):
            return self.pixel_loss(y, y_pred)
        return self.pixel_loss(y["sr"], y_pred["sr"]) + self.alone_weight * self.pixel_loss(y["alone"], y_pred["alone"])
