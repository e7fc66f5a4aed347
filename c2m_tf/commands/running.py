"""Runs a command line: errors are one line on standard error, and exit codes tell their kinds apart."""

import argparse
import os
import signal
import sys
import threading
import warnings

from c2m_tf.renamed import RenamedWarning
from c2m_tf.startup import one_line, open_standard_streams

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


def run(parser: argparse.ArgumentParser, arguments: list[str] | None, name: str) -> int:
    """Parses arguments and runs the command that they name.

    Args:
        parser: its commands set `run`, a function of the options that returns the exit code.
        arguments: None for those of the process.
        name: prefix of error messages.

    Returns:
        The command's exit code; 2 for wrong input, 130 if interrupted. Wrong arguments end the process with 2.
    """
    open_standard_streams()
    warnings.formatwarning = _format_warning
    options = parser.parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        # So that `finally` blocks run and leave no half-written file.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    code = _code_of(options, name)
    try:
        sys.stdout.flush()
    except OSError as error:  # a full disk, or a reader that left
        # Python would try again when the process ends, and end it with a code and words of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if code == 0:
            print(f"{name}: standard output: {error.strerror}", file=sys.stderr)
            return 2
    return code


def _format_warning(message, category, filename, lineno, line=None):
    """A renamed thing is the user's to know, in a line; other warnings are for developers, as Python formats them."""
    if issubclass(category, RenamedWarning):
        return f"c2m-tf: {message}\n"
    return _PYTHONS_FORMAT(message, category, filename, lineno, line)


def _code_of(options, name):
    """Runs the command; reports its error, if there is one."""
    try:
        return options.run(options)
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"{name}: {one_line(reason if error.filename is None else f'{error.filename}: {reason}')}", file=sys.stderr)
        return 2
    except MemoryError:
        print(f"{name}: there is not enough memory; use smaller photos, or allow less (--max-memory)", file=sys.stderr)
        return 2
    except (ValueError, ImportError) as error:
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        return 2
    except CommandFailedError as error:
        print(f"{name}: {one_line(error)}", file=sys.stderr, flush=True)
        if error.at_once:
            os._exit(error.code)
        return error.code
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
