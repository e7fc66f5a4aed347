"""python -m export saved-model|tflite|quantize: the same as `c2m-tf export`."""

import sys

from c2m_tf.commands.export import add_commands
from c2m_tf.commands.parser import Parser
from c2m_tf.commands.running import run


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line; returns the exit code (see `c2m_tf.cli`)."""
    parser = Parser(prog="python -m export", description="Exports C2-Matching models.")
    add_commands(parser)
    return run(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
