"""One job: a photo fetched, upscaled and stored. Whatever fails becomes part of the outcome, and the next job goes on."""

import contextlib
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from c2m_tf.jobs import storage
from c2m_tf.jobs.folders import Job, find_jobs, is_complete
from c2m_tf.photos.files import is_url
from c2m_tf.photos.formats import DEFAULT_ENCODING, Encoding, ImageError
from c2m_tf.photos.result_size import FULL_SIZE, ResultSize
from c2m_tf.startup import ending_before, one_line
from c2m_tf.upscaling.album import Album
from c2m_tf.upscaling.plans import default_max_memory
from c2m_tf.upscaling.upscaler import References, Upscaler, UpscaleResult

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
        album: the references that were chosen out of an album, and why; empty without one.
    """

    status: str
    seconds: float = 0.0
    tiles: int = 0
    explained: float | None = None
    error: str = ""
    model: str = ""
    album: str = ""


class WorkerSettings(NamedTuple):
    """What a worker is made of, wherever it runs; see `Upscaler.from_preset` and `Worker` for the fields."""

    model: str = "auto"
    dtype: str | None = None
    max_memory: int | None = None
    search: str = "auto"
    tile: int | None = None
    window: int | None = None
    strength: float = 1.0
    overwrite: bool = False
    ensemble: int = 1
    trusted: bool = False
    encoding: Encoding = DEFAULT_ENCODING
    size: ResultSize = FULL_SIZE
    comparison: str | None = None
    album: str | None = None
    references_per_photo: int = 3
    cache: str | None = None
    threads: int | None = None
    device: str | None = None

    def open_worker(self, on_one_machine: int = 1, cores: int | None = None) -> "Worker":
        """Loads the model.

        Args:
            on_one_machine: how many workers share a machine's memory.
            cores: that this worker may use; by default `threads`, or those that the process may use.

        Raises:
            ValueError, ImportError: see `Upscaler.from_preset`; or a strength that the model does not know.
        """
        upscaler = Upscaler.from_preset(
            self.model,
            dtype=self.dtype,
            max_memory=self.max_memory or default_max_memory() // on_one_machine,
            search=self.search,
            tile=self.tile,
            window=self.window,
            threads=cores or self.threads,
            device=self.device,
            ensemble=self.ensemble,
            trusted=self.trusted,
        )
        upscaler.check_strength(self.strength)
        album = None if self.album is None else Album(self.album, self.references_per_photo, self.cache)
        upscaler.load()  # what would fail then fails before any work
        return Worker(upscaler, self.strength, self.overwrite, self.encoding, self.size, self.comparison, album)


class Worker:
    """Does one job after the other. References that a job shares with the one before are fetched, read and encoded once.

    Args:
        upscaler: Upscaler for all jobs.
        strength: in [0, 1], how much of the references is used.
        overwrite: make results again that are there and complete, and replace what else is there.
        encoding: how results are stored.
        size: of results.
        comparison: folder for a comparison sheet of each photo that is made, of its result's name; None for none.
        album: from which references are chosen for photos without one; None for none.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        strength: float = 1.0,
        overwrite: bool = False,
        encoding: Encoding = DEFAULT_ENCODING,
        size: ResultSize = FULL_SIZE,
        comparison: str | None = None,
        album: Album | None = None,
    ) -> None:
        self._upscaler = upscaler
        self._strength = strength
        self._overwrite = overwrite
        self._encoding = encoding
        self._size = size
        self._comparison = comparison
        self._album = album
        self._references: References | None = None
        self._paths: list[str] = []  # of these references
        self._copies = _Copies()

    def __call__(self, job: Job) -> Outcome:
        """Does a job; raises nothing that is the fault of its photos or of where they lie."""
        start = time.perf_counter()
        try:
            if not self._overwrite and is_complete(job.output, job.lr, self._size):
                return Outcome(KEPT, time.perf_counter() - start)
            result = self._make(job)
        except Exception as error:
            ending = ending_before(error)
            if ending is not None:
                raise ending from None
            # Of many photos one fails in ways that nobody foresaw, and the others must not be lost with it.
            known = isinstance(error, (ValueError, OSError, ImportError))
            reason = one_line(self._copies.with_urls(str(error)) or type(error).__name__)
            reason = reason if known else f"{type(error).__name__}: {reason}"
            return Outcome(FAILED, time.perf_counter() - start, error=reason)
        model = f"{result.preset}: {result.reason}" if result.reason else ""
        return Outcome(MADE, time.perf_counter() - start, result.tiles, result.coverage, model=model, album=result.album)

    def _make(self, job: Job) -> UpscaleResult:
        self._copies.keep(job.refs)
        lr, refs = self._copies.local(job.lr), [self._copies.local(path) for path in job.refs]
        remote = is_url(job.output)
        with tempfile.TemporaryDirectory(prefix="c2m-tf.") if remote else contextlib.nullcontext() as folder:
            output = f"{folder}/result{PurePosixPath(job.output).suffix}" if remote else job.output
            with self._upscaler.prepare(
                lr, self._opened(refs, job.refs), self._strength, self._size, None, None if job.refs else self._album
            ) as prepared:
                prepared.check_output(output, self._encoding)
                sheet = None if self._comparison is None else sheet_path(self._comparison, job.output)
                if sheet is not None and not self._overwrite and Path(sheet).exists():
                    raise ImageError(f"{sheet} is there; give another folder for sheets, or --overwrite to replace it")
                result = prepared.run()
                result.image.save(output, **self._encoding._asdict())
                if sheet is not None:
                    prepared.write_comparison(sheet, result)
            if remote:
                storage.store(Path(output), job.output)
        return result

    def _opened(self, paths: list[str], given: Sequence[str]) -> References | None:
        """The references at these paths; those of the job before, if they are the same."""
        if not paths or self._strength == 0:
            return None
        if self._references is None or paths != self._paths:
            self._references = None  # frees the old features before the new ones are computed
            self._references, self._paths = self._upscaler.open_references(paths), paths
            self._references.names = [PurePosixPath(path).name for path in given]  # not those of copies
        return self._references


def sheet_path(folder: str, output: str) -> str:
    """Where the comparison sheet of a result lies."""
    return str(Path(folder) / f"{PurePosixPath(output).stem}.png")


def upscale_folder(
    upscaler: Upscaler,
    source: str | os.PathLike,
    references: str | os.PathLike | Sequence[str | os.PathLike] | None,
    output: str | os.PathLike,
    *,
    suffix: str,
    encoding: Encoding,
    size: ResultSize,
    strength: float,
    overwrite: bool,
    progress: Callable[[int, int], None] | None,
) -> list[tuple[Job, Outcome]]:
    """See `Upscaler.upscale_folder`."""
    upscaler.check_strength(strength)
    encoding.check()
    size.check()
    if not storage.is_folder(os.fspath(source)):
        raise ImageError(f"{source} is not a folder; give one of photos, or call the upscaler with a single photo")
    several = [references] if isinstance(references, (str, os.PathLike)) else references or []
    found = find_jobs(os.fspath(source), [os.fspath(path) for path in several], os.fspath(output), (), suffix, encoding, size)
    worker = Worker(upscaler, strength, overwrite, encoding, size)
    done = [(Job(lr, [], ""), Outcome(FAILED, error=reason)) for lr, reason in found.problems]
    for job in found.jobs:
        done.append((job, worker(job)))
        if progress is not None:
            progress(len(done), len(found.jobs) + len(found.problems))
    return done


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
