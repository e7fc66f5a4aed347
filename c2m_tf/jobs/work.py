"""One job: a photo fetched, upscaled and stored. Whatever fails becomes part of the outcome, and the next job goes on."""

import shutil
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from c2m_tf.jobs import storage
from c2m_tf.jobs.results import is_complete
from c2m_tf.photos.paths import is_url
from c2m_tf.startup import one_line
from c2m_tf.upscaling import batch, opening
from c2m_tf.upscaling.base import TiledUpscaler
from c2m_tf.upscaling.batch import Job
from c2m_tf.upscaling.choice import AUTO, CLEAN, Choice, ChosenUpscalers
from c2m_tf.upscaling.memory import default_max_memory

MADE = "made"
KEPT = "kept"
FAILED = "failed"


class Outcome(NamedTuple):
    """What became of a job.

    Attributes:
        status: "made"; "kept", a complete result was there; or "failed".
        seconds: that it took, files included.
        tiles: restored.
        explained: share of the photo's patches that a reference shows, in [0, 1]; None if unknown.
        error: one line; empty if the job did not fail.
        model: the preset that was chosen for the photo, and why; empty if none was chosen.
    """

    status: str
    seconds: float = 0.0
    tiles: int = 0
    explained: float | None = None
    error: str = ""
    model: str = ""


class WorkerSettings(NamedTuple):
    """What a worker is made of, wherever it runs; see `opening.open_upscaler` and `Worker` for the fields.

    Model `choice.AUTO` chooses a preset for each photo.
    """

    model: str = "light"
    dtype: str | None = None
    max_memory: int | None = None
    search: str = "auto"
    tile: int | None = None
    window: int | None = None
    strength: float = 1.0
    overwrite: bool = False
    ensemble: int = 1

    def open_worker(self, on_one_machine: int = 1, cores: int | None = None) -> "Worker":
        """Loads the model.

        Args:
            on_one_machine: how many workers share a machine's memory.
            cores: that this worker may use; by default those that the process may use.

        Raises:
            ValueError, ImportError: see `opening.open_upscaler`; or a strength that the model does not know.
        """
        settings: dict[str, Any] = {
            "dtype": self.dtype,
            "max_memory": self.max_memory or default_max_memory() // on_one_machine,
            "search": self.search,
            "tile": self.tile,
            "window": self.window,
            "threads": cores,
            "ensemble": self.ensemble,
        }
        chosen = ChosenUpscalers(**settings) if self.model == AUTO else None
        # One is opened now in any case, so that what would fail then fails before any work.
        upscaler = chosen.open(CLEAN) if chosen else opening.open_upscaler(self.model, **settings)
        upscaler.check_strength(self.strength)
        return Worker(chosen or upscaler, strength=self.strength, overwrite=self.overwrite)


class Worker:
    """Does one job after the other. References that a job shares with the one before are fetched, read and encoded once.

    Args:
        upscaler: TiledUpscaler for all jobs, or ChosenUpscalers.
        strength: in [0, 1], how much of the references is used.
        overwrite: make results again that are there and complete, and replace what else is there.
    """

    def __init__(self, upscaler: TiledUpscaler | ChosenUpscalers, *, strength: float = 1.0, overwrite: bool = False) -> None:
        self._upscaler = upscaler
        self._strength = strength
        self._overwrite = overwrite
        self._kept = batch.KeptReference()
        self._copies = _Copies()

    def __call__(self, job: Job) -> Outcome:
        """Does a job; raises nothing that is the fault of its photos or of where they lie."""
        start = time.perf_counter()
        tiles = 0

        def count(done: int, total: int) -> None:
            nonlocal tiles
            tiles = done

        try:
            if not self._overwrite and is_complete(job.output, job.lr):
                return Outcome(KEPT, time.perf_counter() - start)
            explained, model = self._make(job, count)
        except Exception as error:
            # Of many photos one fails in ways that nobody foresaw, and the others must not be lost with it.
            known = isinstance(error, (ValueError, OSError, ImportError))
            reason = one_line(self._copies.with_urls(str(error)) or type(error).__name__)
            reason = reason if known else f"{type(error).__name__}: {reason}"
            return Outcome(FAILED, time.perf_counter() - start, tiles, error=reason)
        return Outcome(MADE, time.perf_counter() - start, tiles, explained, model=model)

    def _make(self, job, progress):
        """The share of the photo that the references explain, and the choice of its model in words."""
        choices: list[Choice] = []
        self._copies.keep(job.refs)
        lr, refs = self._copies.local(job.lr), [self._copies.local(path) for path in job.refs]
        with tempfile.TemporaryDirectory(prefix="c2m-tf.") as folder:
            remote = is_url(job.output)
            output = f"{folder}/result{PurePosixPath(job.output).suffix}" if remote else job.output
            local = Job(lr, refs, output)
            explained = batch.run(
                self._upscaler,
                local,
                progress=progress,
                strength=self._strength,
                kept=self._kept,
                chosen=choices.append,
            )
            if remote:
                storage.store(Path(output), job.output)
        return explained, "".join(map(str, choices))


class _Copies:
    """Local copies of files at URLs; local files stand for themselves."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._paths: dict[str, Path] = {}
        self._made = 0

    def keep(self, urls: Sequence[str]) -> None:
        """Removes the copies of all others."""
        for url in [url for url in self._paths if url not in urls]:
            self._paths.pop(url).unlink(missing_ok=True)

    def local(self, path: str) -> str:
        """The path of a local file, or of a copy; raises ImageError if there is none."""
        if not is_url(path):
            return path
        if path not in self._paths:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="c2m-tf."))
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            self._made += 1
            copy = self._folder / f"{self._made}{PurePosixPath(path).suffix}"
            self._paths[path] = copy
            try:
                storage.fetch(path, copy)
            except BaseException:
                del self._paths[path]
                raise
        return str(self._paths[path])

    def with_urls(self, text: str) -> str:
        """A message in which copies are called by their URLs."""
        for url, copy in self._paths.items():
            text = text.replace(str(copy), url)
        return text
