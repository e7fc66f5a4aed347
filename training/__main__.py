"""python -m training teacher|student|restoration|adversarial|plot|preset: the same as `c2m-tf train`."""

import sys

from c2m_tf.commands.parser import Parser
from c2m_tf.commands.running import run
from c2m_tf.commands.train import add_commands


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line; returns the exit code (see `c2m_tf.cli`)."""
    parser = Parser(prog="python -m training", description="Trains C2-Matching, stage by stage.")
    add_commands(parser)
    return run(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
