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
    """A callback of (tiles done, tiles in all) that draws a progress bar; photos of one tile draw none."""
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("upscaling")
    started: list[bool] = []

    def show(done: int, total: int) -> None:
        if total > 1 and not started:
            bar.start()
            started.append(True)
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if started:
            bar.stop()
