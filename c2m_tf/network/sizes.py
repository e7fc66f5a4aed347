"""Arithmetic on sizes, which are Python integers where shapes are static and scalar tensors where they are dynamic."""

from typing import TypeAlias

from keras import ops

from c2m_tf.network.tensors import Tensor

Size: TypeAlias = int | Tensor


def smaller(a: Size, b: Size) -> Size:
    """The smaller of two sizes; a Python integer if both are."""
    return min(a, b) if _static(a, b) else ops.minimum(a, b)


def larger(a: Size, b: Size) -> Size:
    """The larger of two sizes; a Python integer if both are."""
    return max(a, b) if _static(a, b) else ops.maximum(a, b)


def round_up(size: Size, multiple: int) -> Size:
    """The smallest multiple of `multiple` that is not below `size`."""
    return (size + multiple - 1) // multiple * multiple


def _static(*sizes):
    return all(isinstance(size, int) for size in sizes)
