"""c2m-tf serve: an HTTP server with a web page."""

import argparse

from c2m_tf.commands.model_options import add_model_options, open_upscaler
from c2m_tf.startup import one_line

_LIMITS = (
    ("max-bytes", 32 * 2**20, "refuse larger requests"),
    ("max-lr-pixels", 512 * 512, "refuse larger LR photos"),
    ("max-ref-pixels", 4096 * 4096, "refuse larger references"),
    ("queue", 8, "requests that may wait for their turn"),
    ("timeout", 300.0, "seconds that a request may take, waiting included"),
)


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("serve", help="an HTTP server with a web page (extra serve)")
    command.set_defaults(run=_run)
    command.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0 takes a free one")
    for name, value, meaning in _LIMITS:
        command.add_argument(f"--{name}", type=type(value), default=value, metavar="N", help=f"{meaning} (default: {value:,})")
    add_model_options(command)


def _run(options):
    try:
        from c2m_tf.server.app import Limits, run_server
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; serving needs: pip install 'c2m-tf[serve]'") from error

    limits = Limits(**{name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name, *_ in _LIMITS})
    run_server(open_upscaler(options), options.model, limits, options.host, options.port)
    return 0
