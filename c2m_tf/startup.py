"""What every command line needs first: open standard streams, Keras started quietly, and errors as one line."""

import logging
import os
import sys
import tempfile

from c2m_tf.machine import usable_cores


def open_standard_streams() -> None:
    """Opens the null device in the place of standard streams that are closed, as some daemons and cron jobs leave them.

    Else the next file that is opened would take the place, and whatever is written to standard error would land in it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def start_keras() -> None:
    """Imports Keras and runs a first operation while standard error is held back.

    TensorFlow remarks on its build and on missing GPUs there, past all its settings; that would bury the one line that
    matters. If starting fails, what was held back is printed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # By itself TensorFlow counts a host's cores where a container may use fewer, and takes all of a GPU's memory.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(usable_cores()))
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import keras

            # What ~/.keras/keras.json sets for other projects; a command line has the process to itself.
            keras.config.set_floatx("float32")
            keras.config.set_image_data_format("channels_last")
            keras.ops.zeros(1)
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
