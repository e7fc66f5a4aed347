"""Reports of evaluations: as JSON, as a table, and as a sheet of pictures.

The report is a dict; figures that are not finite (PSNR of equal photos) become null in JSON:

    protocol      name, its definition, the degradation, the references, the systems' order, the judging figure
    systems       {system: {"mean": {figure: mean over groups}, "interval": {figure: [low, high] or null}}}, "gain" being the
                  judging figure's difference to bicubic
    groups        [{"name", "fit", "references", "figures": {system: {figure: value}}}]

An interval holds the middle 95 % of the means when groups are resampled with replacement many times: how much the choice of
photos matters, not the variation between training runs. Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993),
percentile intervals.

The sheet has a column for each group of largest, middle and smallest gain of the first system over bicubic, and a row for each
system, cropped to where the systems differ most. The first row shows the HR photo with the cut marked, the last one the first
reference.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from c2m_tf.evaluation.evaluator import BICUBIC, Evaluator, GroupResult
from c2m_tf.photos.drawing import Panel, crop_panels, most_changed_box, sheet

_HEADINGS = {"psnr_y": "PSNR-Y", "ssim_y": "SSIM-Y", "psnr_rgb": "PSNR-RGB", "ssim_rgb": "SSIM-RGB"}
_REFERENCES = {
    "1": "first reference",
    "all": "all references",
    "none": "no reference",
    "shuffled": "reference of another group, the one of the next eight that matches least",
}

LEVEL = 0.95
RESAMPLES = 10_000

_SIDE = 96  # pixels of the cut
_MARK = (255, 40, 40)
_SHEET_HEIGHT = 260


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


def _system_lines(report: dict[str, Any]) -> list[str]:
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


def bootstrap_interval(values: Sequence[float], level: float = LEVEL, seed: int = 0) -> tuple[float, float] | None:
    """Percentile interval of the mean.

    Args:
        values: one figure per group; may be infinite.
        level: share of the means inside the interval.
        seed: of the draws; the same values and seed give the same interval.

    Returns:
        (low, high), or None for fewer than two values or values that are not numbers.
    """
    given = np.asarray(values, np.float64)
    if given.size < 2 or np.isnan(given).any():
        return None
    chosen = np.random.default_rng(seed).integers(0, given.size, (RESAMPLES, given.size))
    # A value of the sample itself, so that infinite means need no interpolation.
    low, high = np.percentile(given[chosen].mean(axis=1), [50 * (1 - level), 50 * (1 + level)], method="inverted_cdf")
    return float(low), float(high)


def comparison_sheet(results: Sequence[GroupResult], judged_by: str) -> np.ndarray:
    """Draws the sheet.

    Args:
        results: at least one.
        judged_by: figure that gains are counted in.

    Returns:
        uint8 picture.
    """
    columns = [_column(rank, result, judged_by) for rank, result in _chosen(results, judged_by).items()]
    return sheet([list(row) for row in zip(*columns, strict=True)], height=_SHEET_HEIGHT)


def _chosen(results: Sequence[GroupResult], judged_by: str) -> dict[str, GroupResult]:
    """{rank: result}: one to three of the results, none twice; a single one has no rank."""
    first = list(results[0].figures)[:2][-1]  # bicubic, if it is alone
    ordered = sorted(results, key=lambda result: -gain(result.figures, first, judged_by))
    if len(results) == 1:
        return {"": results[0]}
    ranks = {"largest gain": ordered[0], "median": ordered[len(ordered) // 2], "smallest gain": ordered[-1]}
    chosen: dict[str, GroupResult] = {}
    for rank, result in ranks.items():
        if all(result is not other for other in chosen.values()):
            chosen[rank] = result
    return chosen


def _column(rank: str, result: GroupResult, judged_by: str) -> list[Panel]:
    case = result.case
    assert case is not None  # kept until `without_photos`
    hr = case.hr
    pictures = np.stack([picture.astype(np.float32) for picture in result.pictures.values()])
    box = _in_shape_of(hr, most_changed_box(pictures.max(axis=0), pictures.min(axis=0), _SIDE))
    cuts = [
        Panel(f"{name} {result.figures[name][judged_by]:.2f} dB{_sign(result, name, judged_by)}", picture)
        for name, picture in result.pictures.items()
    ]
    whole = Panel(f"{result.name}: {rank}" if rank else result.name, _marked(hr, box))
    last = [Panel("reference", case.references[0])] if case.references else [Panel("LR", case.lr)]
    return [whole, *crop_panels([*cuts, Panel("HR", hr)], box), *last]


def _in_shape_of(photo: np.ndarray, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The box widened to the photo's aspect ratio, so that the sheet's columns are even."""
    top, left, height, width = box
    rows, columns = photo.shape[:2]
    wide = min(columns, max(1, round(height * columns / rows)))
    return top, min(max(0, left - (wide - width) // 2), columns - wide), height, wide


def _sign(result: GroupResult, name: str, judged_by: str) -> str:
    difference = gain(result.figures, name, judged_by)
    return f" ({difference:+.2f})" if difference else ""


def _marked(photo: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    top, left, height, width = box
    marked = photo.copy()
    for thickness in range(2):
        bottom, right = top + height - 1 - thickness, left + width - 1 - thickness
        marked[top + thickness, left : left + width] = marked[bottom, left : left + width] = _MARK
        marked[top : top + height, left + thickness] = marked[top : top + height, right] = _MARK
    return marked
