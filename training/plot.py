"""Curves of a run, drawn from its log."""

import os
from pathlib import Path

import numpy as np

from c2m_tf.photos.images import check_writable, write_atomically

from .runs import RunError, read_log

_NOT_CURVES = ("iteration", "seconds_per_iteration")


def plot(folder: str | os.PathLike, output: str | os.PathLike | None = None) -> Path:
    """Draws every column of log.csv against the iteration.

    Args:
        folder: run folder.
        output: .png to write; by default curves.png in the run folder.

    Returns:
        Path written.

    Raises:
        RunError: no log in the folder, nothing in it yet, or a damaged one.
        ImageError: the output cannot be written.
    """
    log = Path(folder) / "log.csv"
    if not log.is_file():
        raise RunError(f"{folder} holds no log.csv; give the folder of a run")
    rows = read_log(folder)
    if not rows:
        raise RunError(f"{log} has no lines yet; wait for the first log_every iterations")
    names = [name for name in rows[0] if name not in _NOT_CURVES]
    if not names:
        raise RunError(f"{log} has no column to draw; restore it")
    output = Path(output) if output is not None else Path(folder) / "curves.png"
    if output.suffix.lower() != ".png":
        raise RunError(f"{output}: curves are drawn as PNG; name it so")
    check_writable(output)

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(4.5 * columns, 3 * lines), squeeze=False, layout="constrained")
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for name, axis in zip(names, axes.flat, strict=False):
        points = [(int(row["iteration"]), float(row[name])) for row in rows if row[name] != ""]
        axis.plot(*np.reshape(points, (-1, 2)).T, marker="." if len(points) < 50 else "", linewidth=1)
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("iteration")
        axis.grid(alpha=0.3)
    write_atomically(output, lambda file: figure.savefig(file, format="png", dpi=100))
    pyplot.close(figure)
    return output
