"""The critic, published and default."""

import keras
import numpy as np

from c2m_tf.network.discriminator import PUBLISHED_PARAMETERS, discriminator


def test_published_discriminator_has_its_parameters():
    critic = discriminator(published=True)
    assert sum(int(np.prod(weight.shape)) for weight in critic.trainable_weights) == PUBLISHED_PARAMETERS == 5_242_529


def test_default_discriminator_has_no_batch_statistics_and_no_bound():
    critic = discriminator()
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in critic.layers)
    assert not critic.non_trainable_weights
    photos = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    values = np.asarray(critic(photos * 1e6))
    assert values.shape == (2, 1)
    assert np.abs(values).max() > 1
