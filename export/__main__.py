"""The command line: python -m export saved-model|tflite|quantize.

Exit codes: 0 done; 1 a run broke off (no number, disk full); 2 wrong arguments or input, told in one line; 130 interrupted;
128 + n quantization stopped by signal n, resumable.
"""

import argparse
import sys
from pathlib import Path

from c2m_tf.startup import one_line, start_keras

from .phone_sizes import PRECISIONS, check_arguments


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
    tflite.add_argument(
        "--model",
        default="light",
        metavar="PRESET|FILE",
        help="preset or .keras file; for int8 a preset, or quantized.npz of a quantize run (default: light)",
    )
    tflite.add_argument(
        "--precision", default="float32", metavar="|".join(PRECISIONS), help="float16: of the weights (default: float32)"
    )
    _add_phone_arguments(tflite)

    quantize = commands.add_parser("quantize", help="int8 by quantization-aware training, on your photos")
    quantize.set_defaults(command=_quantize)
    quantize.add_argument("--model", default="light", metavar="PRESET|FILE", help="preset or .keras file (default: light)")
    quantize.add_argument(
        "--data",
        required=True,
        nargs="+",
        metavar="FOLDER",
        help="training photos: input/ and ref/, or pairs160.npz and img/, or photos alone",
    )
    quantize.add_argument("--iterations", type=int, default=100, metavar="N", help="of training (default: 100)")
    quantize.add_argument("--post-training", action="store_true", help="calibrate only, do not train")
    quantize.add_argument("--run", metavar="DIR", help="run folder, to resume from (default: the output's name without suffix)")
    _add_phone_arguments(quantize)
    return parser


def _add_phone_arguments(command):
    command.add_argument("--tile", type=int, default=64, metavar="PIXELS", help="side of the LR tiles (default: 64)")
    command.add_argument(
        "--window", type=int, default=384, metavar="PIXELS", help="side of the reference's windows (default: 384)"
    )
    command.add_argument("--pairs", metavar="FOLDER", help="measure the file's PSNR there, for the .json (c2m-tf evaluate)")
    command.add_argument("-o", "--output", required=True, metavar="FILE.tflite", help="a .json is written beside it")


def _tflite(options):
    groups = _checked_phone_arguments(options, options.precision)
    start_keras()
    from c2m_tf.weights.presets import load_model

    from .phone_network import PhoneNetwork
    from .quantization import load_quantized, quantized_preset

    if options.precision == "int8":
        network = load_quantized(quantized_preset(options.model))
    else:
        network = PhoneNetwork(load_model(options.model, "float32"))
    return _write_tflite(options, network, options.precision, groups)


def _quantize(options):
    groups = _checked_phone_arguments(options, "int8")
    if options.iterations <= 0:
        raise ValueError(f"--iterations {options.iterations} is no positive number; for none give --post-training")
    start_keras()
    from c2m_tf.training.fitting import RunStoppedError
    from c2m_tf.training.runs import RunFailedError

    from .quantization import QuantizationConfig, quantize

    iterations = 0 if options.post_training else options.iterations
    config = QuantizationConfig(options.model, tuple(options.data), iterations)
    try:
        network = quantize(config, options.run or Path(options.output).with_suffix(""))
    except RunStoppedError as stopped:
        print(f"export: {stopped}", file=sys.stderr)
        return 128 + stopped.number
    except RunFailedError as error:
        print(f"export: {one_line(error)}", file=sys.stderr)
        return 1
    return _write_tflite(options, network, "int8", groups)


def _checked_phone_arguments(options, precision):
    """Checks what can be checked before anything long starts; the groups to measure on, or None."""
    from c2m_tf.evaluation.groups import find_groups

    check_arguments(options.output, precision, options.tile, options.window)
    return find_groups(options.pairs) if options.pairs else None


def _write_tflite(options, network, precision, groups):
    from .tflite import export_tflite, write_description

    described = export_tflite(network, options.output, precision, options.tile, options.window)
    told = f"wrote {options.output}: {described['precision']}, tiles of {options.tile}, windows of {options.window}"
    if groups:
        from c2m_tf.evaluation.protocols import evaluate_group
        from c2m_tf.upscaling.tflite_upscaler import TFLiteUpscaler

        upscaler = TFLiteUpscaler(options.output)
        figures = [evaluate_group(upscaler, group).figures["psnr_y"] for group in groups]
        described["psnr_y"] = sum(figures) / len(figures)
        write_description(options.output, described)
        told += f", {described['psnr_y']:.3f} dB"
    print(told)
    return 0


def _saved_model(options):
    for name in ("max_lr_pixels", "max_ref_pixels"):
        if getattr(options, name) <= 0:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(options, name)} is no positive number of pixels")
    start_keras()
    from c2m_tf.weights.presets import load_model

    from .saved_model import export_saved_model

    path = export_saved_model(load_model(options.model), options.output, options.max_lr_pixels, options.max_ref_pixels)
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
