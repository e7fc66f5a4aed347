"""Averages of weights, and random numbers, of a trainer with two optimizers, as adversarial training has them."""

import keras
import numpy as np
import pytest
from c2m_tf.training.adversarial import AdversarialTrainer
from c2m_tf.training.optimizers import GroupedAdam
from tiny_models import tiny_model

MOMENTUM = 0.5


class TwoNetworks(keras.Model):
    """A network and a critic, the critic first in the list of what is trained; each batch trains both."""

    def __init__(self):
        super().__init__()
        self.critic = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        self.network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        self.critic_optimizer = keras.optimizers.SGD(0.1)
        self.critic_optimizer.build(self.critic.trainable_variables)
        self.built = True

    def train_step(self, data):
        for optimizer, variables in (
            (self.optimizer, self.network.trainable_variables),
            (self.critic_optimizer, self.critic.trainable_variables),
        ):
            optimizer.apply_gradients([(keras.ops.ones_like(variable), variable) for variable in variables])
        return {"loss": keras.ops.sum(data)}


class Seen(keras.callbacks.Callback):
    """Weights after each batch."""

    def on_train_begin(self, logs=None):
        self.network, self.critic = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.network.append(self.model.network.get_weights())
        self.critic.append(self.model.critic.get_weights())


def test_after_fit_the_network_has_its_averages_and_the_critic_its_own_weights():
    model, seen = TwoNetworks(), Seen()
    model.compile(GroupedAdam(0.1, use_ema=True, ema_momentum=MOMENTUM), run_eagerly=True)
    model.optimizer.build(model.network.trainable_variables)
    model.fit(np.ones((2, 1), np.float32), batch_size=1, verbose=0, callbacks=[seen])
    for first, second, found in zip(*seen.network, model.network.get_weights(), strict=True):
        assert not np.array_equal(first, second)
        np.testing.assert_allclose(found, MOMENTUM * first + (1 - MOMENTUM) * second, rtol=1e-6)
    for last, found in zip(seen.critic[-1], model.critic.get_weights(), strict=True):
        np.testing.assert_array_equal(found, last)


@pytest.mark.parametrize("seed", [3, 4])
def test_points_of_the_gradient_penalty_follow_the_seed(seed):
    network = tiny_model()
    part = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    draws = [
        keras.ops.convert_to_numpy(keras.random.uniform((4,), seed=AdversarialTrainer(network, part, part, seed=each).random))
        for each in (seed, seed, seed + 10)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
