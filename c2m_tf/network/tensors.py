"""Tensors of any backend: sizes that may be dynamic, padding by repeated edges, work on many pixels in parts.

Sizes are Python integers where shapes are static and scalar tensors where they are dynamic. `keras.ops.pad` repeats edges on
some backends only. Work in parts keeps its memory from growing with the number of pixels.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

# A tensor of the running Keras backend, symbolic ones included, or a numpy array.
Tensor: TypeAlias = Any

Size: TypeAlias = int | Tensor

_UNROLLED = 4  # chunks of a known number that are no loop: LiteRT files hold the results of loops, as zeros


def smaller(a: Size, b: Size) -> Size:
    """The smaller of two sizes; a Python integer if both are."""
    return min(a, b) if _static(a, b) else ops.minimum(a, b)


def larger(a: Size, b: Size) -> Size:
    """The larger of two sizes; a Python integer if both are."""
    return max(a, b) if _static(a, b) else ops.maximum(a, b)


def round_up(size: Size, multiple: int) -> Size:
    """The smallest multiple of `multiple` that is not below `size`."""
    return (size + multiple - 1) // multiple * multiple


def _static(*sizes: Any) -> bool:
    return all(isinstance(size, int) for size in sizes)


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


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors that TensorFlow traces once for all calls of unknown sizes, instead of once for each.

    A network that does the same to several copies of a photo, at several levels, is traced in a third of the time then, and its
    SavedModel has a third of the operations. (Functions that TensorFlow may not inline start sooner, but run a fifth slower.)
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    traced = tf.function(function, autograph=False)

    @functools.wraps(function)
    def call(*inputs: Any) -> Any:
        # Of known sizes a trace for unknown ones would do, but files for phones take no such graph.
        known = all(value is None or tf.TensorShape(value.shape).is_fully_defined() for value in inputs)
        return function(*inputs) if known or tf.executing_eagerly() else traced(*inputs)

    return call


def first_highest(values: Tensor) -> tuple[Tensor, Tensor]:
    """Place and value of the highest along the last axis, the first of equals.

    `keras.ops.argmax` tells zeros apart by their sign, by operations that LiteRT lacks and that take longer than the rest.

    Args:
        values: float [...,N].

    Returns:
        int32 [...] and float [...].
    """
    highest = ops.max(values, axis=-1, keepdims=True)
    count = values.shape[-1]
    place = ops.min(ops.where(values >= highest, ops.arange(count, dtype="int32"), count - 1), axis=-1)
    return place, highest[..., 0]


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
    if isinstance(chunks, int) and chunks <= _UNROLLED:
        parts = [function([part[number] for part in chunked]) for number in range(chunks)]
        return keras.tree.map_structure(lambda *results: ops.concatenate(results)[:count], *parts)
    results = ops.map(function, chunked)
    return keras.tree.map_structure(lambda result: ops.reshape(result, (-1, *result.shape[2:]))[:count], results)
