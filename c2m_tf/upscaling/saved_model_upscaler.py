"""Upscales with a SavedModel of `c2m-tf export saved-model`, as TensorFlow Serving does: the whole photo at once.

The only file of the package that imports TensorFlow itself, because a SavedModel is TensorFlow's.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from c2m_tf.photos.images import as_float
from c2m_tf.startup import first_line
from c2m_tf.upscaling.base import PhotoLike, Reference, TiledUpscaler, Work
from c2m_tf.upscaling.plans import Plan, make_plan
from c2m_tf.upscaling.tiles import Tile


class SavedModelUpscaler(TiledUpscaler):
    """Upscales photos 4x with a SavedModel, with at most one reference, within the limits that it was exported with.

    Args:
        folder: a folder of versions, of which the newest is used, or a version itself.
        max_memory: bytes that one photo may need; by default 75 % of the memory that the process may use.
        ensemble: orientations of each photo whose results are averaged, 1, 2, 4 or 8; see `ensemble`.

    Raises:
        ValueError: not a SavedModel of this package, or no such ensemble.
    """

    max_references = 1
    reports_matches = False

    def __init__(self, folder: str | os.PathLike, *, max_memory: int | None = None, ensemble: int = 1) -> None:
        import tensorflow as tf

        super().__init__(max_memory=max_memory, ensemble=ensemble)
        version = _newest(Path(folder))
        try:
            self._loaded = tf.saved_model.load(str(version))
        except Exception as error:  # a damaged one may raise anything: what protobuf and TensorFlow raise on bytes of any kind
            raise ValueError(f"{version} cannot be loaded as a SavedModel: {first_line(error)}") from error
        if "upscale" not in getattr(self._loaded, "signatures", ()):
            raise ValueError(f"{version} has no signature upscale; make one by c2m-tf export saved-model")
        self._errors = tf.errors.InvalidArgumentError

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> Plan:
        side = max(lr_shape[:2])
        return make_plan(lr_shape, list(ref_shapes), "exact", -(-side // 4) * 4, 0)

    def find_matches(self, lr: PhotoLike, refs: PhotoLike | Sequence[PhotoLike] | Reference) -> tuple[np.ndarray, np.ndarray]:
        raise ValueError("a SavedModel does not report its matches; give a preset, a .keras or a .tflite file")

    def _restore_tiles(self, work: Work, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        yield self._run("upscale", lr=as_float(work.lr)[None], ref=as_float(work.reference.photos[0])[None])

    def _restore_alone(self, lr: np.ndarray, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        if "upscale_alone" not in self._loaded.signatures:
            raise ValueError("this SavedModel has no signature upscale_alone; give a reference, or export it again")
        yield self._run("upscale_alone", lr=as_float(lr)[None])

    def _run(self, signature, **photos):
        try:
            return self._loaded.signatures[signature](**photos)["sr"].numpy()[0]
        except self._errors as error:
            raise ValueError(_sentence(error.message)) from error


def _sentence(message):
    """The message of the graph's own check, without what TensorFlow adds."""
    found = re.search(r"assertion failed: \[(.*?)\]", message)
    return found[1] if found else " ".join(message.split())


def is_version(name: str) -> bool:
    """Whether a folder of that name is a version of a SavedModel: a number as TensorFlow Serving takes it."""
    return name.isascii() and name.isdigit()


def _newest(folder):
    """The folder of the SavedModel itself."""
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [path for path in folder.iterdir() if is_version(path.name) and (path / "saved_model.pb").is_file()]
    if not versions:
        raise ValueError(f"{folder} holds no SavedModel; make one by c2m-tf export saved-model -o {folder}")
    return max(versions, key=lambda path: int(path.name))
