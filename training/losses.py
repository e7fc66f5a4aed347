"""Losses of the training stages.

    teacher       triplet
    student       triplet + 15 * correlation distillation
    restoration   L1
    descriptors   InfoNCE, of the mobile network
    mobile        L1
    adversarial   L1 + 1e-4 * perceptual + 1e-6 * adversarial, on request + grid; the critic: WGAN with 10 * gradient penalty

Everything is written in `keras.ops` and differentiable on any backend. Source: C2-Matching (CVPR 2021), sections 3.2 to 3.4;
constants and details are those of the released code, checked by golden values.
"""

from typing import NamedTuple

import numpy as np
from keras import ops

from c2m_tf.network import FEATURE_STRIDE
from c2m_tf.network.tensors import Tensor
from c2m_tf.network.upsampling import SCALE

TRIPLET_MARGIN = 1.0
SAFE_RADIUS = 4  # cells; a negative nearer than this to the true match is no negative
FEWEST_CELLS = 128  # a pair with fewer usable cells is skipped
IMAGE_BORDER = 10  # pixels; targets nearer to the border than this are not used
DISTILLATION_TEMPERATURE = 0.15
DISTILLATION_WEIGHT = 15.0
PERCEPTUAL_WEIGHT = 1e-4
ADVERSARIAL_WEIGHT = 1e-6
GRADIENT_PENALTY_WEIGHT = 10.0

_TOO_NEAR = 10.0  # added to the squared distance (at most 4) of cells within the safe radius
_EXCLUDED = 1e4  # added to what must never be chosen or counted


class Correspondence(NamedTuple):
    """True matches of the cells of image 1 in image 2; N = h*w cells, row-major.

    Attributes:
        target: int32 [B,N], the cell of image 2 that shows the same thing (0 where not usable).
        target_yx: float32 [B,N,2], the same as (y, x).
        usable: float32 [B,N], 1 where the target lies well inside image 2.
    """

    target: Tensor
    target_yx: Tensor
    usable: Tensor


class TripletLoss(NamedTuple):
    """Batch means over the pairs that are not skipped: the loss and the two distances that it weighs."""

    loss: Tensor
    positive_distance: Tensor
    negative_distance: Tensor


def contrastive_loss(photo: Tensor, reference: Tensor, cells: Tensor, temperature: float) -> Tensor:
    """InfoNCE over all cells of the reference: cross-entropy of the softmax of cosines against the true cell.

    Args:
        photo: [B,h,w,C], unit vectors.
        reference: [B,Y,X,C], unit vectors.
        cells: int32 [B,h,w], the true cell's index in row-major order, -1 where there is none.
        temperature: that cosines are divided by.

    Returns:
        float32 scalar, the mean over pixels that have a true cell.
    """
    channels = photo.shape[-1]
    photo, reference = (ops.cast(features, "float32") for features in (photo, reference))
    batch = ops.shape(cells)[0]
    cells = ops.reshape(cells, (batch, -1))
    photo, reference = (ops.reshape(features, (batch, -1, channels)) for features in (photo, reference))
    logits = ops.matmul(photo, ops.transpose(reference, (0, 2, 1))) / temperature
    known = ops.cast(cells >= 0, "float32")
    true = ops.take_along_axis(logits, ops.maximum(cells, 0)[..., None], axis=-1)[..., 0]
    entropy = ops.logsumexp(logits, axis=-1) - true
    return ops.sum(known * entropy) / ops.maximum(ops.sum(known), 1.0)


def correspondence(homography: Tensor, height: int, width: int) -> Correspondence:
    """Where each cell of image 1 lies in image 2, its homographic warp.

    Args:
        homography: float [B,3,3], maps pixels (x, y, 1) of image 1 to image 2, up to scale.
        height, width: size of the feature maps, in cells of 4 pixels.

    Returns:
        Correspondence. A cell is represented by its top-left pixel, as in the released code.
    """
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    pixels = np.stack([x.ravel(), y.ravel(), np.ones(height * width)], axis=0) * [[FEATURE_STRIDE], [FEATURE_STRIDE], [1]]
    mapped = ops.matmul(ops.cast(homography, "float32"), ops.convert_to_tensor(pixels, "float32"))
    target_x, target_y = mapped[:, 0] / mapped[:, 2], mapped[:, 1] / mapped[:, 2]
    usable = (
        (target_x > IMAGE_BORDER)
        & (target_x < FEATURE_STRIDE * width - IMAGE_BORDER)
        & (target_y > IMAGE_BORDER)
        & (target_y < FEATURE_STRIDE * height - IMAGE_BORDER)
    )
    usable = ops.cast(usable, "float32")
    cell_y = ops.round(ops.where(usable > 0, target_y, 0.0) / FEATURE_STRIDE)
    cell_x = ops.round(ops.where(usable > 0, target_x, 0.0) / FEATURE_STRIDE)
    target = ops.cast(cell_y * width + cell_x, "int32")
    return Correspondence(target, ops.stack([cell_y, cell_x], axis=-1), usable)


def triplet_loss(features1: Tensor, features2: Tensor, homography: Tensor) -> TripletLoss:
    """Margin triplet loss with the hardest negatives of both images (paper, eq. 2 and 3).

    Args:
        features1: float [B,h,w,C], extractor output of image 1 (not normalised).
        features2: float [B,h,w,C], of its warp.
        homography: float [B,3,3], see `correspondence`.

    Returns:
        TripletLoss of float32 scalars. Pairs with fewer than 128 usable cells do not count; if none is left, all are 0.
    """
    height, width = features1.shape[1:3]
    truth = correspondence(homography, height, width)
    similarity = _similarity(features1, features2, truth)
    distance = 2.0 - 2.0 * similarity  # [B, cell of image 1, matched cell of image 2]

    positive = ops.diagonal(distance, axis1=1, axis2=2)
    cells = ops.convert_to_tensor(np.stack(np.divmod(np.arange(height * width), width), -1)[None], "float32")
    near1 = _within_safe_radius(cells)
    near2 = _within_safe_radius(truth.target_yx)
    unusable = (1.0 - truth.usable) * _EXCLUDED
    negative1 = ops.min(distance + _TOO_NEAR * near1, axis=1)
    negative2 = ops.min(distance + _TOO_NEAR * near2 + unusable[:, None, :], axis=2)
    negative = ops.minimum(negative1, negative2)

    loss = ops.relu(TRIPLET_MARGIN + positive - negative)
    means = [_mean_over_pairs(values, truth.usable) for values in (loss, positive, negative)]
    return TripletLoss(*means)


def correlation_distillation(
    student1: Tensor, student2: Tensor, teacher1: Tensor, teacher2: Tensor, homography: Tensor
) -> Tensor:
    """Kullback-Leibler divergence from the teacher's to the student's matching distribution (paper, eq. 5 and 6).

    Args:
        student1, student2: float [B,h,w,C], features of the upsampled LR image and of the reference, by the student.
        teacher1, teacher2: float [B,h,w,C], features of the HR image and of the reference, by the teacher.
        homography: float [B,3,3], see `correspondence`.

    Returns:
        float32 scalar, not yet weighted by `DISTILLATION_WEIGHT`.
    """
    height, width = student1.shape[1:3]
    truth = correspondence(homography, height, width)
    excluded = ((1.0 - truth.usable) * _EXCLUDED)[:, None, :]
    of_student = ops.log_softmax(_similarity(student1, student2, truth) / DISTILLATION_TEMPERATURE - excluded)
    of_teacher = ops.log_softmax(_similarity(teacher1, teacher2, truth) / DISTILLATION_TEMPERATURE - excluded)
    divergence = ops.sum(ops.exp(of_teacher) * (of_teacher - of_student), axis=2)
    return _mean_over_pairs(divergence, truth.usable)


def l1_loss(hr: Tensor, sr: Tensor) -> Tensor:
    """Mean absolute difference over all elements, float32 scalar."""
    return ops.mean(ops.abs(ops.cast(hr, "float32") - ops.cast(sr, "float32")))


def l2_loss(hr: Tensor, sr: Tensor) -> Tensor:
    """Mean squared difference over all elements, float32 scalar; what PSNR measures."""
    return ops.mean(ops.square(ops.cast(hr, "float32") - ops.cast(sr, "float32")))


def charbonnier_loss(hr: Tensor, sr: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt(difference^2 + epsilon^2), float32 scalar: L1 above epsilon, smooth below (Lai et al., LapSRN, 2018)."""
    difference = ops.cast(hr, "float32") - ops.cast(sr, "float32")
    return ops.mean(ops.sqrt(ops.square(difference) + epsilon**2))


# What the recipes' key `pixel_loss` names.
PIXEL_LOSSES = {"l1": l1_loss, "l2": l2_loss, "charbonnier": charbonnier_loss}


def perceptual_loss(hr_features: Tensor, sr_features: Tensor) -> Tensor:
    """Frobenius norm of the difference of VGG activations over the whole batch, weighted by 1e-4.

    The released code does not divide by the number of elements as the paper's eq. 8 does, so the value grows with the
    square root of batch and area.

    Args:
        hr_features, sr_features: float [B,h,w,C], see `features.perceptual_stem`.

    Returns:
        float32 scalar.
    """
    difference = ops.cast(hr_features, "float32") - ops.cast(sr_features, "float32")
    # The smallest normal number keeps the gradient finite where both are equal.
    return PERCEPTUAL_WEIGHT * ops.sqrt(ops.sum(ops.square(difference)) + 1e-30)


def grid_loss(hr: Tensor, sr: Tensor) -> Tensor:
    """How far the mean error depends on the place within the blocks of 4x4 pixels that one LR pixel becomes.

    Not part of the published training. The pixels of a block come from different channels, and full-resolution features differ
    from place to place in a block until the last convolutions even that out. Adversarial training finds in these differences
    its easiest fine contrast, and flat areas get a grid; neither critic nor VGG holds against it in a short run.

    Args:
        hr, sr: float [B,4h,4w,3].

    Returns:
        float32 scalar, 0 where no place is preferred; of a pattern of period 2 or 4 about its mean amplitude.
    """
    error = ops.cast(sr, "float32") - ops.cast(hr, "float32")
    _, height, width, channels = ops.shape(error)
    blocks = ops.reshape(error, (-1, height // SCALE, SCALE, width // SCALE, SCALE, channels))
    places = ops.mean(blocks, axis=(1, 3))
    return ops.mean(ops.abs(places - ops.mean(places, axis=(1, 2), keepdims=True)))


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """WGAN loss of the critic, mean(fake) - mean(real), without the penalty; values [B,1] of the critic."""
    return ops.mean(fake) - ops.mean(real)


def gradient_penalty(gradients: Tensor) -> Tensor:
    """10 * mean over the batch of (norm - 1)^2 (Gulrajani et al., 2017, eq. 3).

    Args:
        gradients: float [B,H,W,3], of the critic's value with respect to a * HR + (1 - a) * SR, one a in [0, 1) an image.

    Returns:
        float32 scalar.
    """
    norm = ops.sqrt(ops.sum(ops.square(gradients), axis=(1, 2, 3)) + 1e-30)
    return GRADIENT_PENALTY_WEIGHT * ops.mean(ops.square(norm - 1.0))


def adversarial_loss(fake: Tensor) -> Tensor:
    """-1e-6 * mean of the critic's values [B,1] on SR photos."""
    return -ADVERSARIAL_WEIGHT * ops.mean(fake)


def _similarity(features1: Tensor, features2: Tensor, truth: Correspondence) -> Tensor:
    """Cosine of each cell of image 1 with each cell's true match in image 2: float32 [B,N,N]."""
    cells = features1.shape[1] * features1.shape[2]
    first = _unit(ops.reshape(features1, (-1, cells, features1.shape[-1])))
    second = _unit(ops.reshape(features2, (-1, cells, features2.shape[-1])))
    matched = ops.take_along_axis(second, truth.target[..., None], axis=1)
    return ops.matmul(first, ops.transpose(matched, (0, 2, 1)))


def _unit(features: Tensor) -> Tensor:
    features = ops.cast(features, "float32")
    return features * ops.rsqrt(ops.maximum(ops.sum(ops.square(features), axis=-1, keepdims=True), 1e-24))


def _within_safe_radius(cells: Tensor) -> Tensor:
    """1 where two of the cells [B,N,2] are at most `SAFE_RADIUS` apart along both axes: float32 [B,N,N]."""
    apart = ops.max(ops.abs(cells[:, :, None] - cells[:, None, :]), axis=-1)
    return ops.cast(apart <= SAFE_RADIUS, "float32")


def _mean_over_pairs(values: Tensor, usable: Tensor) -> Tensor:
    """Mean over usable cells, then over the pairs that have enough of them."""
    count = ops.sum(usable, axis=1)
    of_pair = ops.sum(values * usable, axis=1) / ops.maximum(count, 1.0)
    counted = ops.cast(count >= FEWEST_CELLS, "float32")
    return ops.sum(of_pair * counted) / ops.maximum(ops.sum(counted), 1.0)
