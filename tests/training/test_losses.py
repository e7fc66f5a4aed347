"""Losses and their gradients equal the published ones."""

import numpy as np
import pytest
import tensorflow as tf
from c2m_tf.training import losses
from golden_models import KEYS, golden, state

from c2m_tf.network.discriminator import discriminator
from c2m_tf.network.features import perceptual_stem
from c2m_tf.weights import checkpoints

RELATIVE = 1e-4


def close(actual, expected):
    """Equal up to 1e-4 of the largest magnitude."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=0, atol=RELATIVE * np.abs(expected).max())


def test_triplet_loss_and_gradients():
    arrays = golden("contrastive_losses")
    features = [tf.Variable(arrays["student1"]), tf.Variable(arrays["student2"])]
    with tf.GradientTape() as tape:
        triplet = losses.triplet_loss(*features, arrays["homography"])
    close(triplet.loss, arrays["triplet_loss"])
    close(triplet.positive_distance, arrays["positive_distance"])
    close(triplet.negative_distance, arrays["negative_distance"])
    for gradient, name in zip(tape.gradient(triplet.loss, features), ("triplet_grad1", "triplet_grad2"), strict=True):
        close(gradient, arrays[name])


def test_student_loss_and_gradients():
    arrays = golden("contrastive_losses")
    features = [tf.Variable(arrays["student1"]), tf.Variable(arrays["student2"])]
    with tf.GradientTape() as tape:
        distillation = losses.correlation_distillation(*features, arrays["teacher1"], arrays["teacher2"], arrays["homography"])
        triplet = losses.triplet_loss(*features, arrays["homography"]).loss
        total = triplet + losses.DISTILLATION_WEIGHT * distillation
    close(distillation, arrays["distillation_kl"])
    close(total, arrays["student_loss"])
    for gradient, name in zip(tape.gradient(total, features), ("student_grad1", "student_grad2"), strict=True):
        close(gradient, arrays[name])


def test_a_pair_with_too_few_cells_does_not_count():
    arrays = golden("contrastive_losses")
    far_away = np.array([[1, 0, 1e4], [0, 1, 0], [0, 0, 1]])
    homography = np.stack([arrays["homography"][0], far_away])
    alone = losses.triplet_loss(arrays["student1"][:1], arrays["student2"][:1], arrays["homography"][:1])
    both = losses.triplet_loss(arrays["student1"], arrays["student2"], homography)
    close(both.loss, alone.loss)
    nothing = losses.triplet_loss(arrays["student1"], arrays["student2"], np.stack([far_away, far_away]))
    assert float(nothing.loss) == 0


def test_l1_and_perceptual_loss_and_gradient():
    arrays = golden("adversarial_losses")
    stem = perceptual_stem("relu5_1")
    checkpoints.load_vgg_stem(stem, state("vgg19_relu5_1"))
    sr = tf.Variable(arrays["sr"])
    with tf.GradientTape() as tape:
        loss = losses.perceptual_loss(stem(arrays["hr"]), stem(sr))
    close(loss, arrays["perceptual"])
    close(tape.gradient(loss, sr), arrays["perceptual_grad"])
    close(losses.l1_loss(arrays["hr"], arrays["sr"]), arrays["l1"])


def test_grid_loss_is_the_amplitude_of_a_pattern_and_nothing_else(rng):
    hr = rng.random((2, 32, 40, 3), np.float32)
    columns = np.arange(40)
    assert float(losses.grid_loss(hr, hr + 0.1)) < 1e-6
    for period in (2, 4):
        pattern = np.where(columns % period < period // 2, 0.02, -0.02)[:, None]
        np.testing.assert_allclose(float(losses.grid_loss(hr, hr + np.float32(pattern))), 0.02, atol=1e-5)
    # Of a period that the blocks do not have.
    assert float(losses.grid_loss(hr, hr + np.float32(0.02 * np.sin(columns * 2 * np.pi / 5))[:, None])) < 1e-5


def test_perceptual_loss_of_equal_photos_has_a_finite_gradient():
    features = tf.Variable(np.ones((1, 2, 2, 3), np.float32))
    with tf.GradientTape() as tape:
        loss = losses.perceptual_loss(tf.ones((1, 2, 2, 3)), features)
    assert np.isfinite(tape.gradient(loss, features)).all()


@pytest.fixture(scope="module")
def critic():
    """The published critic in float64: in float32 single LeakyReLU inputs round to the other side of zero."""
    network = discriminator(published=True, dtype="float64")
    checkpoints.load_discriminator(network, state("discriminator"))
    return network


def test_critic_loss_gradient_penalty_and_gradients(critic):
    arrays = golden("adversarial_losses")
    hr, sr = arrays["hr"].astype(np.float64), arrays["sr"].astype(np.float64)
    alpha = arrays["alpha"].reshape(-1, 1, 1, 1)
    mixed = tf.Variable(alpha * hr + (1 - alpha) * sr)
    with tf.GradientTape() as tape:
        real, fake = critic(hr, training=True), critic(sr, training=True)
        with tf.GradientTape() as inner:
            value = tf.reduce_sum(critic(mixed, training=True))
        penalty = losses.gradient_penalty(inner.gradient(value, mixed))
        total = losses.critic_loss(real, fake) + tf.cast(penalty, real.dtype)
    gradients = tape.gradient(total, critic.trainable_variables)
    close(real[:, 0], arrays["critic_real"])
    close(fake[:, 0], arrays["critic_fake"])
    close(losses.critic_loss(real, fake), arrays["critic_loss_real"] + arrays["critic_loss_fake"])
    close(penalty, arrays["gradient_penalty"])

    published = {name.replace(".", "_"): name for name, _ in KEYS["discriminator"]}
    kinds = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}
    for variable, gradient in zip(critic.trainable_variables, gradients, strict=True):
        *_, layer, kind = variable.path.split("/")
        name = published[f"{layer}_{kinds[kind]}"]
        expected = arrays[f"critic_grad_norm/{name}"]
        # The golden norms are float32 sums over a second derivative. Biases before a batch normalisation have no gradient.
        assert abs(np.linalg.norm(gradient) - expected) < 3 * RELATIVE * expected + 1e-5, name
        if name == "conv_block1.0.weight":
            close(gradient, arrays["critic_grad/conv_block1.0.weight"].transpose(2, 3, 1, 0))


def test_adversarial_loss_and_gradient(critic):
    arrays = golden("adversarial_losses")
    sr = tf.Variable(arrays["sr"].astype(np.float64))
    with tf.GradientTape() as tape:
        loss = losses.adversarial_loss(critic(sr, training=True))
    close(loss, arrays["adversarial"])
    close(tape.gradient(loss, sr), arrays["adversarial_grad"])
