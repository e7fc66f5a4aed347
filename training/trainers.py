"""Trainers, one for each stage but the adversarial one: keras.Models whose `compute_loss` is the stage's.

    TeacherTrainer, StudentTrainer   extractors by the triplet loss, and the student's by correlation distillation besides
    TrunkTrainer                     the network without a reference
    RestorationTrainer               the network on flows of a trained matcher
    DescriptorTrainer                descriptors of the mobile network, by contrast over all cells of the reference
    MobileTrainer                    the mobile network's fusion

The best match is a hard choice that passes no gradient on, so matching is trained by itself. The published training freezes
the reference encoder too; here it can be trained along. Sources: C2-Matching (CVPR 2021), sections 3.2 and 3.4; InfoNCE (van
den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018).
"""

from collections.abc import Sequence
from typing import Any

import keras

from c2m_tf.network import subcell
from c2m_tf.network.aggregation import DynamicAggregation
from c2m_tf.network.features import STEM_CHANNELS, contrastive_extractor
from c2m_tf.network.mobile import Mobile
from c2m_tf.network.model import C2Matching
from c2m_tf.network.tensors import Tensor

from . import losses


@keras.saving.register_keras_serializable("c2m_tf.training")
class Extractors(keras.Model):
    """The two extractors of a matcher: `extractor_lr` for the photo, `extractor_ref` for the reference.

    Args:
        stem_channels: as of `features.contrastive_extractor`.

    Call arguments:
        photo, ref: float [B,H,W,3] in [0, 1], sides multiples of 4.

    Returns:
        Two feature maps [B,H/4,W/4,256].
    """

    def __init__(self, dtype: Any = None, stem_channels: Sequence[int] = STEM_CHANNELS, **kwargs: Any) -> None:
        super().__init__(dtype=dtype, autocast=False, **kwargs)
        self.stem_channels = tuple(stem_channels)
        self.extractor_lr = contrastive_extractor("extractor_lr", self.dtype_policy, stem_channels)
        self.extractor_ref = contrastive_extractor("extractor_ref", self.dtype_policy, stem_channels)
        self.built = True

    def call(self, photo: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        return self.extractor_lr(photo), self.extractor_ref(ref)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stem_channels": self.stem_channels}


class TeacherTrainer(keras.Model):
    """Trains extractors on HR photos and their warps by the triplet loss.

    Batches are those of `c2m_tf.training.datasets.HomographyPairs`.

    Args:
        extractors: `Extractors` to train.
    """

    photo = "hr"  # key of the photo that is matched with the reference

    def __init__(self, extractors: Extractors, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.extractors = extractors
        self.positive_distance = keras.metrics.Mean("positive_distance")
        self.negative_distance = keras.metrics.Mean("negative_distance")
        self.built = True

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> tuple[Tensor, Tensor]:
        return self.extractors(inputs[self.photo], inputs["ref"])

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        del y, sample_weight, training
        photo_features, ref_features = y_pred
        triplet = losses.triplet_loss(photo_features, ref_features, x["homography"])
        self.positive_distance.update_state(triplet.positive_distance)
        self.negative_distance.update_state(triplet.negative_distance)
        return triplet.loss


class StudentTrainer(TeacherTrainer):
    """Trains extractors on degraded photos, by the triplet loss and, if there is one, a frozen teacher.

    Args:
        extractors: `Extractors` to train.
        teacher: `Extractors` that the teacher stage trained; None for the triplet loss alone.
    """

    photo = "upsampled"

    def __init__(self, extractors: Extractors, teacher: Extractors | None, **kwargs: Any) -> None:
        super().__init__(extractors, **kwargs)
        self.teacher = teacher
        if teacher is not None:
            teacher.trainable = False
        self.distillation = keras.metrics.Mean("distillation")

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        triplet = super().compute_loss(x, y, y_pred, sample_weight, training)
        if self.teacher is None:
            return triplet
        taught, taught_ref = (keras.ops.stop_gradient(features) for features in self.teacher(x["hr"], x["ref"]))
        distillation = losses.correlation_distillation(y_pred[0], y_pred[1], taught, taught_ref, x["homography"])
        self.distillation.update_state(distillation)
        return triplet + losses.DISTILLATION_WEIGHT * distillation


class _PixelTrainer(keras.Model):
    """Trains a network by a pixel loss, on patches without a reference besides if batches hold them."""

    def __init__(self, network: keras.Model, pixel_loss: str, alone_weight: float = 0.0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.network = network
        self.pixel_loss = losses.PIXEL_LOSSES[pixel_loss]
        self.alone_weight = alone_weight
        self.built = True

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        del x, sample_weight, training
        if not isinstance(y, dict):
            return self.pixel_loss(y, y_pred)
        return self.pixel_loss(y["sr"], y_pred["sr"]) + self.alone_weight * self.pixel_loss(y["alone"], y_pred["alone"])


class TrunkTrainer(_PixelTrainer):
    """Trains the trunk of a C2Matching model by a pixel loss. Batches are those of `c2m_tf.training.datasets.PatchBatches`.

    Args:
        network: C2Matching; its extractors, reference encoder and aggregations stay as they are, and with a trunk of its own
            the whole restoration network.
        pixel_loss: a key of `losses.PIXEL_LOSSES`.
    """

    def __init__(self, network: C2Matching, pixel_loss: str = "l1", **kwargs: Any) -> None:
        network.reference_encoder.trainable = False
        for layer in network.restoration.layers:
            layer.trainable = not (network.own_trunk or isinstance(layer, DynamicAggregation))
        super().__init__(network, pixel_loss, **kwargs)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        return self.network.trunk(inputs, training=training)


class RestorationTrainer(_PixelTrainer):
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
        network.reference_encoder.trainable = learns_encoder
        if network.own_trunk:
            network.trunk.trainable = alone_weight > 0
        for layer in network.restoration.layers:
            if isinstance(layer, DynamicAggregation):
                layer.learns_offsets = learns_offsets
        super().__init__(network, pixel_loss, alone_weight, **kwargs)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor | dict[str, Tensor]:
        if "alone" not in inputs:
            return self.network(inputs, training=training)
        sr = self.network({"lr": inputs["lr"], "ref": inputs["ref"]}, training=training)
        return {"sr": sr, "alone": self.network.trunk({"lr": inputs["alone"]}, training=training)}


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

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        del y, sample_weight, training
        photo, reference = y_pred
        return losses.contrastive_loss(photo, reference, x["cells"], self.temperature)


class MobileTrainer(_PixelTrainer):
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
        network.descriptors.trainable = False
        network.branch.trainable = learns_branch
        super().__init__(network, pixel_loss, alone_weight, **kwargs)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor | dict[str, Tensor]:
        sr = self.network({"lr": inputs["lr"], "ref": inputs["ref"]}, training=training)
        if "alone" not in inputs:
            return sr
        return {"sr": sr, "alone": self.network({"lr": inputs["alone"]}, training=training)}
