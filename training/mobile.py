"""Trainers of the mobile network: its descriptors by contrast, then its fusion, and the rest along, by a pixel loss.

Source of the contrastive loss: InfoNCE (van den Oord et al., "Representation Learning with Contrastive Predictive
Coding", 2018), over all cells of the reference.
"""

from typing import Any

import keras

from c2m_tf.network import subcell
from c2m_tf.network.mobile import Mobile
from c2m_tf.network.tensors import Tensor

from . import losses


class DescriptorTrainer(keras.Model):
    """Trains the descriptors of a Mobile model: the descriptor of an LR pixel shall fit that of its true cell, and no other.

    Batches are those of `c2m_tf.training.datasets.CorrespondencePairs`.

    Args:
        network: Mobile; nothing but its descriptors is trained.
        temperature: of the softmax over cells.
    """

    def __init__(self, network: Mobile, temperature: float = 0.07, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.network = network
        self.temperature = temperature
        network.branch.trainable = network.fusion.trainable = False
        self.built = True

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> tuple[Tensor, Tensor]:
        small = subcell.first_phase(subcell.phases(subcell.low_pass(inputs["ref"])))
        return self.network.descriptors(inputs["lr"], training=training), self.network.descriptors(small, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> Tensor:
        del y, sample_weight, training
        photo, reference = y_pred
        return losses.contrastive_loss(photo, reference, x["cells"], self.temperature)


class MobileTrainer(keras.Model):
    """Trains a Mobile model by a pixel loss.

    Batches are those of `c2m_tf.training.datasets.ReferencePairs`, or of `JointBatches`, whose patches without a reference go
    through the single-image branch.

    Args:
        network: Mobile; its descriptors stay as they are, because the best match passes no gradient on.
        learns_branch: whether the single-image branch trains along.
        alone_weight: of the loss of patches without a reference.
        pixel_loss: a key of `losses.PIXEL_LOSSES`.
    """

    def __init__(
        self, network: Mobile, learns_branch: bool = False, alone_weight: float = 0.5, pixel_loss: str = "l1", **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.network = network
        self.alone_weight = alone_weight
        self.pixel_loss = losses.PIXEL_LOSSES[pixel_loss]
        network.descriptors.trainable = False
        network.branch.trainable = learns_branch
        self.built = True

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor | dict[str, Tensor]:
        sr = self.network({"lr": inputs["lr"], "ref": inputs["ref"]}, training=training)
        if "alone" not in inputs:
            return sr
        return {"sr": sr, "alone": self.network({"lr": inputs["alone"]}, training=training)}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> Tensor:
        del x, sample_weight, training
        if not isinstance(y, dict):
            return self.pixel_loss(y, y_pred)
        return self.pixel_loss(y["sr"], y_pred["sr"]) + self.alone_weight * self.pixel_loss(y["alone"], y_pred["alone"])
