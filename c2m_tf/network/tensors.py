"""Names for what functions take and return."""

from typing import Any, TypeAlias

# A tensor of the running Keras backend, symbolic ones included, or a numpy array.
Tensor: TypeAlias = Any
