"""c2m-tf export: SavedModel, TFLite, quantization; import-weights: published PyTorch checkpoints; push: to the Hub."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2m_tf.commands.options import model_name
from c2m_tf.commands.train import check_output, run_errors
from c2m_tf.photos.files import check_exists
from c2m_tf.presets import HANDLE, check_model
from c2m_tf.startup import one_line, say, start_keras

if TYPE_CHECKING:
    from c2m_tf.evaluation.groups import Group


def add(commands: "argparse._SubParsersAction") -> None:
    parser = commands.add_parser("export", help="write a SavedModel or a TFLite file, quantize")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    saved = commands.add_parser("saved-model", help="for TensorFlow Serving and tf.saved_model.load")
    saved.set_defaults(run=_saved_model)
    saved.add_argument(
        "--model", type=model_name, default="light", metavar="PRESET|FILE", help="preset or .keras file (default: light)"
    )
    saved.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of versions; the next one is written")
    saved.add_argument(
        "--max-lr-pixels", type=int, default=256 * 256, metavar="N", help="refuse larger LR photos (default: 65536)"
    )
    saved.add_argument(
        "--max-ref-pixels", type=int, default=1024 * 1024, metavar="N", help="refuse larger references (default: 1048576)"
    )

    tflite = commands.add_parser("tflite", help="for phones: builtin ops only, pixels in, pixels out")
    tflite.set_defaults(run=_tflite)
    tflite.add_argument(
        "--model",
        type=model_name,
        default="light",
        metavar="PRESET|FILE",
        help="preset or .keras file; for int8 a preset, or quantized.npz of a quantize run (default: light)",
    )
    tflite.add_argument(
        "--precision", default="float32", metavar="float32|float16|int8", help="float16: of the weights (default: float32)"
    )
    _add_phone_arguments(tflite)

    quantize = commands.add_parser("quantize", help="int8 by quantization-aware training, on your photos")
    quantize.set_defaults(run=_quantize)
    quantize.add_argument(
        "--model", type=model_name, default="light", metavar="PRESET|FILE", help="preset or .keras file (default: light)"
    )
    quantize.add_argument(
        "--data",
        required=True,
        nargs="+",
        action="extend",
        metavar="FOLDER",
        help="training photos: input/ and ref/, or pairs160.npz and img/, or photos alone",
    )
    quantize.add_argument("--iterations", type=int, default=100, metavar="N", help="of training (default: 100)")
    quantize.add_argument("--post-training", action="store_true", help="calibrate only, do not train")
    quantize.add_argument(
        "--run", dest="run_folder", metavar="DIR", help="run folder, to resume from (default: the output's name without suffix)"
    )
    _add_phone_arguments(quantize)


def _add_phone_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tile", type=int, default=64, metavar="PIXELS", help="side of the LR tiles (default: 64)")
    command.add_argument(
        "--window", type=int, default=384, metavar="PIXELS", help="side of the windows of the reference (default: 384)"
    )
    command.add_argument("--pairs", metavar="FOLDER", help="measure the file's PSNR there, for the .json (c2m-tf evaluate)")
    command.add_argument("-o", "--output", required=True, metavar="FILE.tflite", help="a .json is written beside it")


def _tflite(options: argparse.Namespace) -> int:
    groups = _checked_phone_arguments(options, options.precision)
    if options.precision != "int8":
        check_model(options.model)
    start_keras()
    from c2m_tf.export.phone_network import phone_form
    from c2m_tf.export.quantization import load_quantized, quantized_preset
    from c2m_tf.presets import load_model

    if options.precision == "int8":
        network = load_quantized(quantized_preset(options.model))
    else:
        network = phone_form(load_model(options.model, "float32"))
    return _write_tflite(options, network, options.precision, groups)


def _quantize(options: argparse.Namespace) -> int:
    groups = _checked_phone_arguments(options, "int8")
    if options.iterations <= 0:
        raise ValueError(f"--iterations {options.iterations} is not a positive number; for no training give --post-training")
    check_model(options.model)
    from c2m_tf.training.sources import photos_in

    for folder in options.data:
        photos_in(Path(folder))
    start_keras()
    from c2m_tf.export.quantization import QuantizationConfig, quantize

    iterations = 0 if options.post_training else options.iterations
    config = QuantizationConfig(options.model, tuple(options.data), iterations)
    with run_errors():
        network = quantize(config, options.run_folder or Path(options.output).with_suffix(""))
    return _write_tflite(options, network, "int8", groups)


def _checked_phone_arguments(options: argparse.Namespace, precision: str) -> "list[Group] | None":
    """Checks what can be checked before anything long starts; the groups to measure on, or None."""
    from c2m_tf.evaluation.groups import find_groups
    from c2m_tf.export import check_arguments

    check_arguments(options.output, precision, options.tile, options.window)
    return find_groups(options.pairs) if options.pairs else None


def _write_tflite(options: argparse.Namespace, network: Any, precision: str, groups: "list[Group] | None") -> int:
    from c2m_tf.export.tflite import export_tflite, write_description

    described = export_tflite(network, options.output, precision, options.tile, options.window)
    summary = f"wrote {options.output}: {described['precision']}, tiles of {options.tile}, windows of {options.window}"
    if groups:
        from c2m_tf.evaluation.evaluator import evaluate_model, mean_of
        from c2m_tf.upscaling.upscaler import Upscaler

        described["psnr_y"] = mean_of(evaluate_model(Upscaler.from_preset(options.output), groups), "psnr_y")
        write_description(options.output, described)
        summary += f", {described['psnr_y']:.3f} dB"
    say(summary)
    return 0


def _saved_model(options: argparse.Namespace) -> int:
    from c2m_tf.photos.images import MAX_PIXELS

    for name in ("max_lr_pixels", "max_ref_pixels"):
        if not 0 < getattr(options, name) <= MAX_PIXELS:
            raise ValueError(
                f"--{name.replace('_', '-')} {getattr(options, name)} is no number of pixels from 1 to {MAX_PIXELS}"
            )
    check_model(options.model)
    start_keras()
    from c2m_tf.export.saved_model import export_saved_model
    from c2m_tf.presets import load_model

    path = export_saved_model(load_model(options.model), options.output, options.max_lr_pixels, options.max_ref_pixels)
    say(f"wrote {path}")
    return 0


def add_import(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("import-weights", help="make a .keras file of published PyTorch checkpoints")
    command.set_defaults(run=_import)
    command.add_argument("--extractor", required=True, metavar="PTH", help="feature_extraction.pth")
    command.add_argument("--restoration", required=True, metavar="PTH", help="c2_matching_restoration[_mse].pth, or light")
    command.add_argument(
        "--vgg",
        required=True,
        metavar="VGG",
        help='vgg19-dcbb9e9d.pth (what the published weights were trained with), an .npz of Keras arrays, or "keras"',
    )
    command.add_argument(
        "--discriminator", metavar="PTH", help="critic; written beside OUT as OUT's name + .discriminator.keras"
    )
    command.add_argument("-o", "--output", required=True, metavar="OUT.keras", help="file to write")


def _import(options: argparse.Namespace) -> int:
    for path in (options.extractor, options.restoration, options.vgg, options.discriminator):
        if path not in (None, "keras"):
            check_exists(path)
    given = [path for path in (options.extractor, options.restoration, options.vgg, options.discriminator) if path]
    check_output(options.output, given, ".keras", "the result is a Keras file")
    start_keras()
    from c2m_tf.weights.checkpoints import import_weights

    for path, variant in import_weights(
        options.extractor, options.restoration, options.vgg, options.output, options.discriminator
    ):
        say(f"wrote {path} ({variant})")
    return 0


def add_push(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("push", help="publish a model on the Hugging Face Hub, with a model card")
    command.set_defaults(run=_push)
    command.add_argument(
        "--model", type=model_name, default="light", metavar="PRESET|FILE", help="preset or .keras file (default: light)"
    )
    command.add_argument("--card", metavar="FILE.md", help="model card to write along (default: one is made from a template)")
    command.add_argument("target", metavar="TARGET", help="hf://USER/NAME; or a new folder, for what would be pushed")


def _push(options: argparse.Namespace) -> int:
    from c2m_tf.weights.publishing import check_target, model_card, push, write_folder

    check_target(options.target)
    check_model(options.model)
    card = None if options.card is None else _text(options.card)
    start_keras()
    from c2m_tf.presets import load_model

    model = load_model(options.model)
    card = card or model_card(model, options.model, options.target)
    if options.target.startswith(HANDLE):
        say(f"pushed to {push(model, options.target, card)}")
    else:
        write_folder(model, options.target, card)
        say(f"wrote {options.target}; with huggingface_hub, hf upload USER/NAME {options.target} pushes it")
    return 0


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {one_line(error)}") from error
