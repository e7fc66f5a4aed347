"""The command line: c2m-tf upscale | evaluate | demo | serve | import-weights | train | export | push | doctor.

Exit codes: 0 all is done; 1 some photos of several failed, or a training run broke off; 2 wrong arguments or input; 130
interrupted; 128 + n stopped by signal n. Every error is one line on standard error. Each command is a module of
`c2m_tf.commands`.
"""

import sys

from c2m_tf import __version__
from c2m_tf.commands import demo, evaluate, export, serve, train, upscale
from c2m_tf.commands.running import Parser, run


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line; returns the exit code."""
    return run(_parser(), arguments)


def _parser() -> Parser:
    parser = Parser(
        prog="c2m-tf", description="4x super-resolution of a photo with the help of a reference photo of the same scene."
    )
    parser.add_argument("--version", action="version", version=f"c2m-tf {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (
        *(upscale.add, evaluate.add, demo.add, demo.add_sample, serve.add, export.add_import),
        *(train.add, export.add, export.add_push, demo.add_doctor),
    ):
        add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
