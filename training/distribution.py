"""Training by several processes, on JAX: as one process with the same batch, divided among them.

Every process holds the whole trainer and draws its own part of each batch; JAX sums their gradients, so that the weights stay
equal. Process 0 alone writes files, shows progress and validates.

Networks are built as in one process, and their values are then spread over the devices of all (`Group.spread`). Built under the
distribution itself, each variable would be compared among all processes whenever it is created or assigned (jax.device_put does
that): thousands of exchanges, which every process would have to make at the same time.
"""

import hashlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from c2m_tf.startup import first_line, one_line, warn

from .config import ConfigError, as_yaml, without_distribution
from .config_keys import AdversarialConfig, DistributedConfig
from .runs import RunFailedError

AUTO = "auto"
_VERSIONS = ("c2m-tf", "keras", "jax")
_GRACE_OF_JAX = 60  # seconds that JAX waits longer for the processes than this program does
_GRACE = 3.0  # seconds that process 0 outlives a failure: without it JAX ends the others before they can say theirs


class Group(NamedTuple):
    """The processes of a run, and which of them this one is."""

    rank: int = 0
    processes: int = 1
    distribution: keras.distribution.DataParallel | None = None  # None without the recipe's section distributed

    @property
    def leads(self) -> bool:
        """Whether this process writes, shows and validates."""
        return self.rank == 0

    def part(self, batch_size: int) -> tuple[int, int]:
        """First position of this process's part of a batch, and how many follow."""
        size = batch_size // self.processes
        return self.rank * size, size

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is computed inside is computed on the devices of all processes."""
        with _under(self.distribution):
            yield

    @contextmanager
    def apart(self) -> Iterator[None]:
        """The contrary, inside of `together`, for what one process does alone. Keras makes variables even to write a file."""
        with _under(None):
            yield

    def spread(self, variables: Iterable[keras.Variable]) -> None:
        """Puts the values that this process gave to variables on all devices; every process has to have given the same."""
        if self.distribution is None:
            return
        import jax

        for variable in variables:
            value = keras.ops.convert_to_numpy(variable)
            layout = self.distribution.get_variable_layout(variable).backend_layout
            variable.assign(jax.make_array_from_callback(value.shape, layout, value.__getitem__))

    def largest(self, value: int) -> int:
        """The largest of the values that the processes give; each has to call this at the same iteration."""
        return int(self.gathered(np.array(value, np.int32)).max())

    def gathered(self, values: np.ndarray) -> np.ndarray:
        """The values that the processes give, [processes, ...]; each has to call this at the same iteration."""
        if self.processes == 1:
            return values[None]
        from jax.experimental import multihost_utils

        return multihost_utils.process_allgather(values)


ALONE = Group()


class ProcessFailedError(Exception):
    """This process of several cannot go on; it has to end at once, for the others wait for it.

    Attributes:
        code: exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def check(config: Any) -> None:
    """Raises ConfigError if the settings of a distributed run cannot be, known without any other process."""
    options = config.distributed
    if options is None:
        return
    if isinstance(config, AdversarialConfig):
        raise ConfigError("adversarial training runs in one process, on TensorFlow; leave distributed out")
    if config.mirrored:
        raise ConfigError("mirrored and distributed are both given; mirrored is for TensorFlow, leave it out")
    given = [key for key in ("processes", "rank") if getattr(options, key) is not None]
    if options.coordinator == AUTO:
        if given:
            raise ConfigError(f"distributed: coordinator auto finds {' and '.join(given)} itself; leave that out")
    elif len(given) < 2:
        raise ConfigError("distributed needs coordinator, processes and rank together, or coordinator: auto alone")
    else:
        _address(options.coordinator)
        if options.rank >= options.processes:
            raise ConfigError(
                f"distributed.rank is {options.rank}, but {options.processes} processes have 0 to {options.processes - 1}"
            )
        _check_divisible(config, options.processes, "processes")
    if keras.backend.backend() != "jax":
        raise ConfigError(
            "distributed training runs on JAX; set KERAS_BACKEND=jax (TensorFlow's multi-worker strategy does not work with "
            "Keras 3: https://github.com/keras-team/keras/issues/20585)"
        )


def join(config: Any, state: Path) -> Group:
    """Connects this process with the others of the run; JAX must not have computed anything before.

    Args:
        config: the run's, checked by `check`.
        state: what the run will resume from; there may be no such file.

    Raises:
        ConfigError: the others are about to run something else.

    If the others do not come, the process ends here, with a line on standard error and exit code 2: JAX would abort it.
    """
    options = config.distributed
    if options is None:
        return ALONE
    import jax

    coordinator, processes, rank, devices = _place(options)
    _check_divisible(config, processes, "processes")
    if processes > 1 and rank == 0:
        _check_free(_address(coordinator)[1])
    overdue = threading.Timer(options.wait, _give_up, (coordinator, processes, options.wait))
    overdue.daemon = True
    overdue.start()
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            rank,
            devices,
            cluster_detection_method="deactivate",  # else Slurm would leave one device to each process
            initialization_timeout=options.wait + _GRACE_OF_JAX,
        )
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # JAX has put its own handler there
        group = Group(rank, processes, keras.distribution.DataParallel(auto_shard_dataset=False))
        # Also for JAX, which waits half a minute for a first exchange; networks may take longer to build on one machine.
        _check_same(group, config, state)
    except RuntimeError as error:
        raise ConfigError(f"distributed: JAX cannot connect the processes: {first_line(error)}") from error
    finally:
        overdue.cancel()
    _check_divisible(config, jax.device_count(), "devices of all processes")
    return group


@contextmanager
def preparing(group: Group) -> Iterator[None]:
    """Ends all processes if one of them cannot start."""
    try:
        yield
    except (ValueError, OSError):
        group.largest(1)
        raise
    if group.largest(0):
        raise ConfigError("another process of the run cannot start; see what it says")


@contextmanager
def failing_alone(group: Group) -> Iterator[None]:
    """Turns what stops one process of several into ProcessFailedError: others wait for it, and it must not wait for them."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        if group.processes == 1:
            raise
        if group.leads:
            time.sleep(_GRACE)
        code = 2 if isinstance(error, (ValueError, OSError)) else 1
        raise ProcessFailedError(one_line(error), code) from error


@contextmanager
def losing_others(group: Group) -> Iterator[None]:
    """Turns what JAX raises when another process has ended during training into RunFailedError."""
    try:
        yield
    except RunFailedError:
        raise
    except (ValueError, RuntimeError) as error:
        if group.processes == 1:
            raise
        raise RunFailedError(
            f"training cannot go on in process {group.rank} ({first_line(error)}); if another process ended, it says why; the "
            f"same command resumes from the saved state"
        ) from error


@contextmanager
def _under(distribution: keras.distribution.DataParallel | None) -> Iterator[None]:
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(distribution)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def _address(coordinator: str) -> tuple[str, int]:
    host, colon, port = coordinator.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ConfigError(f"distributed.coordinator: expected is host:port of process 0 or auto, got {coordinator!r}")
    return host.strip("[]"), int(port)


def _place(options: DistributedConfig) -> tuple[Any, ...]:
    """Coordinator, number of processes, rank, and this process's devices (None for all of the machine)."""
    if options.coordinator != AUTO:
        return options.coordinator, options.processes, options.rank, None
    # What jax.distributed.initialize() does without arguments. It tells nobody what it finds before it connects.
    from jax._src.clusters import ClusterEnv

    try:
        found = ClusterEnv.auto_detect_unset_distributed_params(None, None, None, None, None, options.wait)
    except Exception as error:  # whatever half-set variables, or a cluster's own interface, may cause
        raise ConfigError(f"distributed.coordinator: auto does not find the processes: {one_line(error)}") from error
    if None in found[:3]:
        raise ConfigError(
            "distributed.coordinator: auto finds neither Slurm nor Open MPI nor Kubernetes; start the processes by one of "
            "them, or give coordinator, processes and rank"
        )
    return found


def _check_free(port: int) -> None:
    """Raises ConfigError if process 0 cannot listen there; JAX would abort."""
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise ConfigError(f"distributed.coordinator: port {port} cannot be opened: {error.strerror}; give another") from error


def _give_up(coordinator: str, processes: int, wait: float) -> None:
    """Ends the process before JAX does, which leaves a stack trace; there is no way back out of its call."""
    warn(
        f"distributed: the {processes} processes did not all come to {coordinator} within {wait:g} seconds; see what others "
        f"say, whether each has its own rank, and whether the port is open"
    )
    os._exit(2)


def _check_same(group: Group, config: Any, state: Path) -> None:
    """Raises ConfigError in every process if one is about to run something else."""
    facts = {
        "version": {name: metadata.version(name) for name in _VERSIONS},
        "config": as_yaml(without_distribution(config)),
        f"{state.name} to resume from": _fingerprint(state),
    }
    digests = [np.frombuffer(hashlib.sha256(str(fact).encode()).digest(), np.uint8) for fact in facts.values()]
    gathered = group.gathered(np.stack(digests))
    for rank, theirs in enumerate(gathered):
        for name, first, other in zip(facts, gathered[0], theirs, strict=True):
            if (first != other).any():
                raise ConfigError(f"distributed: process {rank} has another {name} than process 0; start all of them alike")


def _check_divisible(config: Any, number: int, what: str) -> None:
    alone = getattr(config, "alone", None)
    sizes = {"batch_size": config.batch_size} | ({} if alone is None else {"alone.batch_size": alone.batch_size})
    for key, size in sizes.items():
        if size % number:
            raise ConfigError(f"{key} is {size}, but it is divided among all {what}: give a multiple of {number}")


def _fingerprint(path: Path) -> str | None:
    if not path.exists():
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
