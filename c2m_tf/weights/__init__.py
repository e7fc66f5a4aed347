"""Weights that ship, and those of others; arrays out of .npz files, for which Keras need not be imported."""

import os
from pathlib import Path

import numpy as np

from c2m_tf.startup import first_line


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, by name; nothing in it is executed.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged, or holds something else than arrays of numbers and text.
    """
    path = Path(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist") from error
    except Exception as error:  # a damaged archive may raise anything: what zip, zlib and NumPy raise on bytes of any kind
        raise ValueError(f"{path} is not an .npz file of arrays: {first_line(error)}") from error
