"""Runs a command line: arguments as users write them, progress bars, errors in one line, exit codes that tell kinds apart."""

import argparse
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from c2m_tf.photos.files import local_path
from c2m_tf.presets import RenamedWarning
from c2m_tf.startup import choose_device, ending_signals, limit_threads, one_line, open_standard_streams, warn

Item = TypeVar("Item")

_PYTHONS_FORMAT = warnings.formatwarning


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose options, and those of its commands, are given once; of lists action="extend" takes several.

    Text without a type is read by `files.local_path`, since nearly all of it names files: shells leave ~ in --option=~/file.
    Empty text, which a variable that is not set leaves, is refused: as a path it would be the working folder.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", None, _path)
        for name in (None, "store"):
            self.register("action", name, _Once)
        self.register("action", "parsers", _Commands)

    def error(self, message: str) -> NoReturn:
        """Ends the process with the message, which may hold names of files."""
        super().error(one_line(message))


def _path(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("is empty; give a name, or leave it out")
    return local_path(text)


class _Commands(argparse._SubParsersAction):
    """Commands, before whose names no option stands: they may have options of that name, whose defaults would replace it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.type = str  # what follows the name is read by the command's own parser

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        for action in parser._actions:
            if getattr(namespace, action.dest, action.default) != action.default:
                option, command = action.option_strings[-1], values[0]
                raise argparse.ArgumentError(None, f"{option} stands before {command}; give it after that, or leave one out")
        super().__call__(parser, namespace, values, option_string)


class _Once(argparse.Action):
    """Stores a value, and refuses a second one."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        given: Sequence[str] = getattr(namespace, "given", ())
        if self.dest in given:
            raise argparse.ArgumentError(self, "is given twice; give it once")
        namespace.given = [*given, self.dest]
        setattr(namespace, self.dest, values)


def track(items: Iterable[Item], title: str, total: int | None = None) -> Iterable[Item]:
    """Iterates over the items with a progress bar; `total` is their number where it cannot be asked for."""
    from rich import progress
    from rich.console import Console

    return progress.track(items, description=title, total=total, console=Console(stderr=True))


@contextmanager
def step_progress() -> Iterator[Callable[[int, int], None]]:
    """A callback of (steps done, steps in all) that draws a bar on a terminal, with the time that has passed and is left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:  # it would write an empty line at the end
        yield lambda done, total: None
        return
    columns = (TextColumn("upscaling"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("upscaling", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


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


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A renamed thing is the user's to know, in a line; other warnings are for developers, as Python formats them."""
    if issubclass(category, RenamedWarning):
        return f"c2m-tf: {one_line(message)}\n"
    return _PYTHONS_FORMAT(message, category, filename, lineno, line)


def _end(number: int, frame: Any) -> NoReturn:
    """Ends the process, so that `finally` blocks run, which leave no half-written file and finish reports.

    What asks again is ignored: a terminal that is closed does so, and would end these blocks.
    """
    for each in ending_signals():
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _code_of(options: argparse.Namespace) -> int:
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
