"""Many rows through the Ray engine with a sleeping stand-in of the model: does the driver's memory stay flat?

    python benchmarks/many_rows.py [--rows 100000] [--workers 2] [--seconds 0]

Prints the resident memory of this process after each tenth of the rows, and at the end how many rows came, how many of them
once, and what a row weighs. Nothing is upscaled, so rates say what the engine itself takes, at most.
"""

import argparse
import functools
import os
import time
from pathlib import Path

import pyarrow

from c2m_tf.jobs.folders import Job
from c2m_tf.jobs.ray_engine import RayEngine, Work
from c2m_tf.jobs.tables import writing_report
from c2m_tf.jobs.work import MADE, Outcome


def open_stand_in(seconds: float, on_one_machine: int, cores: int) -> Work:
    """A worker that sleeps instead of upscaling."""

    def work(job: Job) -> Outcome:
        time.sleep(seconds)
        return Outcome(MADE, seconds, 1, 0.25)

    return work


def resident() -> float:
    """Resident memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--report", default="many_rows.parquet")
    options = parser.parse_args()

    before = resident()
    folder = "s3://a-bucket/with/a/folder"
    jobs = [
        Job(f"{folder}/lr/{n:07}.png", [f"{folder}/ref/{n:07}.jpg"], f"{folder}/sr/{n:07}.png") for n in range(options.rows)
    ]
    print(f"table of {options.rows:,} jobs: {resident() - before:.0f} MiB", flush=True)
    seen = bytearray(options.rows)
    start = time.monotonic()
    with (
        RayEngine(functools.partial(open_stand_in, options.seconds), workers=options.workers) as engine,
        writing_report(options.report) as report,
    ):
        for done, (index, outcome) in enumerate(engine.run(jobs), 1):
            seen[index] += 1
            report(jobs[index], outcome)
            if done == 1 or done % (options.rows // 10) == 0:
                print(f"{done:>9,} rows  {time.monotonic() - start:7.1f} s  driver {resident():.0f} MiB", flush=True)
    print(f"{sum(seen):,} outcomes of {options.rows:,} jobs, {seen.count(1):,} exactly once")
    weight = pyarrow.Table.from_pylist([job._asdict() for job in jobs[:1000]]).nbytes / 1000
    print(f"{weight:.0f} bytes a row of the table as it travels")


if __name__ == "__main__":
    main()
