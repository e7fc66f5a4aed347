"""The paper's ablation (Figure 3): four networks that differ in one piece each, trained alike, in one table and on one sheet.

    python research/ablation.py [--trunk FILE.npz] [--set KEY=VALUE ...] [--recipes FOLDER] [--output runs/ablation]

    baseline       matching on VGG's features, reference features warped by the flow
    aggregation    + dynamic aggregation
    contrast       + extractors trained by the triplet loss on blurred photos
    distillation   + a teacher of these extractors: the whole method

Each is a recipe, and so are the three runs of extractors that two of them need. All start from one trunk if one is given, see
the same batches (one seed), and are judged by `c2m-tf evaluate`'s plain protocol and by the share of matches within one cell.
"""

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from c2m_tf.training.config import ConfigError, read_config, rooted
from c2m_tf.training.sources import SinglePhotos
from c2m_tf.training.stages import run_stage
from c2m_tf.training.validation import MatchingValidation

from c2m_tf.evaluation.evaluator import Evaluator, ModelSystem
from c2m_tf.evaluation.groups import find_groups
from c2m_tf.evaluation.metrics import PROTOCOLS
from c2m_tf.evaluation.reports import as_json, comparison_sheet, make_report
from c2m_tf.network.model import C2Matching
from c2m_tf.photos import images
from c2m_tf.upscaling.upscaler import Upscaler

RECIPES = Path(__file__).parent / "ablation_recipes"
STEPS = {
    "baseline": "VGG's features, warping",
    "aggregation": "+ dynamic aggregation",
    "contrast": "+ contrastive extractors",
    "distillation": "+ distillation",
}
# Run, its stage, and the key by which it takes another run's extractors.
_RUNS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("teacher", "teacher", {}),
    ("contrast-extractors", "student", {}),
    ("student", "student", {"teacher": "teacher"}),
    ("baseline", "restoration", {}),
    ("aggregation", "restoration", {}),
    ("contrast", "restoration", {"extractors": "contrast-extractors"}),
    ("distillation", "restoration", {"extractors": "student"}),
)


def run_ablation(
    recipes: str | os.PathLike, folder: str | os.PathLike, settings: list[str], trunk: str | None = None
) -> list[str]:
    """Trains what is not trained yet, evaluates the four networks, and writes table.md, report.json and sheet.png.

    Args:
        recipes: folder with a recipe for each run.
        folder: holds a run folder for each recipe; runs in it are resumed, finished ones are kept.
        settings: "key=value" each, override that key in every recipe.
        trunk: .npz of a trunk that all four start from; None for random numbers from one seed.

    Returns:
        The table, as lines of Markdown.

    Raises:
        ValueError: recipes, photos, weights or folders cannot be used, known before anything is trained as far as can be.
        RunFailedError, RunStoppedError: see `stages.run_stage`.
    """
    folder = images.make_folder(folder)
    configs = {name: _config(name, stage, takes, recipes, folder, settings, trunk) for name, stage, takes in _RUNS}
    if any(config.distributed for config in configs.values()):
        raise ConfigError("the ablation runs in one process; leave distributed out")
    pairs = _pairs(configs)
    held_back = _held_back(configs)
    for name in ("table.md", "report.json", "sheet.png"):
        images.check_writable(folder / name)
    for name, stage, _ in _RUNS:
        run_stage(stage, configs[name], folder / name)
    return _compare(configs, folder, find_groups(pairs), held_back)


def _config(name, stage, takes, recipes, folder, settings, trunk):
    recipe = Path(recipes) / f"{name}.yaml"
    own = [f"{key}={folder / run / 'best.weights.h5'}" for key, run in takes.items()]
    if trunk is not None and stage == "restoration":
        own.append(f"trunk={trunk}")
    return read_config(stage, recipe, [*own, *settings])


def _pairs(configs):
    """The folder of validation pairs, one for all; its groups are checked here."""
    named = {name: getattr(configs[name].validation, "pairs", None) for name in STEPS}
    given = {rooted(configs[name], pairs) for name, pairs in named.items() if pairs is not None}
    if len(given) != 1 or None in named.values():
        raise ConfigError("the four networks of the ablation need the same validation.pairs to be compared on")
    pairs = given.pop()
    find_groups(pairs)
    return pairs


def _held_back(configs):
    """Photos that no run of extractors is trained on."""
    config = configs["student"]
    held_back = [
        path
        for source in config.data.sources
        if source.kind == "single" and source.held_back
        for path in SinglePhotos(rooted(config, source.folder), source.held_back).held_back
    ]
    if not held_back:
        raise ConfigError("recipe student: matches are judged on held-back photos; give a source of kind single held_back ones")
    return held_back


def _compare(configs, folder, groups, held_back):
    models = {name: C2Matching.from_preset(folder / name / "last.keras") for name in STEPS}
    evaluator = Evaluator([ModelSystem(name, Upscaler(model)) for name, model in models.items()], PROTOCOLS["plain"])
    results = [evaluator.evaluate(group) for group in groups]
    report = make_report(evaluator, results, "1")
    count = configs["student"].validation.photos if configs["student"].validation else len(held_back)
    for kind, degradation in (("degraded", "bicubic"), ("clean", None)):
        validation = MatchingValidation(held_back, count, degradation)
        for name, model in models.items():
            report["systems"][name]["mean"][f"matched_{kind}"] = validation.measure(_extractors(model))[0]["matched"]
    report["configs"] = {name: dataclasses.asdict(config) for name, config in configs.items()}
    text = json.dumps(as_json(report), indent=2, allow_nan=False).encode()
    images.write_atomically(folder / "report.json", lambda file: file.write(text))
    images.write(folder / "sheet.png", comparison_sheet(results, "psnr_y"))
    lines = table(report)
    images.write_atomically(folder / "table.md", lambda file: file.write("\n".join([*lines, ""]).encode()))
    return lines


def _extractors(model):
    """A model's extractors, called as `matching.Extractors` are."""
    return lambda photo, ref: (model.extractor_lr(np.asarray(photo)), model.extractor_ref(np.asarray(ref)))


def table(report: dict[str, Any]) -> list[str]:
    """The ablation as a Markdown table, and under it how it was made.

    Args:
        report: as report.json holds it.
    """
    lines = [
        "| | PSNR-Y | SSIM-Y | gain over bicubic | matches within one cell, degraded | clean |",
        "|---|---|---|---|---|---|",
    ]
    for name, label in STEPS.items():
        mean, interval = report["systems"][name]["mean"], report["systems"][name]["interval"]["gain"]
        spread = f" [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else ""
        lines.append(
            f"| {label} | {mean['psnr_y']:.2f} dB | {mean['ssim_y']:.4f} | {mean['gain']:+.2f} dB{spread} | "
            f"{mean['matched_degraded']:.1%} | {mean['matched_clean']:.1%} |"
        )
    configs = report["configs"]
    runs = ", ".join(f"{name} {config['iterations']:,}" for name, config in configs.items())
    seeds = sorted({config["seed"] for config in configs.values()})
    start = configs["baseline"]["trunk"] or "random numbers"
    lines += [
        "",
        f"Mean over {len(report['groups'])} groups, in brackets the 95 % bootstrap interval. Protocol "
        f"{report['protocol']['definition']}. Restoration networks start from {start}. Iterations: {runs}. Seed "
        f"{', '.join(map(str, seeds))}.",
    ]
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Runs the ablation and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipes", default=RECIPES, help="folder of recipes")
    parser.add_argument("--output", default="runs/ablation")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE", help="in every recipe")
    parser.add_argument("--trunk", metavar="FILE.npz", help="trunk that the four networks start from")
    options = parser.parse_args(arguments)
    print("\n".join(run_ablation(options.recipes, options.output, options.settings, options.trunk)))


if __name__ == "__main__":
    main()
