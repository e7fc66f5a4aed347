"""Presets beside bicubic and beside published networks without a reference, as a Markdown table.

    python benchmarks/presets_table.py --pairs data/val_pairs                 # all presets that ship
    python benchmarks/presets_table.py --pairs data/val_pairs --model light --model runs/full/best.keras --degradation jpeg75

Plain protocol, first reference; the interval is the 95 % bootstrap interval of the gain over the groups. Figures of published
networks hold for the eight groups named below with LR photos by bicubic, and are shown for those alone.
"""

import argparse

from timing import machine
from wrong_input import in_one_line

# 4x networks trained on DIV2K or DF2K, mean PSNR on Y over the eight groups by the plain protocol.
GROUPS = ("000", "002", "003", "004", "011", "024", "025", "027")
PUBLISHED = {
    "IMDN": 26.21,
    "PAN": 26.23,
    "SMFANet": 26.30,
    "VapSR": 26.38,
    "SMFANet+ (DIV2K)": 26.39,
    "SMFANet+ (DF2K)": 26.44,
}


@in_one_line
def main() -> None:
    """Evaluates the models and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", required=True, metavar="FOLDER")
    parser.add_argument("--model", action="append", metavar="MODEL", help="preset or file (default: every preset)")
    parser.add_argument("--degradation", default="bicubic", metavar="NAME")
    parser.add_argument("--flip", action="store_true", help="also mean FLIP (extra flip)")
    options = parser.parse_args()
    print("\n".join(table(options)))


def table(options: argparse.Namespace) -> list[str]:
    """The table's lines of Markdown."""
    from c2m_tf import Upscaler
    from c2m_tf.commands.evaluate import model_names
    from c2m_tf.evaluation.evaluator import Evaluator, ModelSystem
    from c2m_tf.evaluation.groups import find_groups
    from c2m_tf.evaluation.metrics import PROTOCOLS, load_measures
    from c2m_tf.evaluation.reports import make_report
    from c2m_tf.photos.degradations import degradation_named
    from c2m_tf.presets import PRESETS

    groups = find_groups(options.pairs)
    models = options.model or list(PRESETS)
    systems = [ModelSystem(name, Upscaler.from_preset(model)) for name, model in zip(model_names(models), models, strict=True)]
    measures = load_measures(["flip"] if options.flip else [])
    evaluator = Evaluator(systems, PROTOCOLS["plain"], degradation_named(options.degradation), measures)
    results = [evaluator.evaluate(group).without_photos() for group in groups]
    report = make_report(evaluator, results, "1")

    extra = list(measures)
    lines = [
        f"| | PSNR-Y | SSIM-Y |{''.join(f' {name.upper()} |' for name in extra)} gain over bicubic |",
        f"|---|---|---|{'---|' * len(extra)}---|",
    ]
    for name, system in report["systems"].items():
        mean, interval = system["mean"], system["interval"]["gain"]
        figures = "".join(f" {mean[figure]:.4f} |" for figure in extra)
        gain = f"{mean['gain']:+.2f} dB" + (f" [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else "")
        lines.append(
            f"| {name} | {mean['psnr_y']:.2f} dB | {mean['ssim_y']:.4f} |{figures} {'' if name == 'bicubic' else gain} |"
        )
    if options.degradation == "bicubic" and tuple(sorted(result.name for result in results)) == GROUPS:
        bicubic = report["systems"]["bicubic"]["mean"]["psnr_y"]
        for name, psnr in PUBLISHED.items():
            lines.append(f"| {name}, no reference | {psnr:.2f} dB | |{' |' * len(extra)} {psnr - bicubic:+.2f} dB |")
    lines += [
        "",
        f"Mean over {len(results)} groups, in brackets the 95 % bootstrap interval. Protocol "
        f"{report['protocol']['definition']}. LR photos: {report['protocol']['degradation']}. {machine()}.",
    ]
    return lines


if __name__ == "__main__":
    main()
