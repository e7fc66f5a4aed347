"""The comparison sheet of an evaluation: a column per group, a row per system, cropped to where the systems differ most.

Columns are the groups of largest, middle and smallest gain of the first system over bicubic. The first row shows the HR photo
with the cut marked, the last one the first reference.
"""

from collections.abc import Sequence

import numpy as np

from c2m_tf.evaluation.evaluator import GroupResult
from c2m_tf.evaluation.reports import gain
from c2m_tf.photos.sheets import Panel, crop_panels, most_changed_box, sheet

_SIDE = 96  # pixels of the cut
_MARK = (255, 40, 40)
_HEIGHT = 260


def comparison_sheet(results: Sequence[GroupResult], judged_by: str) -> np.ndarray:
    """Draws the sheet.

    Args:
        results: at least one.
        judged_by: figure that gains are counted in.

    Returns:
        uint8 picture.
    """
    columns = [_column(rank, result, judged_by) for rank, result in _chosen(results, judged_by).items()]
    return sheet([list(row) for row in zip(*columns, strict=True)], height=_HEIGHT)


def _chosen(results, judged_by):
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


def _column(rank, result, judged_by):
    hr = result.case.hr
    pictures = np.stack([picture.astype(np.float32) for picture in result.pictures.values()])
    box = _in_shape_of(hr, most_changed_box(pictures.max(axis=0), pictures.min(axis=0), _SIDE))
    cuts = [
        Panel(f"{name} {result.figures[name][judged_by]:.2f} dB{_sign(result, name, judged_by)}", picture)
        for name, picture in result.pictures.items()
    ]
    whole = Panel(f"{result.name}: {rank}" if rank else result.name, _marked(hr, box))
    last = [Panel("reference", result.case.references[0])] if result.case.references else [Panel("LR", result.case.lr)]
    return [whole, *crop_panels([*cuts, Panel("HR", hr)], box), *last]


def _in_shape_of(photo, box):
    """The box widened to the photo's aspect ratio, so that the sheet's columns are even."""
    top, left, height, width = box
    rows, columns = photo.shape[:2]
    wide = min(columns, max(1, round(height * columns / rows)))
    return top, min(max(0, left - (wide - width) // 2), columns - wide), height, wide


def _sign(result, name, judged_by):
    difference = gain(result.figures, name, judged_by)
    return f" ({difference:+.2f})" if difference else ""


def _marked(photo, box):
    top, left, height, width = box
    marked = photo.copy()
    for thickness in range(2):
        bottom, right = top + height - 1 - thickness, left + width - 1 - thickness
        marked[top + thickness, left : left + width] = marked[bottom, left : left + width] = _MARK
        marked[top : top + height, left + thickness] = marked[top : top + height, right] = _MARK
    return marked
