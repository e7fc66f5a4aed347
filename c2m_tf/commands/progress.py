"""Progress bars on standard error."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], title: str, total: int | None = None) -> Iterable[Item]:
    """Iterates over the items with a progress bar; `total` is their number where it cannot be asked for."""
    from rich import progress
    from rich.console import Console

    return progress.track(items, description=title, total=total, console=Console(stderr=True))


@contextmanager
def tile_progress() -> Iterator[Callable[[int, int], None]]:
    """A callback of (tiles done, tiles in all) that draws a bar on a terminal, with the time that has passed and is left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:  # it would write an empty line at the end
        yield lambda done, total: None
        return
    columns = (TextColumn("upscaling"), BarColumn(), MofNCompleteColumn(), TextColumn("tiles"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("upscaling", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
