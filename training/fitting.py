"""One call of `fit`, from the saved state of a run to its end or until a signal."""

import signal
from collections.abc import Callable
from typing import Any

import keras

from c2m_tf.startup import ending_signals

from .distribution import ALONE, Group, losing_others
from .parts import Parts
from .recorder import Recorder
from .runs import Run


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


def _stopper(recorder):
    def stop(number, frame):
        recorder.stop_signal = number

    return stop
