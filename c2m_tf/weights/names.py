"""Which models there are by name, and where one may go, known without Keras, whose import takes seconds."""

import os
import re
from pathlib import Path

from c2m_tf.renamed import current_name

HANDLE = "hf://"

_FOLDER = Path(__file__).parent


def preset_names() -> list[str]:
    """Names of the weights that ship."""
    return sorted(path.stem for path in _FOLDER.glob("*.npz"))


def check_model(source: str | os.PathLike) -> None:
    """Raises ValueError if nothing can be what a user names as a model: no preset, no file, no folder, no handle of the Hub."""
    name = current_name(os.fspath(source))
    path = Path(name)
    if name in preset_names() or "://" in name or path.exists():
        return
    if path.suffix in (".keras", ".tflite", ".npz"):
        raise ValueError(f"model {path} does not exist")
    raise ValueError(f"unknown preset {name!r}; choose one of {', '.join(preset_names())}, or a .keras file")


def check_target(target: str) -> None:
    """Raises ValueError if the target of `push` is neither hf://USER/NAME nor an empty or a new folder."""
    if target.startswith(HANDLE):
        if not re.fullmatch(r"hf://[\w.-]+/[\w.-]+", target):
            raise ValueError(f"{target}: expected is hf://USER/NAME")
        return
    folder = Path(target)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already; give a new or an empty folder, or hf://USER/NAME")
