"""The command line: python -m export saved-model|tflite.

Exit codes: 0 done; 2 wrong arguments or input, told in one line; 130 interrupted.
"""

import argparse
import sys

from c2m_tf.startup import one_line, start_keras


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(f"export: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("export: interrupted", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="python -m export", description="Exports C2-Matching models.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    saved = commands.add_parser("saved-model", help="for TensorFlow Serving and tf.saved_model.load")
    saved.set_defaults(command=_saved_model)
    saved.add_argument("--model", default="light", metavar="PRESET|FILE", help="preset or .keras file (default: light)")
    saved.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of versions; the next one is written")
    saved.add_argument(
        "--max-lr-pixels", type=int, default=256 * 256, metavar="N", help="refuse larger LR photos (default: 65536)"
    )
    saved.add_argument(
        "--max-ref-pixels", type=int, default=1024 * 1024, metavar="N", help="refuse larger references (default: 1048576)"
    )

    tflite = commands.add_parser("tflite", help="for phones: builtin ops only, pixels in, pixels out")
    tflite.set_defaults(command=_tflite)
    tflite.add_argument("--model", default="light", metavar="PRESET|FILE", help="preset or .keras file (default: light)")
    tflite.add_argument("--precision", default="float32", metavar="float32|float16", help="of the weights (default: float32)")
    tflite.add_argument("--tile", type=int, default=64, metavar="PIXELS", help="side of the LR tiles (default: 64)")
    tflite.add_argument(
        "--window", type=int, default=384, metavar="PIXELS", help="side of the reference's windows (default: 384)"
    )
    tflite.add_argument("-o", "--output", required=True, metavar="FILE.tflite", help="a .json is written beside it")
    return parser


def _tflite(options):
    start_keras()
    from c2m_tf.presets import load_model
    from export.tflite import export_tflite

    described = export_tflite(load_model(options.model), options.output, options.precision, options.tile, options.window)
    print(f"wrote {options.output}: {described['precision']}, tiles of {described['tile']}, windows of {described['window']}")
    return 0


def _saved_model(options):
    for name in ("max_lr_pixels", "max_ref_pixels"):
        if getattr(options, name) <= 0:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(options, name)} is no positive number of pixels")
    start_keras()
    from c2m_tf.presets import load_model
    from export.saved_model import export_saved_model

    path = export_saved_model(load_model(options.model), options.output, options.max_lr_pixels, options.max_ref_pixels)
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
