"""c2m-tf upscale for many photos: a folder or a table of jobs, in this process or on Ray."""

import argparse
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from c2m_tf.commands.options import encoding_of, size_of, worker_settings
from c2m_tf.commands.running import CommandFailedError, track
from c2m_tf.photos.files import is_url, place
from c2m_tf.startup import say, warn

if TYPE_CHECKING:
    from c2m_tf.jobs.folders import Job
    from c2m_tf.jobs.work import Outcome, WorkerSettings


def add_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads besides those of a single photo."""
    many = command.add_argument_group("many photos", "a folder, or a table of jobs; paths may be URLs such as s3://")
    many.add_argument(
        "--overwrite",
        action="store_true",
        help="make results again that are there and complete, and replace what else is there",
    )
    many.add_argument("--report", metavar="FILE", help="write name, seconds, tiles, error of each photo: .parquet or .csv")
    many.add_argument("--shard", metavar="I/N", help="only the I-th of N shares of about one size, I from 1 to N")
    many.add_argument("--engine", choices=("ray",), help="what runs it (default: this process; ray needs the extra ray)")
    many.add_argument(
        "--address", metavar="ADDRESS", help="Ray cluster: HOST:PORT, ray://HOST:PORT or auto (default: one on this machine)"
    )
    many.add_argument(
        "--workers", type=int, metavar="N", help="Ray workers (default: one for each GPU, or for each machine of the cluster)"
    )


def is_wanted(options: argparse.Namespace) -> bool:
    """Whether the options ask for many photos: a table, a folder, or a URL."""
    return (
        options.jobs is not None
        or any(map(is_url, (options.input, options.output, *options.reference)))
        or Path(options.input).is_dir()
    )


def check_single(options: argparse.Namespace) -> None:
    """Raises ValueError if an option for many photos is given with a single one."""
    for name in ("overwrite", "report", "shard", "engine", "address", "workers"):
        if getattr(options, name):
            raise ValueError(f"--{name} is for many photos; give a folder as -i, or a table as --jobs")


def run(options: argparse.Namespace) -> int:
    """Checks everything that can be known before, then does all jobs; returns the exit code."""
    from c2m_tf.jobs import storage
    from c2m_tf.jobs.tables import check_report, writing_report
    from c2m_tf.jobs.work import FAILED, KEPT, MADE, Outcome
    from c2m_tf.photos import images

    if options.engine is None and (options.address or options.workers is not None):
        raise ValueError("--address and --workers are for --engine ray")
    if options.engine is not None and options.threads is not None:
        raise ValueError("--threads is for this process; --workers says how many share the cores of Ray's cluster")
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers {options.workers} is no positive number; leave it out for one on each machine")
    work = _work(options)
    written = [job.output for job in work.jobs]
    if options.report is not None:
        read = [path for job in work.jobs for path in (job.lr, *job.refs)]
        images.check_not_input(options.report, [*read, *_read_besides(options)])
        check_report(options.report)
        written.append(options.report)
    if options.comparison is not None:
        written += _sheets(options, work.jobs)
    storage.check_writable(job.output for job in work.jobs)
    images.check_distinct(path for path in written if not is_url(path))
    settings = worker_settings(
        options,
        strength=options.reference_strength,
        overwrite=options.overwrite,
        encoding=encoding_of(options),
        size=size_of(options),
        album=None if options.album is None else storage.absolute(options.album),
        references_per_photo=options.references_per_photo,
        cache=None if options.cache is None else storage.absolute(options.cache),
        comparison=None if options.comparison is None else storage.absolute(options.comparison),
    )

    counts = dict.fromkeys((MADE, KEPT, FAILED), 0)
    coverage = _Coverage()
    chosen: Counter[str] = Counter()
    with _started(options, settings, work.jobs) as outcomes, writing_report(options.report) as report:

        def note(job: "Job", outcome: "Outcome") -> None:
            report.add(job, outcome)
            counts[outcome.status] += 1
            coverage.add(outcome.explained)
            if outcome.model:
                chosen[outcome.model.partition(":")[0]] += 1
            if outcome.error:
                warn(f"{PurePath(job.lr).name}: {outcome.error}")

        for job, reason in work.failed:
            note(job, Outcome(FAILED, error=reason))
        for index, outcome in track(outcomes, "upscaling", len(work.jobs)):
            note(work.jobs[index], outcome)
    storage.clear(written)
    kept = f", {counts[KEPT]} there already (--overwrite makes them again)" if counts[KEPT] else ""
    if chosen:
        models = ", ".join(f"{preset} for {count}" for preset, count in sorted(chosen.items()))
        warn(f"took {models} of {chosen.total()} photos (--report says why, --model takes another)")
    say(f"{counts[MADE]} upscaled, {counts[FAILED]} failed{kept}{work.passed_over}{coverage.in_words()}")
    return 1 if counts[FAILED] or report.failed else 0


class _Work(NamedTuple):
    """The jobs of this shard, (job, reason) of those that are known to fail, and what was passed over, in words."""

    jobs: "list[Job]"
    failed: "list[tuple[Job, str]]"
    passed_over: str


def _work(options: argparse.Namespace) -> _Work:
    from c2m_tf.jobs import storage, tables
    from c2m_tf.jobs.folders import Job, find_jobs

    shard = _Shard(options.shard)
    if options.jobs is not None:
        jobs = tables.read_table(options.jobs, _read_besides(options), encoding_of(options))
        return _Work([job for job in jobs if shard.has(job.output)], [], "")
    if options.overwrite and place(options.input) == place(options.output) and storage.is_folder(options.input):
        raise ValueError("--overwrite could replace photos where results lie among them; give another folder as -o")
    if options.album is not None and place(options.album) == place(options.output):
        raise ValueError(f"--album {options.album}: results would be taken for photos of it; give another folder as -o")
    found = find_jobs(
        options.input,
        options.reference,
        options.output,
        _read_besides(options),
        options.suffix,
        encoding_of(options),
        size_of(options),
    )
    return _Work(
        [job for job in found.jobs if shard.has(PurePath(job.output).name)],
        [(Job(lr, [], ""), reason) for lr, reason in found.problems if shard.has(PurePath(lr).name)],
        _skipped_in_words(found.others) + _folders_in_words(found.folders) + _alone_in_words(found.alone),
    )


def _sheets(options: argparse.Namespace, jobs: "Sequence[Job]") -> list[str]:
    """Where comparison sheets will lie; raises ImageError if they cannot."""
    from c2m_tf.jobs.work import sheet_path
    from c2m_tf.photos import images

    if is_url(options.comparison) or PurePath(options.comparison).suffix.lower() in images.SUFFIXES:
        raise ValueError(f"--comparison {options.comparison}: sheets of many photos need a local folder")
    for folder in (options.input, *options.reference, options.album):
        if folder is not None and place(folder) == place(options.comparison):
            raise ValueError(f"--comparison {options.comparison}: sheets would be taken for photos there; give another folder")
    images.make_folder(options.comparison)
    read = [path for path in (options.input, *options.reference) if path and not is_url(path)]
    inputs = images.Inputs([*(path for job in jobs for path in (job.lr, *job.refs)), *read, *_read_besides(options)])
    sheets = [sheet_path(options.comparison, job.output) for job in jobs]
    for sheet in sheets:
        images.check_output(sheet, inputs)
    return sheets


def _read_besides(options: argparse.Namespace) -> list[str]:
    """What is read besides photos and their references; a preset's name is passed over, because no such file is there."""
    return [path for path in (options.jobs, options.model, options.album) if path]


@contextmanager
def _started(
    options: argparse.Namespace, settings: "WorkerSettings", jobs: "Sequence[Job]"
) -> "Iterator[Iterable[tuple[int, Outcome]]]":
    """(index, Outcome) of all jobs as they end. What does them has been started, with its model, before the first is drawn."""
    if not jobs:
        yield iter(())
    elif options.engine == "ray":
        from c2m_tf.jobs.ray_engine import EngineStoppedError, RayEngine

        try:
            with RayEngine(settings.open_worker, options.address, options.workers) as engine:
                yield engine.run([_absolute(job) for job in jobs])
        except EngineStoppedError as error:
            raise CommandFailedError(str(error), 1) from error
    else:
        yield enumerate(map(settings.open_worker(), jobs))


def _absolute(job: "Job") -> "Job":
    """The job as workers in other folders find it."""
    from c2m_tf.jobs.storage import absolute

    return job._replace(lr=absolute(job.lr), refs=[absolute(path) for path in job.refs], output=absolute(job.output))


class _Shard:
    """A share of all jobs, I/N. It depends on names alone, so that shares fit together while a folder or a table grows.

    Raises:
        ValueError: no such share.
    """

    def __init__(self, text: str | None) -> None:
        match = re.fullmatch(r"(\d+)/(\d+)", text or "1/1")
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ValueError(f"--shard {text}: expected is I/N with I from 1 to N, e.g. 2/8 for the second of eight shares")
        self._index, self._count = int(match[1]) - 1, int(match[2])

    def has(self, name: str) -> bool:
        """Whether the job of that name is in the share."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self._count == self._index


class _Coverage:
    """How much of the photos the references explain, whatever the number of photos."""

    def __init__(self) -> None:
        self._lowest, self._highest, self._sum, self._count = 1.0, 0.0, 0.0, 0

    def add(self, share: float | None) -> None:
        if share is not None:
            self._lowest, self._highest = min(self._lowest, share), max(self._highest, share)
            self._sum, self._count = self._sum + share, self._count + 1

    def in_words(self) -> str:
        """For the summary; nothing without references."""
        if not self._count:
            return ""
        mean = self._sum / self._count
        return f"; references explain {self._lowest:.0%} to {self._highest:.0%} of the photos, {mean:.0%} in the mean"


def _skipped_in_words(names: Sequence[str]) -> str:
    """Which files were no photos by their names, for the summary; nothing if there were none."""
    if not names:
        return ""
    suffixes = sorted({PurePath(name).suffix.lower() or "without suffix" for name in names})
    return f"; {len(names)} skipped, not photos by their names ({', '.join(suffixes)})"


def _folders_in_words(names: Sequence[str]) -> str:
    """Which folders were not entered, for the summary; nothing if there were none."""
    return f"; {len(names)} {'folder' if len(names) == 1 else 'folders'} not entered ({_some(names)})" if names else ""


def _alone_in_words(names: Sequence[str]) -> str:
    """Which photos have no reference of their name, for the summary; nothing if all have."""
    return f"; {len(names)} without a reference of that name ({_some(names)})" if names else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:3], *(["..."] if names[3:] else [])])
