"""Adam with a learning rate per group of variables, and the schedules of the recipes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from c2m_tf.network.tensors import Tensor


@keras.saving.register_keras_serializable("c2m_tf.training")
class GroupedAdam(keras.optimizers.Adam):
    """Adam in which groups of variables learn more slowly, or faster, than the rest.

    Args:
        factors: {text: factor}: the learning rate of variables whose path contains the text is multiplied by the factor. The
            first text that fits counts.
        others: as of keras.optimizers.Adam.
    """

    def __init__(self, *arguments: Any, factors: Mapping[str, float] | None = None, **others: Any) -> None:
        super().__init__(*arguments, **others)
        self.factors = dict(factors or {})
        self._factor_by_index: list[float] = []

    def factor_of(self, path: str) -> float:
        """What the learning rate of the variable of that path is multiplied by."""
        return next((factor for text, factor in self.factors.items() if text in path), 1.0)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        super().build(variables)
        self._factor_by_index = [self.factor_of(variable.path) for variable in variables]

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
        # On TensorFlow `variable` is a bare tf.Variable without a path. Keras's own optimizers find its index in this way too.
        factor = self._factor_by_index[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """Gives the variables that this optimizer trains their averages, if it averages.

        Keras calls this at the end of `fit` with all that the model trains, and takes averages by their positions: of a model
        with two optimizers, as of an adversarial trainer, that list is another one.

        Args:
            var_list: variables among which are all that this optimizer trains; others stay as they are.
        """
        del var_list
        super().finalize_variable_values(self._trainable_variables)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factors": self.factors}


@keras.saving.register_keras_serializable("c2m_tf.training")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then the full learning rate, then decay.

    Args:
        learning_rate: the full rate.
        iterations: length of the run.
        warmup: iterations in which the rate rises from near 0.
        cosine_from: share of the run after which the rate falls to 0 along half a cosine; 1 means never.
        milestones: iterations after which the rate is multiplied by 0.1 each time.
    """

    def __init__(
        self,
        learning_rate: float,
        iterations: int,
        warmup: int = 0,
        cosine_from: float = 1.0,
        milestones: Sequence[int] = (),
    ) -> None:
        self.learning_rate = learning_rate
        self.iterations = iterations
        self.warmup = warmup
        self.cosine_from = cosine_from
        self.milestones = tuple(milestones)

    def __call__(self, step: Tensor) -> Tensor:
        """Learning rate of the iteration that follows `step` finished ones, float32 scalar."""
        step = ops.cast(step, "float32")
        rate = self.learning_rate * ops.minimum(1.0, (step + 1.0) / max(1, self.warmup))
        for milestone in self.milestones:
            rate = rate * ops.where(step >= milestone, 0.1, 1.0)
        decaying = self.iterations * (1.0 - self.cosine_from)
        if decaying > 0:
            progress = ops.clip((step - self.iterations * self.cosine_from) / decaying, 0.0, 1.0)
            rate = rate * 0.5 * (1.0 + ops.cos(math.pi * progress))
        return rate

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "iterations": self.iterations,
            "warmup": self.warmup,
            "cosine_from": self.cosine_from,
            "milestones": list(self.milestones),
        }
