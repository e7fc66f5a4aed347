"""Limits of requests. docs/limits.md lists what they guarantee."""

import math
from typing import NamedTuple


class Limits(NamedTuple):
    """Limits of requests.

    Attributes:
        max_bytes: size of a whole request.
        max_lr_pixels: pixels of the LR photo.
        max_ref_pixels: pixels of all references of a request together.
        max_references: references, or photos to choose them from, per request.
        max_uploads: simultaneous uploads.
        queue: requests that may wait while one is processed.
        timeout: seconds per request, upload and waiting included.
    """

    max_bytes: int = 32 * 2**20
    max_lr_pixels: int = 1024 * 1024
    max_ref_pixels: int = 2 * 4096 * 4096
    max_references: int = 24
    max_uploads: int = 8
    queue: int = 8
    timeout: float = 300.0

    def check(self) -> None:
        """Raises ValueError if one of them is not a positive, finite number."""
        for name, value in self._asdict().items():
            if not 0 < value < math.inf:
                raise ValueError(f"--{name.replace('_', '-')} {value} is not a positive number")
