"""Forces sequential execution in LiteRT by a false data dependency.

LiteRT's delegates start every operation whose inputs are ready, whatever the order in the file. Of work that is divided into
blocks they would start all blocks at once and hold all their intermediate results. A block whose input depends on the result of
the block before it has to wait.
"""

from typing import Any

import tensorflow as tf

_BELOW = 1000.0  # bound of the magnitude of `previous` and of the values


def after(values: Any, previous: Any | None) -> Any:
    """The unchanged values, available only once `previous` is computed.

    Args:
        values: float tensor with values of at least -1000, or int32 tensor with values of at least 0.
        previous: float tensor, finite, whose first value is read; None for no dependency.

    Returns:
        `values`, computed as their maximum with a number below all of them that is derived from `previous`.
    """
    if previous is None:
        return values
    # One element in a tensor of one axis: GPUs take no tensors without axes.
    low = tf.clip_by_value(tf.reshape(previous, (-1,))[:1], -_BELOW, _BELOW) - 2 * _BELOW
    return tf.maximum(values, tf.cast(low, values.dtype))
