"""Trainer of the restoration network by L1, perceptual and adversarial loss (WGAN with gradient penalty).

One step, as published: a forward pass; the critic learns from its result; then the network learns from the same result, judged
by the critic just updated. The first iterations go by L1 alone. TensorFlow only: the gradient penalty needs a tape in a tape.
Source: C2-Matching (CVPR 2021), section 3.4; Gulrajani et al., Improved Training of Wasserstein GANs (2017), algorithm 1.
"""

from typing import Any

import keras
import tensorflow as tf

from c2m_tf.network.model import C2Matching
from c2m_tf.network.tensors import Tensor

from . import losses
from .trainers import RestorationTrainer


class AdversarialTrainer(RestorationTrainer):
    """Trains a C2Matching model against a critic. Batches are those of `c2m_tf.training.datasets.ReferencePairs`.

    Args:
        network: C2Matching.
        critic: model of `c2m_tf.network.features`.
        perceptual: model of `c2m_tf.network.features.perceptual_stem`, with weights.
        pixel_weight, perceptual_weight, adversarial_weight: of the three losses; by default the published ones.
        grid_weight: of `losses.grid_loss`; by default 0, as published.
        seed: of the points between real and made photos at which the critic's gradient is penalized.
        others: as of `RestorationTrainer`.

    `pixel_only` is True while steps use L1 alone; after a change inside `fit` the step has to be traced again
    (`make_train_function(force=True)`), see `PixelOnlyStart`.
    """

    def __init__(
        self,
        network: C2Matching,
        critic: keras.Model,
        perceptual: keras.Model,
        pixel_weight: float = 1.0,
        perceptual_weight: float = losses.PERCEPTUAL_WEIGHT,
        adversarial_weight: float = losses.ADVERSARIAL_WEIGHT,
        grid_weight: float = 0.0,
        seed: int = 0,
        **others: Any,
    ) -> None:
        super().__init__(network, alone_weight=0.0, **others)
        self.critic = critic
        self.perceptual = perceptual
        self.perceptual.trainable = False
        self.pixel_weight = pixel_weight
        # The loss functions hold the published weights already.
        self.perceptual_factor = perceptual_weight / losses.PERCEPTUAL_WEIGHT
        self.adversarial_factor = adversarial_weight / losses.ADVERSARIAL_WEIGHT
        self.grid_weight = grid_weight
        self.pixel_only = False
        self.random = keras.random.SeedGenerator(seed)
        names = ("l1", "grid", "perceptual", "adversarial", "critic_loss", "gradient_penalty")
        self.trackers = {name: keras.metrics.Mean(name) for name in names}

    @property
    def network_variables(self) -> list[keras.Variable]:
        """What `optimizer` trains; the critic's variables are trained by `critic_optimizer`."""
        return self.network.trainable_variables

    def compile(self, optimizer: keras.optimizers.Optimizer, critic_optimizer: keras.optimizers.Optimizer) -> None:
        """Args: optimizer of the network, optimizer of the critic."""
        super().compile(optimizer=optimizer)
        self.critic_optimizer = critic_optimizer
        critic_optimizer.build(self.critic.trainable_variables)

    def train_step(self, data: Any) -> dict[str, Any]:
        inputs, hr, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            sr = self(inputs, training=True)
            terms = {"l1": self.pixel_weight * losses.l1_loss(hr, sr)}
            if self.grid_weight > 0:
                terms["grid"] = self.grid_weight * losses.grid_loss(hr, sr)
            of_critic = {}
            if not self.pixel_only:
                with tape.stop_recording():
                    of_critic = self._train_critic(hr, tf.stop_gradient(sr))
                    hr_features = self.perceptual(hr)
                terms["perceptual"] = self.perceptual_factor * losses.perceptual_loss(hr_features, self.perceptual(sr))
                terms["adversarial"] = self.adversarial_factor * losses.adversarial_loss(self.critic(sr, training=True))
            loss = sum(terms.values())
        variables = self.network_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        measured = terms | of_critic
        for name, tracker in self.trackers.items():
            tracker.update_state(measured.get(name, 0.0))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
        return self.get_metrics_result()

    def _train_critic(self, hr: Tensor, sr: Tensor) -> dict[str, Tensor]:
        alpha = keras.random.uniform((tf.shape(hr)[0], 1, 1, 1), seed=self.random)
        between = alpha * hr + (1.0 - alpha) * sr
        with tf.GradientTape() as tape:
            with tf.GradientTape() as inner:
                inner.watch(between)
                value = self.critic(between, training=True)
            penalty = losses.gradient_penalty(inner.gradient(value, between))
            loss = losses.critic_loss(self.critic(hr, training=True), self.critic(sr, training=True))
            total = loss + penalty
        variables = self.critic.trainable_variables
        self.critic_optimizer.apply_gradients(zip(tape.gradient(total, variables), variables, strict=True))
        return {"critic_loss": loss, "gradient_penalty": penalty}


class PixelOnlyStart(keras.callbacks.Callback):
    """Lets the first iterations of a run go by L1 alone.

    Args:
        until: the iteration, counted from 0, that is the first with critic and perceptual loss.
        first_iteration: iterations done before this `fit`.
    """

    def __init__(self, until: int, first_iteration: int = 0) -> None:
        super().__init__()
        self.until = until
        self.first_iteration = first_iteration

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        model.pixel_only = self.first_iteration < self.until

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if self.model.pixel_only and self.first_iteration + batch >= self.until:
            self.model.pixel_only = False
            self.model.make_train_function(force=True)
