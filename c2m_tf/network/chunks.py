"""Work on many pixels in parts, so that its memory does not grow with their number."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from c2m_tf.network.sizes import smaller
from c2m_tf.network.tensors import Tensor


def in_chunks(function: Callable[[Sequence[Tensor]], Any], values: Sequence[Tensor], chunk: int) -> Any:
    """What a function gives of N items, computed for a chunk of them at a time.

    Args:
        function: of arrays [n,...], gives an array [n,...] or a tuple of such; an item's result depends on that item alone.
        values: arrays [N,...].
        chunk: items at once.
    """
    count = ops.shape(values[0])[0]
    size = smaller(chunk, count)
    chunks = (count + size - 1) // size
    # The last chunk is filled with the last item.
    numbers = ops.minimum(ops.arange(chunks * size, dtype="int32"), count - 1)
    chunked = tuple(ops.reshape(ops.take(part, numbers, axis=0), (chunks, size, *part.shape[1:])) for part in values)
    results = ops.map(function, chunked)
    return keras.tree.map_structure(lambda result: ops.reshape(result, (-1, *result.shape[2:]))[:count], results)
