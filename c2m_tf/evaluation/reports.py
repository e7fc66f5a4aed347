"""Reports of evaluations: as JSON and as a table.

The report is a dict; figures that are not finite (PSNR of equal photos) become null in JSON:

    protocol      name, its definition, the degradation, the references, the systems' order, the judging figure
    systems       {system: {"mean": {figure: mean over groups}, "interval": {figure: [low, high] or null}}}, "gain" being the
                  judging figure's difference to bicubic
    groups        [{"name", "fit", "references", "figures": {system: {figure: value}}}]
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from c2m_tf.evaluation.evaluator import Evaluator, GroupResult
from c2m_tf.evaluation.intervals import bootstrap_interval
from c2m_tf.evaluation.systems import BICUBIC

_HEADINGS = {"psnr_y": "PSNR-Y", "ssim_y": "SSIM-Y", "psnr_rgb": "PSNR-RGB", "ssim_rgb": "SSIM-RGB"}
_REFERENCES = {
    "1": "first reference",
    "all": "all references",
    "none": "no reference",
    "shuffled": "reference of another group, the one of the next eight that matches least",
}


def gain(figures: dict[str, dict[str, float]], system: str, judged_by: str) -> float:
    """A system's figure minus bicubic's; 0 if both are equal, also if both are infinite."""
    own, bicubic = figures[system][judged_by], figures[BICUBIC][judged_by]
    return 0.0 if own == bicubic else own - bicubic


def make_report(evaluator: Evaluator, results: Sequence[GroupResult], references: str) -> dict[str, Any]:
    """The report of an evaluation.

    Args:
        evaluator: what evaluated.
        results: at least one.
        references: "1", "all", "none" or "shuffled".

    Returns:
        See the module docstring. Figures that are not finite are kept; `as_json` makes them null.
    """
    judged_by = evaluator.protocol.judged_by
    systems = {}
    for name in evaluator.names:
        values = {figure: [result.figures[name][figure] for result in results] for figure in results[0].figures[name]}
        values["gain"] = [gain(result.figures, name, judged_by) for result in results]
        systems[name] = {
            "mean": {figure: float(np.mean(each)) for figure, each in values.items()},
            "interval": {figure: bootstrap_interval(each) for figure, each in values.items()},
        }
    return {
        "protocol": {
            "name": evaluator.protocol.name,
            "definition": str(evaluator.protocol),
            "degradation": str(evaluator.degradation),
            "references": _REFERENCES[references],
            "judged_by": judged_by,
        },
        "systems": systems,
        "groups": [
            {"name": result.name, "fit": result.fit, "references": result.references, "figures": result.figures}
            for result in by_fit(results)
        ],
    }


def by_fit(results: Sequence[GroupResult]) -> list[GroupResult]:
    """Groups in the order of how well their references fit; by name where the fit is unknown."""
    return sorted(results, key=lambda result: (-result.fit if result.fit is not None else 0.0, result.name))


def as_json(value: Any) -> Any:
    """The report with null for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(report: dict[str, Any]) -> list[str]:
    """The report as lines of text: groups by fit with the judging figure, then the systems with all figures."""
    judged_by = report["protocol"]["judged_by"]
    names = list(report["systems"])
    width = max(9, *(len(name) + 2 for name in names))
    heading = "".join(f"{name:>{width}}" for name in names)
    lines = [f"{'group':<16}{'fit':>6}{heading}   ({_HEADINGS[judged_by]} in dB)"]
    for group in report["groups"]:
        fit = "-" if group["fit"] is None else f"{group['fit']:.3f}"
        values = "".join(f"{group['figures'][name][judged_by]:>{width}.2f}" for name in names)
        lines.append(f"{group['name'][:15]:<16}{fit:>6}{values}")
    lines += ["", *_system_lines(report), ""]
    protocol = report["protocol"]
    count = len(report["groups"])
    lines.append(
        f"Mean over {count} group{'s' if count > 1 else ''}; gain over bicubic in dB, in brackets the 95 % bootstrap interval "
        f"of its mean; fit: mean match score of the references."
    )
    lines.append(
        f"Protocol {protocol['definition']}. LR photos: {protocol['degradation']}. References: {protocol['references']}."
    )
    return lines


def _system_lines(report):
    judged_by = report["protocol"]["judged_by"]
    channel = judged_by.removeprefix("psnr_")
    systems = report["systems"]
    measures = [figure for figure in systems[BICUBIC]["mean"] if figure not in (*_HEADINGS, "gain")]
    figures = [judged_by, f"ssim_{channel}", *(["psnr_rgb"] if channel == "y" else []), *measures]
    width = max(12, *(len(name) + 2 for name in systems))
    heading = "".join(f"{_HEADINGS.get(figure, figure.upper()):>10}" for figure in figures)
    lines = [f"{'system':<{width}}{heading}{'gain':>8}"]
    for name, system in systems.items():
        values = "".join(
            f"{system['mean'][figure]:>10.2f}" if figure.startswith("psnr") else f"{system['mean'][figure]:>10.4f}"
            for figure in figures
        )
        interval = system["interval"]["gain"]
        spread = "" if interval is None or name == BICUBIC else f"  [{interval[0]:+.2f}, {interval[1]:+.2f}]"
        lines.append(f"{name:<{width}}{values}{system['mean']['gain']:>+8.2f}{spread}")
    return lines
