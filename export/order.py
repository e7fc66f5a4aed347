"""Doing one thing after another in LiteRT.

Its delegates run everything that is ready in one go, whatever order a file lists it in: of work that was cut into blocks they
would first begin every block, holding all their results, and then end every block. A block whose input depends on the result of
the block before it has to wait.
"""

from typing import Any

import tensorflow as tf

_BELOW = 1000.0  # what is waited for lies within (-1000, 1000), and so does every value that waits


def after(values: Any, previous: Any | None) -> Any:
    """The values themselves, to be had only once `previous` is computed.

    Args:
        values: float tensor with values from -1000 on, or int32 tensor with values from 0 on.
        previous: float tensor, finite, whose first value is looked at; None to wait for nothing.

    Returns:
        `values`, as the larger of themselves and a number below all of them that is made of `previous`.
    """
    if previous is None:
        return values
    low = tf.clip_by_value(tf.reshape(previous, (-1,))[0], -_BELOW, _BELOW) - 2 * _BELOW
    return tf.maximum(values, tf.cast(low, values.dtype))
