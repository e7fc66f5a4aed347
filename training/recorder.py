"""The callback that accompanies `fit`: progress, log, validation, checkpoints, and when to stop."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .distribution import ALONE, Group
from .events import Events
from .parts import Parts
from .runs import Run, RunFailedError


class Recorder(keras.callbacks.Callback):
    """Accompanies one call of `fit`, whose one epoch is the rest of the run.

    Args:
        run: folder to write to.
        config: the run's config.
        parts: the run's models; the product gets the trained weights before each use.
        first_iteration: iterations done before.
        save_product: writes the product, called with "best" or "last".
        validation: object with `judged_by` and `measure(product)`, or None.
        group: the processes that train together; the one that leads validates, writes and shows.
    """

    def __init__(
        self,
        run: Run,
        config: Any,
        parts: Parts,
        first_iteration: int,
        save_product: Callable[[str], None],
        validation: Any = None,
        group: Group = ALONE,
    ) -> None:
        super().__init__()
        self.run = run
        self.config = config
        self.iteration = self.saved_iteration = first_iteration
        self.validation = validation
        self.product = parts.product
        self.trained = parts.trained
        self.save_product = save_product
        self.group = group
        self.stop_signal: int | None = None  # that this process got
        self.stopped_by: int | None = None  # that stops all processes after this iteration
        self._first_iteration = first_iteration
        self._events = Events(run.folder, first_iteration) if group.leads else None
        self._latest = ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not group.leads,
        )

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._started = time.monotonic()
        self._task = self._progress.add_task("training", total=self.config.iterations, completed=self._first_iteration)
        self._progress.start()
        if self._first_iteration == 0 and self.validation is not None and getattr(self.config.validation, "at_start", False):
            with self.group.apart():
                self._write({"iteration": 0} | self._validate())

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.group.spread(self.model.metrics_variables)  # which `fit` has just reset

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        with self.group.apart():
            self._record(batch, logs or {})

    def on_train_end(self, logs: dict | None = None) -> None:
        self.group.largest(0)  # the others wait here while one writes: JAX's own wait at the end is short

    def save(self) -> None:
        """Writes the state that the run can resume from, and what the stage made so far."""
        self.saved_iteration = self.iteration
        if not self.group.leads:
            return
        self._synchronize()
        self.run.save_weights(self.model)
        self._fill_product()
        self.save_product("last")

    def close(self) -> None:
        """Ends progress bar and TensorBoard file, also after an error."""
        self._progress.stop()
        if self._events is not None:
            self._events.close()

    def _record(self, batch, logs):
        self.iteration = self._first_iteration + batch + 1
        self._check_finite(logs)
        # Asked for once: a signal that comes later is for the next iteration.
        self.stopped_by = self.group.largest(self.stop_signal or 0) or None
        last = self.iteration == self.config.iterations or self.stopped_by is not None
        row = {}
        if self.iteration % self.config.log_every == 0 or last:
            row = self._log_row(logs)
        if self.validation is not None and self._due(self.config.validation.every):
            row = (row or self._log_row(logs)) | self._validate()
        if row:
            self._write(row)
        if self.iteration % self.config.save_every == 0 or last:
            self.save()
        self._progress.update(self._task, completed=self.iteration, description=f"loss {logs['loss']:.4f} {self._latest}")
        if self.stopped_by is not None:
            self.model.stop_training = True

    def _due(self, every):
        return self.iteration % every == 0 or self.iteration == self.config.iterations

    def _check_finite(self, logs):
        if not math.isfinite(logs["loss"]):
            raise RunFailedError(
                f"the loss became {logs['loss']} at iteration {self.iteration}; the state of iteration {self.saved_iteration} "
                f"is kept; lower optimizer.learning_rate and start a new run"
            )

    def _log_row(self, logs):
        """Means since the line before: Keras reports means since its metrics were reset, which is done with every line.

        A mean over the whole run, in float32, would not show what single iterations add to it.
        """
        means = {name: float(value) for name, value in logs.items()}
        self._synchronize()
        self.model.reset_metrics()
        self.group.spread(self.model.metrics_variables)
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = (time.monotonic() - self._started) / (self.iteration - self._first_iteration)
        return {"iteration": self.iteration, "learning_rate": rate, "seconds_per_iteration": seconds} | means

    def _write(self, row):
        self.run.write_log(row)
        if self._events is not None:
            self._events.scalars(self.iteration, {key: value for key, value in row.items() if key != "iteration"})

    def _validate(self):
        if not self.group.leads:
            return {}
        self._synchronize()
        self._fill_product()
        best = self.run.best(self.validation.judged_by)
        figures, picture = self.validation.measure(self.product)
        if picture is not None and self._events is not None:
            self._events.picture(self.iteration, "validation", picture)
        value = figures[self.validation.judged_by]
        self._latest = f"{self.validation.judged_by} {value:.4g}"
        if best is None or value > best:
            self.save_product("best")
        return figures

    def _fill_product(self):
        """Gives the product the trained weights, averaged ones if the run averages."""
        optimizer = self.model.optimizer
        if not optimizer.use_ema or self.iteration == 0:  # averages begin with the first iteration
            self.product.set_weights(self.trained.get_weights())
            return
        variables = self.trained.trainable_variables  # of an adversarial trainer not the critic, which has another optimizer
        current = [np.copy(keras.ops.convert_to_numpy(variable)) for variable in variables]
        optimizer.finalize_variable_values(variables)
        self.product.set_weights(self.trained.get_weights())
        for variable, value in zip(variables, current, strict=True):
            variable.assign(value)
        self.group.spread(variables)

    def _synchronize(self):
        """On JAX the weights live in the training loop; this brings them back into the variables."""
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
