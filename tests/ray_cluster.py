"""A Ray cluster of two cores, for tests."""

import gc
import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def two_cores():
    """Connects to a cluster of this machine, started and stopped here; or to the one that RAY_ADDRESS names, of two cores."""
    import ray

    address = os.environ.get("RAY_ADDRESS", "local")
    local = {"num_cpus": 2, "num_gpus": 0, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    # Workers find the test modules that functions come from.
    paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}
    ray.init(address=address, log_to_driver=False, runtime_env=paths, **(local if address == "local" else {}))
    try:
        yield
    finally:
        ray.shutdown()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of processes that Ray leaves to the garbage collector
            gc.collect()


def processes(matches):
    """Ids of the processes of this machine whose command line `matches` accepts; Ray writes there what a worker does."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if matches(title):
                found.append(int(folder.name))
    return found
