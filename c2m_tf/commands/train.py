"""c2m-tf train: a preset on one's own photos; the stages of training, curves of a run, and its weights as a preset."""

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from c2m_tf.commands.options import model_name
from c2m_tf.commands.running import CommandFailedError
from c2m_tf.photos.files import check_exists
from c2m_tf.presets import check_model, load_model, save_preset
from c2m_tf.startup import one_line, say, start_keras

STAGES = {
    "teacher": "extractors on sharp photos",
    "student": "extractors on blurred photos, distilled from the teacher",
    "trunk": "restoration network without a reference",
    "restoration": "restoration network with references",
    "adversarial": "restoration network by L1, perceptual and adversarial loss",
    "descriptors": "descriptors of the mobile network, on photos whose correspondences are known",
    "mobile": "mobile network by a pixel loss",
}


def add(commands: "argparse._SubParsersAction") -> None:
    parser = commands.add_parser("train", help="train, stage by stage (extra train)")
    parser.set_defaults(run=_own_photos)
    parser.add_argument("--data", metavar="FOLDER", help="photos to train a preset on")
    parser.add_argument(
        "--start",
        type=model_name,
        default="light",
        metavar="MODEL",
        help="preset or .keras file to train on (default: light)",
    )
    _add_settings(parser)
    parser.add_argument("--output", default="runs/mine", metavar="RUN_DIR", help="default: runs/mine")
    commands = parser.add_subparsers(title="commands, for training stage by stage", metavar="COMMAND")
    for stage, meaning in STAGES.items():
        command = commands.add_parser(stage, help=meaning)
        command.set_defaults(run=_train, stage=stage)
        command.add_argument(
            "--config", required=True, metavar="RECIPE", help="recipe by name, e.g. published/restoration, or a YAML file"
        )
        _add_settings(command)
        command.add_argument("--output", default=f"runs/{stage}", metavar="RUN_DIR", help=f"default: runs/{stage}")

    own = commands.add_parser("own-trunk-weights", help="starting weights of a trunk of its own, from the published SMFANet+")
    own.set_defaults(run=_own_trunk_weights)
    own.add_argument("checkpoint", metavar="FILE.pth", help="SMFANet+ for 4x, as its authors publish it")
    own.add_argument("-o", "--output", required=True, metavar="FILE.npz", help="file to write")

    plot = commands.add_parser("plot", help="draw the curves of a run")
    plot.set_defaults(run=_plot)
    plot.add_argument("run_folder", metavar="RUN_DIR")
    plot.add_argument("-o", "--output", metavar="FILE.png", help="default: RUN_DIR/curves.png")

    average = commands.add_parser("average", help="average the weights of two networks, one trained on from the other")
    average.set_defaults(run=_average)
    average.add_argument("model", type=model_name, metavar="MODEL", help="preset or .keras file")
    average.add_argument("other", type=model_name, metavar="OTHER", help="another of the same variant")
    average.add_argument("--share", type=_share, default=0.5, help="of the other's weights, in [0, 1] (default: 0.5)")
    average.add_argument("-o", "--output", required=True, metavar="FILE.keras")

    preset = commands.add_parser("preset", help="make a half-precision .npz, as presets ship, of a .keras file")
    preset.set_defaults(run=_preset)
    preset.add_argument("model", metavar="FILE.keras")
    preset.add_argument("-o", "--output", required=True, metavar="FILE.npz")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    help_text = "overrides a key of the recipe, e.g. iterations=5000 or optimizer.learning_rate=1e-4"
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE", help=help_text)


def _share(text: str) -> float:
    """A number in [0, 1]; argparse turns the error into a sentence."""
    if not 0.0 <= float(text) <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} lies outside [0, 1]; 0 is the first network, 1 the second")
    return float(text)


def _own_photos(options: argparse.Namespace) -> int:
    if options.data is None:
        raise ValueError(
            f"c2m-tf train needs --data FOLDER, photos to train on; or a stage: {', '.join(STAGES)} (c2m-tf train -h lists all)"
        )
    check_model(options.start)
    config = _own_config(options, "restoration")  # what is wrong with it is known before Keras, whose import takes seconds
    from c2m_tf.training.runs import check_run_folder

    check_run_folder(options.output)
    start_keras(computes=config.distributed is None)
    from c2m_tf.network.mobile import Mobile

    if not isinstance(load_model(options.start), Mobile):
        return _run(options, "restoration", config)
    return _run(options, "mobile", _own_config(options, "mobile"))


def _own_config(options: argparse.Namespace, stage: str) -> Any:
    """The recipe photos/STAGE for these photos, a tenth of which is held back, and at most eight."""
    read_config = _config_module().read_config
    from c2m_tf.training.sources import photos_in

    photos = len(photos_in(Path(options.data)))
    if photos < 2:
        raise ValueError(f"{options.data} holds one photo; expected are two or more, one of which is held back to judge by")
    held_back = max(1, min(8, photos // 10))
    ours = {"start": options.start, "root": options.data}
    ours |= {f"data.sources.{source}.held_back": held_back for source in (0, 1)}
    given = {setting.partition("=")[0] for setting in options.settings}
    settings = [f"{key}={json.dumps(value)}" for key, value in ours.items() if key not in given]
    return read_config(stage, f"photos/{stage}", [*settings, *options.settings])


def _config_module() -> Any:
    try:
        from c2m_tf.training import config
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; training needs: pip install 'c2m-tf[train]'") from error
    return config


def _train(options: argparse.Namespace) -> int:
    module = _config_module()
    from c2m_tf.training.runs import check_run

    config = module.read_config(options.stage, options.config, options.settings)
    module.check_files(config)
    check_run(options.output, options.stage, config)
    start_keras(computes=config.distributed is None)
    return _run(options, options.stage, config)


def _run(options: argparse.Namespace, stage: str, config: Any) -> int:
    from c2m_tf.training.stages import run_stage

    with run_errors():
        say(run_stage(stage, config, options.output))
    return 0


@contextmanager
def run_errors() -> Iterator[None]:
    """Exit codes of runs that failed or were stopped."""
    from c2m_tf.training.distribution import ProcessFailedError
    from c2m_tf.training.fitting import RunStoppedError
    from c2m_tf.training.runs import RunFailedError

    try:
        yield
    except RunStoppedError as stopped:
        raise CommandFailedError(str(stopped), 128 + stopped.number) from stopped
    except RunFailedError as error:
        raise CommandFailedError(str(error), 1) from error
    except ProcessFailedError as error:
        raise CommandFailedError(str(error), error.code, at_once=True) from error


def _own_trunk_weights(options: argparse.Namespace) -> int:
    check_output(options.output, [options.checkpoint], ".npz", "the weights of a trunk are an .npz file")
    check_exists(options.checkpoint)
    start_keras()
    try:
        from c2m_tf.training.starts import save_own_trunk
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; training needs: pip install 'c2m-tf[train]'") from error

    from c2m_tf.network.single_image import single_image_network
    from c2m_tf.weights.checkpoints import load_single_image, read_torch_checkpoint

    state = read_torch_checkpoint(options.checkpoint)
    trunk = single_image_network()
    load_single_image(trunk, state)
    save_own_trunk(trunk, options.output)
    say(f"wrote {options.output}")
    return 0


def _plot(options: argparse.Namespace) -> int:
    check_exists(options.run_folder)
    check_exists(f"{options.run_folder}/log.csv")
    if options.output is not None:
        check_output(options.output, [], ".png", "curves are drawn as PNG")
    start_keras()
    try:
        from c2m_tf.training.runs import plot
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; curves need: pip install 'c2m-tf[train]'") from error

    say(f"wrote {plot(options.run_folder, options.output)}")
    return 0


def _average(options: argparse.Namespace) -> int:
    check_output(options.output, [options.model, options.other], ".keras", "a network is a .keras file")
    for model in (options.model, options.other):
        check_model(model)
    start_keras()
    from c2m_tf.network.model import C2Matching
    from c2m_tf.training.starts import average
    from c2m_tf.weights.checkpoints import save_atomically

    save_atomically(
        average(C2Matching.from_preset(options.model), C2Matching.from_preset(options.other), options.share), options.output
    )
    say(f"wrote {options.output}")
    return 0


def _preset(options: argparse.Namespace) -> int:
    check_output(options.output, [options.model], ".npz", "a preset is an .npz file")
    check_model(options.model)
    start_keras()

    save_preset(load_model(options.model), options.output)
    say(f"wrote {options.output}")
    return 0


def check_output(path: str, inputs: Sequence[str], suffix: str, what: str) -> None:
    """Raises ValueError if the file cannot be written, is an input, or has another suffix; `what` says which it should have."""
    from c2m_tf.photos.writing import check_not_input, check_writable

    check_not_input(path, inputs)
    check_writable(path)
    if not path.endswith(suffix):
        raise ValueError(f"{path}: {what}; name it so")
