"""What every command line needs first: Keras started quietly, and errors as one line."""

import logging
import os
import sys
import tempfile


def start_keras() -> None:
    """Imports Keras and runs a first operation while standard error is held back.

    TensorFlow remarks on its build and on missing GPUs there, past all its settings; that would bury the one line that
    matters. If starting fails, what was held back is printed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import keras

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
