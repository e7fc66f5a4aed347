"""One call of `fit`, from the saved state of a run to its end or until a signal, and the callback that accompanies it.

The callback shows progress, logs, validates, saves, and says when to stop.
"""

import io
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from c2m_tf.startup import ending_signals

from .distribution import ALONE, Group, losing_others
from .runs import Run, RunFailedError


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


class Events:
    """Writes the event file of a run.

    Args:
        folder: run folder.
        first_iteration: TensorBoard forgets what earlier files of the folder say about later iterations.
    """

    def __init__(self, folder: str | os.PathLike, first_iteration: int = 0) -> None:
        self._writer = EventFileWriter(str(folder))
        start = SessionLog(status=SessionLog.START)
        self._writer.add_event(Event(wall_time=time.time(), step=first_iteration, session_log=start))

    def scalars(self, iteration: int, values: dict[str, float]) -> None:
        """Adds a point to the curve of each name."""
        self._add(iteration, [Summary.Value(tag=name, simple_value=value) for name, value in values.items()])

    def picture(self, iteration: int, name: str, pixels: np.ndarray) -> None:
        """Adds a picture, uint8 [H,W,3]."""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        height, width, channels = pixels.shape
        image = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=file.getvalue())
        self._add(iteration, [Summary.Value(tag=name, image=image)])

    def close(self) -> None:
        """Writes what is still buffered."""
        self._writer.close()

    def _add(self, iteration: int, values: Sequence[Summary.Value]) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=iteration, summary=Summary(value=values)))
        self._writer.flush()


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

    def _record(self, batch: int, logs: dict[str, Any]) -> None:
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

    def _due(self, every: int) -> bool:
        return self.iteration % every == 0 or self.iteration == self.config.iterations

    def _check_finite(self, logs: dict[str, Any]) -> None:
        if not math.isfinite(logs["loss"]):
            raise RunFailedError(
                f"the loss became {logs['loss']} at iteration {self.iteration}; the state of iteration {self.saved_iteration} "
                f"is kept; lower optimizer.learning_rate and start a new run"
            )

    def _log_row(self, logs: dict[str, Any]) -> dict[str, Any]:
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

    def _write(self, row: dict[str, Any]) -> None:
        self.run.write_log(row)
        if self._events is not None:
            self._events.scalars(self.iteration, {key: value for key, value in row.items() if key != "iteration"})

    def _validate(self) -> dict[str, float]:
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

    def _fill_product(self) -> None:
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

    def _synchronize(self) -> None:
        """On JAX the weights live in the training loop; this brings them back into the variables."""
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()


class RunStoppedError(Exception):
    """A signal stopped the run after its state was saved.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int, iteration: int) -> None:
        super().__init__(f"stopped at iteration {iteration}, state saved; the same command resumes from there")
        self.number = number


def fit_run(
    run: Run,
    config: Any,
    parts: Parts,
    batches: Callable[[int], keras.utils.PyDataset],
    save_product: Callable[[str], None],
    validation: Any = None,
    group: Group = ALONE,
) -> int:
    """Calls `trainer.fit` from the saved state to `config.iterations`.

    Args:
        run: folder; a state in it is resumed from.
        config: has `iterations`, `log_every`, `save_every`, and `validation.every` if there is a validation.
        parts: trainer, what of it is trained, and what the run makes.
        batches: the dataset that starts at a given iteration.
        save_product: writes the product, called with "best" or "last".
        validation, group: see `Recorder`.

    Returns:
        Iterations done.

    Raises:
        RunFailedError: the loss is not finite, or a checkpoint cannot be written.
        RunStoppedError: a signal stopped the run after its state was saved.
    """
    first_iteration = 0
    if run.state.exists():
        run.load_state(parts.trainer)
        first_iteration = int(keras.ops.convert_to_numpy(parts.trainer.optimizer.iterations))
    run.forget_after(first_iteration)
    if first_iteration >= config.iterations:
        return first_iteration
    recorder = Recorder(run, config, parts, first_iteration, save_product, validation, group)
    extra = parts.callbacks(first_iteration) if parts.callbacks else []
    previous = {number: signal.signal(number, _stopper(recorder)) for number in (*ending_signals(), signal.SIGINT)}
    try:
        with group.together(), losing_others(group):
            trainer = parts.trainer
            group.spread([*trainer.variables, *trainer.optimizer.variables, *trainer.metrics_variables])
            trainer.fit(batches(first_iteration), epochs=1, verbose=0, shuffle=False, callbacks=[*extra, recorder])
    finally:
        recorder.close()
        for number, handler in previous.items():
            signal.signal(number, handler)
    if recorder.stopped_by is not None and recorder.iteration < config.iterations:
        raise RunStoppedError(recorder.stopped_by, recorder.iteration)
    return recorder.iteration


def _stopper(recorder: Recorder) -> Callable[[int, Any], None]:
    def stop(number: int, frame: Any) -> None:
        recorder.stop_signal = number

    return stop
