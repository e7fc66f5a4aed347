"""Presets on photos as they are: gain over bicubic in each degradation, and a sheet of crops.

    python benchmarks/degraded_photos.py --pairs data/val_pairs --groups 000 011 024 025
    python benchmarks/degraded_photos.py --pairs data/val_pairs --groups 025 027 --degradations jpeg75 phone --sheet sheet.jpg

Plain protocol, first reference. The column auto takes, of each photo, the preset that `c2m-tf upscale --model auto` takes. Each
row of the sheet is one group in one degradation, cut where the first two models differ most. Groups 024, 025 and 027 of the
validation photos are from Image-Stitching by Daeyun Shin (BSD-2-Clause).
"""

import argparse
from statistics import mean

from timing import machine
from wrong_input import in_one_line

from c2m_tf.startup import start_keras

start_keras()

from c2m_tf import Upscaler  # noqa: E402
from c2m_tf.evaluation.groups import find_groups  # noqa: E402
from c2m_tf.evaluation.protocols import Result, evaluate_group  # noqa: E402
from c2m_tf.photos import images  # noqa: E402
from c2m_tf.photos.degradations import degradation_named  # noqa: E402
from c2m_tf.photos.quality import quality_of  # noqa: E402
from c2m_tf.photos.sheets import Panel, crop_panels, most_changed_box, sheet  # noqa: E402
from c2m_tf.upscaling.choice import CLEAN, DEGRADED, choose  # noqa: E402

DEGRADATIONS = ("bicubic", "jpeg90", "jpeg75", "jpeg50", "area", "noise8", "blur", "messenger", "phone")
SIDE, ENLARGEMENT = 112, 2


@in_one_line
def main() -> None:
    """Evaluates, prints the table and draws the sheet."""
    options = _options()
    if options.sheet:
        images.check_output(options.sheet, [])
    groups = [group for group in find_groups(options.pairs, "1") if not options.groups or group.name in options.groups]
    if not groups:
        raise SystemExit(f"{options.pairs} has none of the groups {', '.join(options.groups)}")
    upscalers = {model: Upscaler.from_preset(model) for model in options.model}
    chosen = {CLEAN, DEGRADED} <= set(options.model)
    columns = [*options.model, *(["auto"] if chosen else [])]
    print(f"| | bicubic |{''.join(f' {column} |' for column in columns)}")
    print(f"|---|---|{'---|' * len(columns)}")
    rows = []
    for name in options.degradations:
        degradation = degradation_named(name)
        results = {
            model: [evaluate_group(upscaler, group, degradation=degradation) for group in groups]
            for model, upscaler in upscalers.items()
        }
        bicubic = mean(result.bicubic_figures["psnr_y"] for result in results[options.model[0]])
        gains = {model: [_gain(result) for result in results[model]] for model in options.model}
        if chosen:
            gains["auto"] = [gains[_choice(result)][number] for number, result in enumerate(results[CLEAN])]
        cells = "".join(f" {mean(gains[column]):+.2f} |" for column in columns)
        print(f"| {name} | {bicubic:.2f} dB |{cells}", flush=True)
        rows += [_row(name, dict(zip(results, group, strict=True))) for group in zip(*results.values(), strict=True)]
    names = ", ".join(group.name for group in groups)
    print(f"\nMean PSNR-Y over the groups {names}, gain over bicubic in dB; {machine()}")
    if options.sheet:
        images.write(options.sheet, sheet(rows, height=ENLARGEMENT * SIDE))
        print(f"wrote {options.sheet}")


def _gain(result: Result) -> float:
    return result.figures["psnr_y"] - result.bicubic_figures["psnr_y"]


def _choice(result: Result) -> str:
    return choose(quality_of(images.Image(images.as_float(result.lr)))).preset


def _row(name: str, results: dict[str, Result]) -> list[Panel]:
    """Crops of one group in one degradation: bicubic, each model, the true photo."""
    first, *others = results.values()
    panels = [Panel(f"{name}: bicubic, {first.bicubic_figures['psnr_y']:.2f} dB", first.bicubic)]
    panels += [Panel(f"{model}, {result.figures['psnr_y']:.2f} dB", result.sr) for model, result in results.items()]
    panels.append(Panel("true photo", first.hr))
    return crop_panels(panels, most_changed_box(first.sr, others[0].sr if others else first.bicubic, SIDE))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", required=True, metavar="FOLDER", help="groups NNN_0 (HR), NNN_1 (reference), ...")
    parser.add_argument("--groups", nargs="+", default=[], metavar="NAME", help="only these (default: all)")
    parser.add_argument("--model", nargs="+", default=["light", "light-photo"], help="presets or files")
    parser.add_argument("--degradations", nargs="+", default=DEGRADATIONS, metavar="NAME", help="as of c2m-tf evaluate")
    parser.add_argument("--sheet", metavar="FILE", help="also draw crops of every group in every degradation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
