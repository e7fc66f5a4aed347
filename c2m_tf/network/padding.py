"""Padding by repeated edges, which `keras.ops.pad` has on some backends only."""

from keras import ops

from c2m_tf.network.tensors import Tensor


def edge_padded(values: Tensor, before: int, after: int | None = None) -> Tensor:
    """[B,h,w,...] with the first and last rows and columns repeated.

    Args:
        values: any type.
        before: rows added above, and columns added left.
        after: the same below and right, as many as `before` by default.
    """
    after = before if after is None else after
    for axis in (1, 2):
        size = ops.shape(values)[axis]
        values = ops.take(values, ops.clip(ops.arange(-before, size + after), 0, size - 1), axis=axis)
    return values
