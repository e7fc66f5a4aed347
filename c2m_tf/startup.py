"""What every process needs first: what the machine has, open standard streams, Keras started quietly, errors as one line.

Keras finds a custom class by its registered name alone, and a class registers when its module is imported. So that
`import c2m_tf` is enough for `keras.saving.load_model("model.keras")`, and yet imports no Keras itself, the names in `MODULES`
are entered into Keras's table once Keras is imported, whoever imports it, each with a stand-in that imports the class when a
file asks for it.
"""

import contextlib
import importlib
import io
import logging
import math
import os
import platform
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wrapt

# Features (as Linux names them) with which convolutions in bfloat16 are faster than in float32. Elsewhere oneDNN emulates them.
BFLOAT16_FEATURES = frozenset({"avx512_bf16", "amx_bf16"})

# What users call dtype policies; "auto" is `fastest_dtype` where no GPU does the work.
DTYPES = {"auto": "auto", "float32": "float32", "bfloat16": "mixed_bfloat16"}

# Features worth knowing for the speed of convolutions, float32, int8 and bfloat16.
KNOWN_FEATURES = (
    "avx2",
    "fma",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "i8mm",
    "bf16",
)

_ASSUMED_MEMORY = 8 * 2**30  # where the system does not report it (Windows has no sysconf)

_BACKENDS = ("tensorflow", "jax")
_HARMLESS = "\n\u200c\u200d"  # joiners are letters of some scripts

# Registered name: module. A test compares this table with what the modules register.
MODULES = {
    "c2m_tf>BilinearUpsample": "c2m_tf.network.upsampling",
    "c2m_tf>C2Matching": "c2m_tf.network.model",
    "c2m_tf>Conv2D": "c2m_tf.network.single_image",
    "c2m_tf>DynamicAggregation": "c2m_tf.network.aggregation",
    "c2m_tf>FlowWarping": "c2m_tf.network.aggregation",
    "c2m_tf>ImageNetNormalization": "c2m_tf.network.features",
    "c2m_tf>LargestAround": "c2m_tf.network.single_image",
    "c2m_tf>Mobile": "c2m_tf.network.mobile",
    "c2m_tf>ModulatedDeformConv2D": "c2m_tf.network.deform_conv",
    "c2m_tf>PSNR": "c2m_tf.evaluation.metrics",
    "c2m_tf>PixelShuffle": "c2m_tf.network.restoration",
    "c2m_tf>PixelsOfChannels": "c2m_tf.network.single_image",
    "c2m_tf>SSIM": "c2m_tf.evaluation.metrics",
    "c2m_tf>TwiceDifferentiableBatchNormalization": "c2m_tf.network.discriminator",
    "c2m_tf>UnitLength": "c2m_tf.network.single_image",
    "c2m_tf>VarianceAround": "c2m_tf.network.single_image",
    "c2m_tf>WeightedSum": "c2m_tf.network.single_image",
    "c2m_tf.export>ActivationRange": "c2m_tf.export.fake_quantization",
    "c2m_tf.export>PhoneAggregation": "c2m_tf.export.phone_aggregation",
    "c2m_tf.export>PhoneMobile": "c2m_tf.export.phone_network",
    "c2m_tf.export>PhoneNetwork": "c2m_tf.export.phone_network",
    "c2m_tf.export>QuantizedConv2D": "c2m_tf.export.fake_quantization",
    "c2m_tf.training>Extractors": "c2m_tf.training.trainers",
    "c2m_tf.training>GroupedAdam": "c2m_tf.training.optimizers",
    "c2m_tf.training>Schedule": "c2m_tf.training.optimizers",
}


def processor_name(root: Path = Path("/")) -> str:
    """The processor's name as the system gives it, or its architecture.

    Args:
        root: where proc lies; for tests.
    """
    names = [value for key, value in _cpu_information(root) if key == "model name"]
    return names[0] if names else platform.processor() or platform.machine()


def processor_features(root: Path = Path("/")) -> tuple[str, ...]:
    """Those of `KNOWN_FEATURES` that every core has, in that order; empty where the system does not report them (not Linux).

    Args:
        root: where proc lies; for tests.
    """
    cores = [set(value.split()) for key, value in _cpu_information(root) if key in ("flags", "Features")]
    common = set.intersection(*cores) if cores else set()
    return tuple(name for name in KNOWN_FEATURES if name in common)


def fastest_dtype(root: Path = Path("/")) -> str:
    """ "mixed_bfloat16" where the processor has instructions for bfloat16, else "float32".

    Args:
        root: where proc lies; for tests.
    """
    return "mixed_bfloat16" if BFLOAT16_FEATURES.intersection(processor_features(root)) else "float32"


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process may keep busy: those it may run on, or a container's share of them, at least one.

    Args:
        root: where proc and sys/fs/cgroup lie; for tests.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    shares = [quota / period for quota, period in _core_limits(root)]
    return max(1, math.floor(min([cores, *shares])))


def usable_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may use: physical memory, or the smallest limit of a control group above it.

    Both versions of Linux control groups count, in which containers, batch systems and systemd set their limits.

    Args:
        root: where proc and sys/fs/cgroup lie; for tests.
    """
    limits = [text for group, version in _groups(root, "memory") if (text := _text(group / _MEMORY_FILES[version]).strip())]
    return min([_physical_memory(), *(int(text) for text in limits if text.isdigit() and int(text) > 0)])


_MEMORY_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _ASSUMED_MEMORY


def _core_limits(root: Path) -> Iterator[tuple[int, int]]:
    """(quota, period) in microseconds of the control groups that limit this process's time."""
    for group, version in _groups(root, "cpu"):
        if version == 2:
            words = _text(group / "cpu.max").split()
        else:
            words = [_text(group / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
        if len(words) == 2 and all(word.isdigit() and int(word) > 0 for word in words):
            yield int(words[0]), int(words[1])


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """Folders of the control groups that this process is in, and of those above them, each with its version, 1 or 2."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            folder, version = mount, 2
        elif controller in controllers.split(","):
            folder, version = mount / controller, 1
        else:
            continue
        # Within a container the path may be the host's, which is not mounted: the container's own group is then the top.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for length in range(len(parts) + 1):
            yield folder.joinpath(*parts[:length]), version


def _cpu_information(root: Path) -> Iterator[tuple[str, str]]:
    """(key, value) of each line of Linux's /proc/cpuinfo."""
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def open_standard_streams() -> None:
    """Opens the null device in the place of standard streams that are closed, as some daemons and cron jobs leave them.

    Else the next file that is opened would take the place, and whatever is written to standard error would land in it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold what the encoding cannot
    if sys.stderr is sys.__stderr__:  # nobody has replaced it to read what is written
        encoding = getattr(sys.stderr, "encoding", None)
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(_Lenient()), encoding, "backslashreplace", write_through=True)


def ending_signals() -> list[signal.Signals]:
    """What asks this process to end, besides Ctrl-C: SIGTERM, and the SIGHUP of a closed terminal, unless nohup ignores it."""
    hangup = getattr(signal, "SIGHUP", None)
    return [signal.SIGTERM, *([hangup] if hangup and signal.getsignal(hangup) is not signal.SIG_IGN else [])]


class _Lenient(io.RawIOBase):
    """Standard error that leaves out what a full disk, a closed terminal or a reader that left does not take."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        return os.isatty(2)

    def write(self, text: Any) -> int:
        with contextlib.suppress(OSError):
            return os.write(2, text)
        return len(text)


def start_keras(computes: bool = True) -> None:
    """Imports Keras and runs a first operation while standard error is held back.

    TensorFlow remarks on its build and on missing GPUs there, past all its settings; that would bury the one line that
    matters. If starting fails, what was held back is printed.

    Args:
        computes: False leaves the operation out; JAX can connect processes only before it.

    Raises:
        ValueError: Keras does not start with the settings that it finds (~/.keras/keras.json, KERAS_BACKEND).
        ImportError: the backend that they name is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # By itself TensorFlow counts a host's cores where a container may use fewer, and takes all of a GPU's memory.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(usable_cores()))
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    with quiet():
        try:
            import keras
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Keras does not start with the settings in ~/.keras/keras.json or KERAS_BACKEND: {one_line(error)}"
            ) from error

        if keras.backend.backend() not in _BACKENDS:
            raise ValueError(
                f"Keras runs on {keras.backend.backend()}, expected is {' or '.join(_BACKENDS)}; set KERAS_BACKEND"
            )
        # What ~/.keras/keras.json sets for other projects; a command line has the process to itself.
        keras.config.set_floatx("float32")
        keras.config.set_image_data_format("channels_last")
        if computes:
            _compute(keras)


def import_keras() -> None:
    """Imports Keras as quietly for a program in Python, whose settings stay; nothing if it is imported already."""
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet():
        import keras

        if keras.backend.backend() == "tensorflow":  # which remarks on missing GPUs when it computes first
            _compute(keras)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back what is written to standard error, and prints it if the block ends by an error that does not say all."""
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (ValueError, ImportError):  # say all there is to say
            raise
        except BaseException:
            held.seek(0)
            with contextlib.suppress(OSError):
                os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _compute(keras: Any) -> None:
    """A first operation; raises ValueError if the backend has no device for it."""
    try:
        keras.ops.zeros(1)
    except (AssertionError, RuntimeError) as error:  # JAX, told to use a platform that is not there; of CUDA without a word
        reason = first_line(error) if str(error) else "the platform is missing"
        raise ValueError(
            f"Keras's backend {keras.backend.backend()} does not start: {reason}; unset or change JAX_PLATFORMS"
        ) from error


def limit_threads(cores: int) -> None:
    """Lets TensorFlow, which must not have been imported yet, use so many cores; `start_keras` alone gives it all.

    Raises:
        ValueError: not a positive number.
    """
    if cores < 1:
        raise ValueError(f"threads {cores} is no positive number; leave it out for all cores")
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(cores)


def choose_device(device: str) -> None:
    """Lets the backend, which must not have been imported yet, see one kind of device.

    Args:
        device: "cpu"; "gpu"; or "gpu:N", the N-th from 0.

    Raises:
        ValueError: no such device, or Keras has started without that one.
    """
    found = re.fullmatch(r"cpu|gpu(?::(\d+))?", device)
    if found is None:
        raise ValueError(f"device {device} is none; choose cpu, gpu, or gpu:1 for the second one")
    wanted = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"} if device == "cpu" else {"JAX_PLATFORMS": "cuda"}
    wanted |= {"CUDA_VISIBLE_DEVICES": found[1]} if found[1] else {}
    if "keras" in sys.modules:
        if found[1] and os.environ.get("CUDA_VISIBLE_DEVICES") != found[1]:
            raise ValueError(f"Keras has started; choose device {device} before it is imported, or in another process")
        return
    os.environ.update(wanted)


def say(text: str) -> None:
    """Prints text of one or more lines, as `printable`."""
    print(printable(text))


def warn(error: BaseException | str) -> None:
    """Prints one line on standard error; a stream that takes nothing, on a full disk or of a reader that left, ends no work."""
    with contextlib.suppress(OSError):
        print(f"c2m-tf: {one_line(error)}", file=sys.stderr, flush=True)


def ending_before(error: BaseException) -> BaseException | None:
    """What is ending the process, where something that cleared up after it has failed in its turn; None for all else.

    A signal that arrives within `shutil.rmtree` may close a folder's descriptor twice, whose error takes the signal's place.
    """
    before = error.__context__
    while before is not None and not isinstance(before, (SystemExit, KeyboardInterrupt)):
        before = before.__context__
    return before


def one_line(error: BaseException | str) -> str:
    """The message of an error, or a text, `printable` and without line breaks; of an error that has none its type."""
    return printable(" ".join(str(error).split())) or type(error).__name__


def printable(text: str) -> str:
    """Text in which characters that would steer a terminal, as names of files may hold, are spelled out; line breaks stay."""
    return "".join(c if c.isprintable() or c in _HARMLESS else c.encode("unicode_escape").decode() for c in text)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return printable(lines[0]) if lines else type(error).__name__


class _StandIn:
    """Stands for a class in Keras's table until a file asks for it."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def from_config(self, config: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(self._module), self._name).from_config(config)


def register_once_keras_is_imported() -> None:
    """Enters the package's classes into Keras's table of custom objects, now or when Keras is imported."""
    wrapt.register_post_import_hook(_register, "keras")


def _register(keras: Any) -> None:
    objects = keras.saving.get_custom_objects()
    for registered_name, module in MODULES.items():
        objects.setdefault(registered_name, _StandIn(module, registered_name.partition(">")[2]))
