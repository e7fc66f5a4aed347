"""Arguments of all commands: paths as users write them, nothing given twice unheard, errors that a terminal can show."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from c2m_tf.photos.paths import local_path
from c2m_tf.startup import one_line


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose options, and those of its commands, are given once; of lists action="extend" takes several.

    Text without a type is read by `paths.local_path`, since nearly all of it names files: shells leave ~ in --option=~/file.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", None, local_path)
        for name in (None, "store"):
            self.register("action", name, _Once)
        self.register("action", "parsers", _Commands)

    def error(self, message: str) -> NoReturn:
        """Ends the process with the message, which may hold names of files."""
        super().error(one_line(message))


class _Commands(argparse._SubParsersAction):
    """Commands, before whose names no option stands: they may have options of that name, whose defaults would replace it."""

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
