"""Options that several commands share, and what they select: an upscaler, and how results are stored."""

import argparse
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from c2m_tf.photos.files import local_path
from c2m_tf.photos.formats import Encoding
from c2m_tf.presets import check_model, current_name
from c2m_tf.startup import DTYPES

if TYPE_CHECKING:
    from c2m_tf.jobs.work import WorkerSettings
    from c2m_tf.upscaling.upscaler import Upscaler

if TYPE_CHECKING:
    from c2m_tf.photos.result_size import ResultSize


def model_name(text: str) -> str:
    """What was given as a model, by its current name and as a path that can be opened."""
    return current_name(local_path(text))


def add_model_options(command: argparse.ArgumentParser, several: bool = False) -> None:
    """Adds the options that `open_upscaler` reads; `several` makes --model a list, None if it is not given."""
    command.add_argument(
        "--model",
        action="append" if several else "store",
        type=model_name,
        default=None if several else "auto",
        metavar="MODEL",
        help="auto, which takes mobile or light-photo by the photo's quality; preset, .keras file, exported .tflite "
        "file, or folder of an exported SavedModel (default: " + ("light); may be given several times" if several else "auto)"),
    )
    command.add_argument(
        "--trust-model",
        action="store_true",
        help="a SavedModel is a program; open even one that could read or write files or call Python, else refused",
    )
    command.add_argument(
        "--dtype",
        choices=tuple(DTYPES),
        default=None if several else "auto",
        help="of the convolutions: auto takes bfloat16 on processors that have it, see c2m-tf doctor (default: "
        + ("the model's own, so that figures of different machines agree)" if several else "auto)"),
    )
    command.add_argument(
        "--search",
        choices=("auto", "levels", "exact", "window"),
        default="auto",
        help="windows of references above 2.7 megapixels, levels for others (auto)",
    )
    command.add_argument(
        "--tile", type=int, metavar="PIXELS", help="side of the tiles of the LR photo (default: by the model and the photo)"
    )
    command.add_argument("--window", type=int, metavar="PIXELS", help="side of the windows of the reference (default: 512)")
    command.add_argument(
        "--max-memory",
        type=float,
        metavar="GIB",
        help="memory that one photo may need (default: 75 %% of the machine's or container's)",
    )
    command.add_argument("--threads", type=int, metavar="N", help="cores to use (default: all that this process may use)")
    command.add_argument(
        "--device", metavar="DEVICE", help="cpu, gpu, or gpu:1 for the second one (default: a GPU if there is one)"
    )
    command.add_argument(
        "--ensemble",
        type=int,
        default=1,
        metavar="N",
        help="mean of the results of N orientations of each photo, 1, 2, 4 or 8: better, and so many times slower (default: 1)",
    )


def check_model_options(options: argparse.Namespace, models: Iterable[str]) -> None:
    """Raises ValueError for what is wrong with the options of `add_model_options` and can be known without Keras."""
    from c2m_tf.upscaling import plans
    from c2m_tf.upscaling.opening import AUTO

    for model in models:
        if model != AUTO:
            check_model(model)
    plans.check_sizes(options.search, options.tile, options.window)
    plans.check_ensemble(options.ensemble)
    _settings(options)


def open_upscaler(options: argparse.Namespace, model: str | None = None) -> "Upscaler":
    """The upscaler for the options of `add_model_options`, or for one model of several.

    Raises:
        ValueError, ImportError: see `c2m_tf.upscaling.upscaler.Upscaler.from_preset`.
    """
    from c2m_tf.upscaling.upscaler import Upscaler

    return Upscaler.from_preset(model or options.model, **_settings(options))


def worker_settings(options: argparse.Namespace, **others: Any) -> "WorkerSettings":
    """What workers on many photos are made of, with `others` of its fields; raises ValueError as `open_upscaler`."""
    from c2m_tf.jobs.work import WorkerSettings

    return WorkerSettings(options.model, **_settings(options), **others)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What `Upscaler.from_preset` takes besides the model."""
    return {
        "dtype": None if options.dtype is None else DTYPES[options.dtype],
        "max_memory": None if options.max_memory is None else _bytes(options.max_memory),
        "search": options.search,
        "tile": options.tile,
        "window": options.window,
        "ensemble": options.ensemble,
        "trusted": options.trust_model,
        "threads": options.threads,
        "device": options.device,
    }


def _bytes(gibibytes: float) -> int:
    """Bytes of --max-memory; raises ValueError if that is not a positive number."""
    if not 0 < gibibytes < math.inf:
        raise ValueError(
            f"--max-memory {gibibytes:g} is not a positive number of GiB; leave it out for 75 % of the machine's or container's"
        )
    return int(gibibytes * 2**30)


def add_result_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that the functions of this module read."""
    result = command.add_argument_group("results")
    size = result.add_mutually_exclusive_group()
    size.add_argument("--scale", type=float, metavar="N", help="times the sides of the photo, any number up to 4 (default: 4)")
    size.add_argument("--size", metavar="WxH", help="3840x for a width, x2160 for a height, 3840x2160 to fit into both")
    size.add_argument("--long-side", type=int, metavar="PIXELS", help="of the longer side of the result")
    result.add_argument(
        "--suffix",
        type=str,
        default="",
        metavar="TEXT",
        help="names results in a folder: _4x makes a_4x.png of a.jpg, _4x.jpg makes a_4x.jpg (default: .png)",
    )
    result.add_argument(
        "--quality", type=_quality, metavar="N", help="of JPEG and WebP, from 1 to 100; lossless for WebP (default: 95)"
    )
    result.add_argument("--bits", type=int, choices=(8, 16), default=8, help="of a sample; 16 for PNG and TIFF (default: 8)")
    result.add_argument(
        "--no-metadata", action="store_true", help="leave out EXIF, XMP and IPTC (dates, camera, place, rights, titles)"
    )


def encoding_of(options: argparse.Namespace) -> Encoding:
    """How results are stored; raises ValueError if there is no such quality."""
    encoding = Encoding(options.quality, options.bits, not options.no_metadata)
    encoding.check()
    return encoding


def size_of(options: argparse.Namespace) -> "ResultSize":
    """How large results are; raises ValueError if that is no size."""
    from c2m_tf.photos.result_size import ResultSize  # imports numpy, which other commands do without

    size = ResultSize(options.scale, options.size, options.long_side)
    size.check()
    return size


def _quality(text: str) -> int | str:
    """A number, or "lossless"; argparse turns the error into a sentence."""
    if text == "lossless":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is neither a number from 1 to 100 nor lossless") from None
