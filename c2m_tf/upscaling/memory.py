"""How much memory this process may use: the machine's, or a container's limit."""

import os
from pathlib import Path

SHARE = 0.75  # of that memory, for one photo, by default

_ASSUMED = 8 * 2**30  # where the system does not report it (Windows has no sysconf)


def default_max_memory() -> int:
    """Default limit in bytes for one photo: `SHARE` of `usable_memory`."""
    return int(SHARE * usable_memory())


def usable_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may use: physical memory, or the smallest limit of a control group above it.

    Both versions of Linux control groups count, in which containers, batch systems and systemd set their limits.

    Args:
        root: where proc and sys/fs/cgroup lie; for tests.
    """
    return min([_physical_memory(), *_group_limits(root)])


def _physical_memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _ASSUMED


def _group_limits(root):
    """Limits of the control groups that this process is in and of those above them, in bytes."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":  # version 2
            folder, name = mount, "memory.max"
        elif "memory" in controllers.split(","):  # version 1
            folder, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Within a container the path may be the host's, which is not mounted: the container's own group is then the top.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for length in range(len(parts) + 1):
            limit = _text(folder.joinpath(*parts[:length]) / name).strip()
            if limit.isdigit() and int(limit) > 0:
                yield int(limit)


def _text(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
