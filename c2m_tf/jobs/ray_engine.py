"""Many jobs on the machines of a Ray cluster, or on several processes of this machine: Ray Data maps workers over the table.

Photos do not pass through Ray: workers read and write them, so that only rows of the table and outcomes travel. A block of rows
whose worker died is done again by another one, which finds the results that were made before. A block that takes its worker
down again and again is given up; its jobs then run once more, one in each block, so that only the guilty ones are lost.
"""

import logging
import math
import os
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from c2m_tf.jobs.folders import Job
from c2m_tf.jobs.work import FAILED, Outcome
from c2m_tf.startup import one_line

Work = Callable[[Job], Outcome]

ROWS_AT_ONCE = 16  # of a block: few, so that little is done again where a worker dies, and that all workers end at one time
_DEATHS = 2  # of workers before a block is given up
_KNOCK_SECONDS = 20
_OBJECT_STORE = 256 * 2**20  # bytes, of a cluster that is started here: only rows of tables lie there


class EngineStoppedError(Exception):
    """The cluster broke off the work; what was made is there, and a run of the same jobs makes the rest."""


class RayEngine:
    """A cluster, as a context: entered, it is connected to, and a first worker has been opened there.

    Args:
        open_worker: called in each worker's process with the number of workers on one machine and the cores that this one may
            use; gives what does one job. Ray sends it there.
        address: of a cluster: HOST:PORT, ray://HOST:PORT, or "auto" for the one that runs on this machine. By default that of
            the environment variable RAY_ADDRESS; without it a cluster is started on this machine and stopped at the end.
        workers: processes; by default one for each GPU of the cluster, or for each of its machines.

    Raises:
        ValueError: (on entering) no cluster can be reached, it has too few cores, or no worker could be opened on it.
        ImportError: (on entering) Ray is not installed.
    """

    def __init__(self, open_worker: Callable[[int, int], Work], address: str | None = None, workers: int | None = None) -> None:
        self._open_worker = open_worker
        self._address = address
        self._workers = workers

    def __enter__(self) -> "RayEngine":
        self._ray = ray = _import_ray()
        self._own = not ray.is_initialized()
        if self._own:
            _connect(ray, self._address)
        try:
            machines = max(1, sum(node["Alive"] for node in ray.nodes()))
            resources = ray.cluster_resources()
            cores, gpus = int(resources.get("CPU", 0)), resources.get("GPU", 0.0)
            self._size = self._workers or int(gpus) or machines
            if cores < self._size:
                raise ValueError(f"--workers {self._size}: the cluster has {cores} cores; give no more workers than that")
            self._share: dict[str, Any] = {"num_cpus": cores // self._size, "num_gpus": min(1.0, gpus / self._size)}
            self._arguments = (self._open_worker, math.ceil(self._size / machines), cores // self._size)
            self._check_worker()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._own:
            self._ray.shutdown()

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """Does all jobs, in any order.

        Args:
            jobs: with paths as workers see them.

        Yields:
            (index of the job, Outcome), exactly one of each job, as they end.

        Raises:
            EngineStoppedError: the cluster was lost.
        """
        left = set(range(len(jobs)))
        for rows in (ROWS_AT_ONCE, 1):
            if not left:
                return
            for index, outcome in self._outcomes(jobs, sorted(left), rows):
                if index in left:
                    left.remove(index)
                    yield index, outcome
        for index in sorted(left):
            yield index, Outcome(FAILED, error=f"its worker died {_DEATHS + 1} times; it may have run out of memory")

    def _outcomes(self, jobs: Sequence[Job], indices: Sequence[int], rows: int) -> Iterator[tuple[int, Outcome]]:
        """(index, Outcome) of the jobs of those indices, without those of blocks that were given up."""
        blocks = _blocks(jobs, indices, rows)
        data = self._ray.data
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_errored_blocks = -1  # what becomes of jobs without outcome is decided in `run`
        pool = data.ActorPoolStrategy(size=min(self._size, len(blocks)), max_tasks_in_flight_per_actor=2)
        restarts = {"max_restarts": -1, "max_task_retries": _DEATHS}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of restarts' arguments being deprecated; pyproject.toml bounds the versions
            mapped = data.from_arrow(blocks).map(
                _Actor, compute=pool, fn_constructor_args=self._arguments, **restarts, **self._share
            )
        try:
            for row in mapped.iter_rows():
                explained = None if math.isnan(row["explained"]) else float(row["explained"])
                outcome = Outcome(
                    row["status"], float(row["seconds"]), int(row["tiles"]), explained, row["error"], row["model"], row["album"]
                )
                yield int(row["index"]), outcome
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            last = str(error).strip().splitlines()[-1]
            raise EngineStoppedError(f"Ray broke off ({last}); run the command again, what is made is kept") from error

    def _check_worker(self) -> None:
        """Opens a worker on the cluster once; raises ValueError in its words if that fails."""
        arguments = self._arguments

        def fault() -> str:
            try:
                _Actor(*arguments)
            except (ValueError, ImportError, OSError) as error:
                return one_line(error)
            return ""

        ray = self._ray
        try:
            # Its process ends with it, and leaves its memory to the workers.
            found = ray.get(ray.remote(**self._share, max_calls=1, max_retries=0)(fault).remote())
        except ray.exceptions.RayError as error:
            found = f"a worker could not be opened on the cluster: {str(error).strip().splitlines()[-1]}"
        if found:
            raise ValueError(found)


class _Actor:
    """A worker in a process of Ray's; rows in, rows out."""

    def __init__(self, open_worker: Callable[[int, int], Work], on_one_machine: int, cores: int) -> None:
        self._work = open_worker(on_one_machine, cores)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        outcome = self._work(Job(_text(row["lr"]), [_text(path) for path in row["references"]], _text(row["output"])))
        # None would have no type in a block of rows that all lack it.
        explained = math.nan if outcome.explained is None else outcome.explained
        return {"index": row["index"], **outcome._replace(explained=explained)._asdict()}


def _blocks(jobs: Sequence[Job], indices: Sequence[int], rows: int) -> list[Any]:
    """Tables of so many jobs each."""
    import pyarrow

    name = pyarrow.binary()  # some names of files are no text
    schema = pyarrow.schema([("index", pyarrow.int64()), ("lr", name), ("references", pyarrow.list_(name)), ("output", name)])
    table = [
        {"index": index, "lr": _bytes(job.lr), "references": [_bytes(path) for path in job.refs], "output": _bytes(job.output)}
        for index, job in ((index, jobs[index]) for index in indices)
    ]
    return [pyarrow.Table.from_pylist(table[start : start + rows], schema) for start in range(0, len(table), rows)]


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; --engine ray needs: pip install 'c2m-tf[ray]'") from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what becomes of jobs is in their outcomes
    return ray


def _connect(ray: Any, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    own = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE} if address == "local" else {}
    try:
        _knock(address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # Ray raises bare ones too
        raise ValueError(f"no Ray cluster can be reached at {address}: {one_line(error)}") from error


def _knock(address: str) -> None:
    """Raises OSError or ValueError if nothing listens at HOST:PORT; Ray itself would try for minutes."""
    if address not in ("local", "auto"):
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if not host or not port.isdigit():
            raise ValueError("expected is HOST:PORT, ray://HOST:PORT or auto")
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()
