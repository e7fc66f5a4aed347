"""Runs a command line: errors are one line on standard error, and exit codes tell their kinds apart."""

import argparse
import os
import signal
import sys
import threading
import warnings

from c2m_tf.renamed import RenamedWarning
from c2m_tf.startup import choose_device, ending_signals, limit_threads, one_line, open_standard_streams, warn

_PYTHONS_FORMAT = warnings.formatwarning


class CommandFailedError(Exception):
    """A failed command with its own exit code.

    Attributes:
        code: exit code.
        at_once: whether the process ends without what else runs at its end, where it would wait for others that wait for it.
    """

    def __init__(self, message: str, code: int, at_once: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.at_once = at_once


def run(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    """Parses arguments and runs the command that they name.

    Args:
        parser: its commands set `run`, a function of the options that returns the exit code.
        arguments: None for those of the process.

    Returns:
        The command's exit code; 2 for wrong input, 130 if interrupted. Wrong arguments end the process with 2.
    """
    open_standard_streams()
    warnings.formatwarning = _format_warning
    options = parser.parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        for number in ending_signals():
            signal.signal(number, _end)
    code = _code_of(options)
    try:
        sys.stdout.flush()
    except OSError as error:  # a full disk, or a reader that left
        # Python would try again when the process ends, and end it with a code and words of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if code == 0:
            warn(f"standard output: {error.strerror}")
            return 2
    return code


def _format_warning(message, category, filename, lineno, line=None):
    """A renamed thing is the user's to know, in a line; other warnings are for developers, as Python formats them."""
    if issubclass(category, RenamedWarning):
        return f"c2m-tf: {one_line(message)}\n"
    return _PYTHONS_FORMAT(message, category, filename, lineno, line)


def _end(number, frame):
    """Ends the process, so that `finally` blocks run, which leave no half-written file and finish reports.

    What asks again is ignored: a terminal that is closed does so, and would end these blocks.
    """
    for each in ending_signals():
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _code_of(options):
    """Runs the command; reports its error, if there is one."""
    try:
        # Before any command imports what starts the backend.
        if getattr(options, "threads", None) is not None:
            limit_threads(options.threads)
        if getattr(options, "device", None) is not None:
            choose_device(options.device)
        return options.run(options)
    except OSError as error:
        reason = error.strerror or str(error)
        warn(reason if error.filename is None else f"{error.filename}: {reason}")
        return 2
    except MemoryError:
        warn("there is not enough memory; use smaller photos, or allow less (--max-memory)")
        return 2
    except (ValueError, ImportError) as error:
        warn(error)
        return 2
    except CommandFailedError as error:
        warn(error)
        if error.at_once:
            os._exit(error.code)
        return error.code
    except KeyboardInterrupt:
        warn("interrupted")
        return 130
