"""c2m-tf upscale for many photos: a folder or a table of jobs, in this process or on Ray."""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from c2m_tf.commands.model_options import worker_settings
from c2m_tf.commands.progress import track
from c2m_tf.commands.running import CommandFailedError
from c2m_tf.startup import one_line

if TYPE_CHECKING:
    from c2m_tf.upscaling.batch import Job


def add_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads besides those of a single photo."""
    many = command.add_argument_group("many photos", "a folder, or a table of jobs; paths may be URLs such as s3://")
    many.add_argument("--overwrite", action="store_true", help="make results again that are there and complete")
    many.add_argument("--report", metavar="FILE", help="write name, seconds, tiles, error of each photo: .parquet or .csv")
    many.add_argument("--shard", metavar="I/N", help="only the I-th of N equal shares, I from 1 to N")
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
        or any("://" in path for path in (options.input, options.output, *options.reference))
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
    from c2m_tf.jobs.report import check_report, writing_report
    from c2m_tf.jobs.work import FAILED, KEPT, MADE, Outcome
    from c2m_tf.photos import images

    if options.engine is None and (options.address or options.workers is not None):
        raise ValueError("--address and --workers are for --engine ray")
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers {options.workers} is no positive number; leave it out for one on each machine")
    jobs, problems = _jobs(options)
    if options.report is not None:
        images.check_not_input(options.report, [path for path in (options.jobs,) if path and not storage.is_url(path)])
        check_report(options.report)
    storage.check_writable(job.output for job in jobs)
    settings = worker_settings(options, strength=options.reference_strength, overwrite=options.overwrite)

    counts = dict.fromkeys((MADE, KEPT, FAILED), 0)
    explained = _Explained()
    chosen: Counter[str] = Counter()
    with _started(options, settings, jobs) as outcomes, writing_report(options.report) as report:

        def note(job: "Job", outcome: Outcome) -> None:
            report(job, outcome)
            counts[outcome.status] += 1
            explained.add(outcome.explained)
            if outcome.model:
                chosen[outcome.model.partition(":")[0]] += 1
            if outcome.error:
                print(f"c2m-tf: {one_line(f'{PurePath(job.lr).name}: {outcome.error}')}", file=sys.stderr)

        for job, reason in problems:
            note(job, Outcome(FAILED, error=reason))
        for index, outcome in track(outcomes, "upscaling", len(jobs)):
            note(jobs[index], outcome)
    storage.clear(job.output for job in jobs)
    kept = f", {counts[KEPT]} there already (--overwrite makes them again)" if counts[KEPT] else ""
    skipped = images.list_others(options.input) if options.jobs is None and not storage.is_url(options.input) else []
    words = f"{kept}{_skipped_in_words(skipped)}{explained.in_words()}"
    if chosen:
        models = ", ".join(f"{preset} for {count}" for preset, count in sorted(chosen.items()))
        print(f"c2m-tf: took {models} of {chosen.total()} photos (--report says why, --model takes another)", file=sys.stderr)
    print(f"{counts[MADE]} upscaled, {counts[FAILED]} failed{words}")
    return 1 if counts[FAILED] else 0


def _jobs(options):
    """The jobs of this shard, and (job, reason) of those that are known to fail."""
    from c2m_tf.jobs import storage, table
    from c2m_tf.upscaling import batch

    first, count = _shard(options.shard)
    problems: Sequence[tuple[str | PathLike, str]] = []
    if options.jobs is not None:
        jobs = table.read_table(options.jobs)
    elif any(storage.is_url(path) for path in (options.input, options.output, *options.reference)):
        jobs, problems = table.url_folder_jobs(options.input, options.reference, options.output)
    else:
        jobs, problems = batch.find_jobs(options.input, options.reference, options.output)
    failed = [(batch.Job(str(lr), [], ""), reason) for lr, reason in problems]
    return jobs[first::count], failed[first::count]


@contextmanager
def _started(options, settings, jobs):
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


def _absolute(job):
    """The job as workers in other folders find it."""
    from c2m_tf.jobs.storage import absolute

    return job._replace(lr=absolute(job.lr), refs=[absolute(path) for path in job.refs], output=absolute(job.output))


def _shard(text):
    """Index of the first job and step, of I/N; raises ValueError if that is no share."""
    if text is None:
        return 0, 1
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"--shard {text}: expected is I/N with I from 1 to N, e.g. 2/8 for the second of eight shares")
    return int(match[1]) - 1, int(match[2])


class _Explained:
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


def _skipped_in_words(paths):
    """Which files were no photos by their names, for the summary; nothing if there were none."""
    if not paths:
        return ""
    suffixes = sorted({path.suffix.lower() or "without suffix" for path in paths})
    return f"; {len(paths)} skipped, not photos by their names ({', '.join(suffixes)})"
