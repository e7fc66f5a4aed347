"""What a stage builds for `fitting.fit_run`, besides its data."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras


class Parts(NamedTuple):
    """The models of a run.

    Attributes:
        trainer: the keras.Model that `fit` is called on, compiled, its optimizer built.
        trained: the part of it that the stage makes.
        product: a copy of that in float32, for validation and files.
        callbacks: what the trainer needs besides the recorder, a function of the first iteration; None for nothing.
    """

    trainer: keras.Model
    trained: keras.Model
    product: keras.Model
    callbacks: Callable[[int], Sequence[keras.callbacks.Callback]] | None = None
