"""Draws the README's picture: crops of real photos, upscaled without and with a reference, beside the true photo.

    python benchmarks/front_page.py --pairs FOLDER

Of each crop: bicubic, the network without a reference, the network with the first reference, the true photo, and the whole
reference. The figures are PSNR on Y of the whole photo, by the plain protocol of `c2m-tf evaluate`.
The default crops are of groups 025 and 027 of the validation photos, which are from Image-Stitching by Daeyun Shin
(BSD-2-Clause); they were chosen among the squares of 96 pixels in which the reference improves the result most.
"""

import argparse
from typing import NamedTuple

from wrong_input import in_one_line

from c2m_tf.startup import start_keras

start_keras()

from c2m_tf import Upscaler  # noqa: E402
from c2m_tf.evaluation.evaluator import BICUBIC, SR, GroupResult, evaluate_model  # noqa: E402
from c2m_tf.evaluation.groups import find_groups  # noqa: E402
from c2m_tf.photos import images  # noqa: E402
from c2m_tf.photos.drawing import Panel, crop_panels, sheet  # noqa: E402

ENLARGEMENT = 2


class Crop(NamedTuple):
    """A square of a group's HR photo, in pixels."""

    group: str
    top: int
    left: int


CROPS = (Crop("025", 119, 239), Crop("027", 192, 329))
SIDE = 96


@in_one_line
def main() -> None:
    """Upscales the groups of the crops and writes the picture."""
    options = _options()
    crops = options.crop or CROPS
    # Written last, after minutes of work: a name that cannot be written is refused now.
    images.check_output(options.output, [])
    with_reference = {group.name: group for group in find_groups(options.pairs, "1")}
    missing = [crop.group for crop in crops if crop.group not in with_reference]
    if missing:
        raise SystemExit(f"{options.pairs} has no group {', '.join(missing)}; it has {', '.join(with_reference)}")
    upscaler = Upscaler.from_preset(options.model)
    rows = []
    for crop in crops:
        group = with_reference[crop.group]
        guided, single = evaluate_model(upscaler, [group, group._replace(references=[])])
        rows.append(_row(crop, guided, single))
    images.write(options.output, sheet(rows, height=ENLARGEMENT * SIDE))
    print(f"wrote {options.output}")


def _row(crop: Crop, guided: GroupResult, single: GroupResult) -> list[Panel]:
    panels = [
        Panel(f"bicubic, {guided.figures[BICUBIC]['psnr_y']:.2f} dB", guided.pictures[BICUBIC]),
        Panel(f"without a reference, {single.figures[SR]['psnr_y']:.2f} dB", single.pictures[SR]),
        Panel(f"with the reference, {guided.figures[SR]['psnr_y']:.2f} dB", guided.pictures[SR]),
        Panel("true photo", guided.case.hr),
    ]
    return [*crop_panels(panels, (crop.top, crop.left, SIDE, SIDE)), Panel("the reference, whole", guided.case.references[0])]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draws the README's picture.")
    parser.add_argument("--pairs", required=True, metavar="FOLDER", help="groups NNN_0 (HR), NNN_1 (reference), ...")
    parser.add_argument("--model", default="light", help="as of c2m-tf evaluate (default: light)")
    parser.add_argument(
        "--crop",
        action="append",
        type=_crop,
        metavar="GROUP:TOP,LEFT",
        help=f"a square of {SIDE} pixels of a group's HR photo; may be given several times (default: the README's crops)",
    )
    parser.add_argument("-o", "--output", default="docs/front-page.jpg", help="default: docs/front-page.jpg")
    return parser.parse_args()


def _crop(text: str) -> Crop:
    try:
        group, corner = text.rsplit(":", 1)
        top, left = corner.split(",")
        return Crop(group, int(top), int(left))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no crop; give GROUP:TOP,LEFT, e.g. 025:119,239") from error


if __name__ == "__main__":
    main()
