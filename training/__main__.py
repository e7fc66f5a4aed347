"""The command line: python -m training teacher|student|restoration|adversarial|plot|preset.

Exit codes: 0 done; 1 the run broke off (no number, disk full); 2 wrong arguments or input; 128 + n stopped by signal n,
resumable.
"""

import argparse
import sys

from c2m_tf.startup import one_line, start_keras

from .config import STAGES, read_config


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(f"training: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training: interrupted", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="python -m training", description="Trains C2-Matching, stage by stage.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for stage, cls in STAGES.items():
        command = commands.add_parser(stage, help=cls.__doc__.strip().splitlines()[0])
        command.set_defaults(command=_train, stage=stage)
        command.add_argument("--config", required=True, metavar="FILE.yaml", help="recipe, e.g. one of training/recipes")
        command.add_argument(
            "--set", action="append", default=[], dest="settings", metavar="KEY=VALUE", help="over the file; dots lead inwards"
        )
        command.add_argument("--output", default=f"runs/{stage}", metavar="RUN_DIR", help=f"default: runs/{stage}")

    plot = commands.add_parser("plot", help="draws the curves of a run")
    plot.set_defaults(command=_plot)
    plot.add_argument("run", metavar="RUN_DIR")
    plot.add_argument("-o", "--output", metavar="FILE.png", help="default: RUN_DIR/curves.png")

    preset = commands.add_parser("preset", help="a .keras file in half precision, as presets ship")
    preset.set_defaults(command=_preset)
    preset.add_argument("model", metavar="FILE.keras")
    preset.add_argument("-o", "--output", required=True, metavar="FILE.npz")
    return parser


def _train(options):
    config = read_config(options.stage, options.config, options.settings)
    start_keras()
    from .fitting import RunStoppedError
    from .runs import RunFailedError
    from .stages import run_stage

    try:
        print(run_stage(options.stage, config, options.output))
    except RunStoppedError as stopped:
        print(f"training: {stopped}", file=sys.stderr)
        return 128 + stopped.number
    except RunFailedError as error:
        print(f"training: {one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _plot(options):
    start_keras()
    from .plot import plot

    print(f"wrote {plot(options.run, options.output)}")
    return 0


def _preset(options):
    start_keras()
    from c2m_tf.photos.images import check_writable
    from c2m_tf.weights.presets import load_model, save_preset

    check_writable(options.output)
    if not options.output.endswith(".npz"):
        raise ValueError(f"{options.output}: a preset is an .npz file; name it so")
    save_preset(load_model(options.model), options.output)
    print(f"wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
