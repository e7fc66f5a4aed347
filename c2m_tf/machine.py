"""What this process may use of the machine: memory and cores, also within a container, and the processor's features."""

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path

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
