"""Steps of a network that upscalers run, compiled once for photos of all sizes."""

from collections.abc import Callable
from typing import Any, TypeVar

import keras
import numpy as np

Shared = TypeVar("Shared", bound="Steps")


class Step(keras.Model):
    """A step of the network, compiled once for photos of all sizes.

    By itself Keras, on TensorFlow, compiles the first sizes that it sees as constants, and unknown ones for those that come
    later: their results differ in the last bits, so that a photo's result would depend on which came before.

    Args:
        network: whose variables the step uses.
        function: of arrays, or dicts of arrays, with a batch of one.
    """

    def __init__(self, network: keras.Model, function: Callable[[Any], Any]) -> None:
        super().__init__(name="step", autocast=False)
        self.network = network
        self._function = function
        self._graph: Callable[[Any], Any] | None = None
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self._function(inputs)

    def predict_on_batch(self, x: Any) -> Any:
        if keras.backend.backend() != "tensorflow":
            return super().predict_on_batch(x)
        if self._graph is None:
            self._graph = _graph(self, x)
        return keras.tree.map_structure(np.asarray, self._graph(x))


class Steps:
    """The steps of a model that upscalers run, each compiled when it is first used.

    Args:
        model: whose steps they are.
    """

    def __init__(self, model: keras.Model) -> None:
        raise NotImplementedError

    @classmethod
    def of(cls: type[Shared], model: keras.Model) -> Shared:
        """Those of a model, which all its upscalers share; kept with it, past Keras, which would take them for layers of it."""
        if "_upscaling_steps" not in model.__dict__:
            model.__dict__["_upscaling_steps"] = cls(model)
        return model.__dict__["_upscaling_steps"]


def _graph(step, example):
    """A TensorFlow function of inputs of the structure and types of an example, of any sizes."""
    import tensorflow as tf

    def signature(value):
        # Photos and features [1,h,w,channels], scores [1,h,w], candidates [h,w]; strengths and origins have one size.
        sizes = value.shape[:1] if value.ndim == 1 else (*value.shape[: min(1, value.ndim - 2)], None, None, *value.shape[3:])
        return tf.TensorSpec(sizes, value.dtype)

    return tf.function(step, input_signature=[keras.tree.map_structure(signature, example)], autograph=False)
