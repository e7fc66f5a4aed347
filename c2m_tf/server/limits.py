"""What requests may ask for. docs/limits.md lists what is promised with these numbers."""

import math
from typing import NamedTuple


class Limits(NamedTuple):
    """What requests may ask for.

    Attributes:
        max_bytes: of a whole request.
        max_lr_pixels: of the LR photo.
        max_ref_pixels: of all references of a request together.
        max_references: of a request.
        max_uploads: requests whose bodies may arrive at one time.
        queue: requests that may wait while one is worked on.
        timeout: seconds that a request may take, its upload and waiting included.
    """

    max_bytes: int = 32 * 2**20
    max_lr_pixels: int = 512 * 512
    max_ref_pixels: int = 2 * 4096 * 4096
    max_references: int = 8
    max_uploads: int = 8
    queue: int = 8
    timeout: float = 300.0

    def check(self) -> None:
        """Raises ValueError if one of them is not a positive, finite number."""
        for name, value in self._asdict().items():
            if not 0 < value < math.inf:
                raise ValueError(f"--{name.replace('_', '-')} {value} is not a positive number")
