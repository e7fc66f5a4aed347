"""Which models there are by name, known without Keras, whose import takes seconds."""

import os
from pathlib import Path

from c2m_tf.renamed import current_name

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
