"""Trainer of the trunk: the restoration network at strength 0, a single-image network; or a trunk of the model's own.

What can be learnt without a reference is learnt here, many times as cheaply as with one.
"""

from typing import Any

import keras

from c2m_tf.network.aggregation import DynamicAggregation
from c2m_tf.network.model import C2Matching
from c2m_tf.network.tensors import Tensor

from . import losses


class TrunkTrainer(keras.Model):
    """Trains the trunk of a C2Matching model by a pixel loss. Batches are those of `c2m_tf.training.datasets.PatchBatches`.

    Args:
        network: C2Matching; its extractors, reference encoder and aggregations stay as they are, and with a trunk of its own
            the whole restoration network.
        pixel_loss: a key of `losses.PIXEL_LOSSES`.
    """

    def __init__(self, network: C2Matching, pixel_loss: str = "l1", **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.pixel_loss = losses.PIXEL_LOSSES[pixel_loss]
        network.reference_encoder.trainable = False
        for layer in network.restoration.layers:
            layer.trainable = not (network.own_trunk or isinstance(layer, DynamicAggregation))
        self.network = network
        self.built = True

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        return self.network.trunk(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> Tensor:
        del x, sample_weight, training
        return self.pixel_loss(y, y_pred)
