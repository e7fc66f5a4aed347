"""Options of what results are, shared by one photo and many."""

import argparse
from typing import TYPE_CHECKING

from c2m_tf.photos.formats import Encoding

if TYPE_CHECKING:
    from c2m_tf.photos.result_size import ResultSize


def add_result_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that the functions of this module read."""
    result = command.add_argument_group("results")
    size = result.add_mutually_exclusive_group()
    size.add_argument("--scale", type=float, metavar="N", help="times the sides of the photo, any number up to 4 (default: 4)")
    size.add_argument("--size", metavar="WxH", help="3840x for a width, x2160 for a height, 3840x2160 to fit into both")
    size.add_argument("--long-side", type=int, metavar="PIXELS", help="of the longer side of the result")
    result.add_argument(
        "--suffix",
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


def _quality(text):
    """A number, or "lossless"; argparse turns the error into a sentence."""
    if text == "lossless":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is neither a number from 1 to 100 nor lossless") from None
