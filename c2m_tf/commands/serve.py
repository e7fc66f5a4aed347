"""c2m-tf serve: an HTTP server with a web page."""

import argparse

from c2m_tf.commands.options import add_model_options, open_upscaler
from c2m_tf.server.limits import Limits
from c2m_tf.startup import one_line

_LIMITS = {
    "max_bytes": "refuse larger requests",
    "max_lr_pixels": "refuse larger LR photos",
    "max_ref_pixels": "refuse references of more pixels together",
    "max_references": "refuse more references in a request",
    "max_uploads": "simultaneous uploads",
    "queue": "requests that may wait",
    "timeout": "seconds that a request may take, upload and waiting included",
}


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("serve", help="an HTTP server with a web page (extra serve)")
    command.set_defaults(run=_run)
    command.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0 takes a free one")
    command.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name that clients may call the server by, * for any (default: localhost on 127.0.0.1, any on other addresses)",
    )
    for name, value in Limits()._asdict().items():
        option = f"--{name.replace('_', '-')}"
        help_text = f"{_LIMITS[name]} (default: {value:,})"
        command.add_argument(option, type=type(value), default=value, metavar="N", help=help_text)
    add_model_options(command)


def _run(options: argparse.Namespace) -> int:
    try:
        from c2m_tf.server.running import allowed_hosts, listen, run_server
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; serving needs: pip install 'c2m-tf[serve]'") from error

    limits = Limits(**{name: getattr(options, name) for name in Limits._fields})
    limits.check()
    with listen(options.host, options.port) as listener:
        run_server(open_upscaler(options), options.model, limits, listener, allowed_hosts(options.host, options.allow_host))
    return 0
