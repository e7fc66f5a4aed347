"""Wrong input of a benchmark is one line on standard error and exit code 2, as of the command line."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path


def in_one_line(main: Callable[[], None]) -> Callable[[], None]:
    """A benchmark's main function that ends the process in that way."""

    @functools.wraps(main)
    def run() -> None:
        try:
            main()
        except OSError as error:
            _refuse(f"{error.filename}: {error.strerror}" if error.filename else error)
        except (ValueError, ImportError) as error:
            _refuse(error)

    return run


def _refuse(reason):
    from c2m_tf.startup import one_line  # not before it is needed: some benchmarks measure their process's memory

    print(f"{Path(sys.argv[0]).name}: {one_line(reason)}", file=sys.stderr)
    sys.exit(2)
