"""Timing side by side: workers in processes of their own that run in turn, so that changes of the machine affect all equally.

A worker is a script that loads what it needs, prints "ready", and then, for every line it reads, does its work once
and prints one JSON object of seconds by part. Compare ratios between workers of one run; seconds depend
on the machine.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREADS = 2


class Worker:
    """A process that runs one measurement per request.

    Args:
        name: for the table.
        command: arguments after the Python interpreter.
    """

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.rounds = []
        environment = os.environ | {
            "OMP_NUM_THREADS": str(THREADS),
            "OMP_WAIT_POLICY": "passive",
            "TF_NUM_INTRAOP_THREADS": str(THREADS),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self._process = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer("ready")

    def ask(self) -> dict[str, float]:
        """Requests one measurement; returns seconds by part."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        answer = json.loads(self._answer("{"))
        self.rounds.append(answer)
        return answer

    def median(self, part: str) -> float:
        """Median seconds of a part over the rounds so far."""
        return statistics.median(answer[part] for answer in self.rounds)

    def stop(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()

    def _answer(self, start):
        for line in self._process.stdout:
            if line.startswith(start):
                return line
        raise RuntimeError(f"worker {self.name} ended; run its command alone to see why")


def run_in_turn(workers: list[Worker], rounds: int) -> None:
    """Asks every worker once to warm up, then `rounds` times in turn."""
    for worker in workers:
        worker.ask()
        worker.rounds.clear()
    for number in range(rounds):
        for worker in workers:
            worker.ask()
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def serve(work: Callable[[], dict[str, float]]) -> None:
    """The worker's side: says that it is ready, then works once for each line read."""
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(work()), flush=True)


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def peak_mebibytes() -> float:
    """Largest resident size of this process so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    """One line about the processor, the system and the date."""
    model = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open() as info:
            model = next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return (
        f"{model}, {os.cpu_count()} cores, {THREADS} threads, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )
