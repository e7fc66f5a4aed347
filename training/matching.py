"""Trainers of the correspondence network: the teacher on sharp photos, then the student on blurred ones.

Both learn two VGG stems, one for the LR photo and one for the reference. The teacher sees the HR photo itself and learns by the
triplet loss; the student sees the photo downsampled and upsampled by 4, and learns by the triplet loss and from the teacher's
matching distribution (correlation distillation). Source: C2-Matching (CVPR 2021), section 3.2.
"""

from collections.abc import Sequence
from typing import Any

import keras

from c2m_tf.network.features import STEM_CHANNELS, contrastive_extractor
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

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> Tensor:
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

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> Tensor:
        triplet = super().compute_loss(x, y, y_pred, sample_weight, training)
        if self.teacher is None:
            return triplet
        taught, taught_ref = (keras.ops.stop_gradient(features) for features in self.teacher(x["hr"], x["ref"]))
        distillation = losses.correlation_distillation(y_pred[0], y_pred[1], taught, taught_ref, x["homography"])
        self.distillation.update_state(distillation)
        return triplet + losses.DISTILLATION_WEIGHT * distillation
