"""The memory that one photo may need unless a limit is given."""

from c2m_tf.machine import usable_memory

SHARE = 0.75  # of the memory that this process may use


def default_max_memory() -> int:
    """Default limit in bytes for one photo: `SHARE` of `machine.usable_memory`."""
    return int(SHARE * usable_memory())
