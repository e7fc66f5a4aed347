"""Restores with a SavedModel of `c2m-tf export saved-model`, as TensorFlow Serving does: the whole photo at once.

It imports TensorFlow itself, because a SavedModel is TensorFlow's. A SavedModel is a program: one that could do more than
compute is not loaded unless it is trusted.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from c2m_tf.photos.resampling import SCALE, as_float
from c2m_tf.startup import first_line
from c2m_tf.upscaling.base import TiledUpscaler, Work
from c2m_tf.upscaling.plans import Plan, make_plan
from c2m_tf.upscaling.saved_model_operations import harmful_operations
from c2m_tf.upscaling.tiles import Tile

_SIGNATURES = {"upscale": ("lr", "ref"), "upscale_alone": ("lr",)}


class SavedModelUpscaler(TiledUpscaler):
    """Restores photos with a SavedModel, with at most one reference, within the limits that it was exported with.

    Args:
        folder: a folder of versions, of which the newest is used, or a version itself.
        trusted: load it even if its operations could read or write files or call Python.

    Raises:
        ValueError: not a SavedModel of this package, or one that could do more than compute.
    """

    max_references = 1
    reports_matches = False

    def __init__(self, folder: str | os.PathLike, *, trusted: bool = False) -> None:
        import tensorflow as tf

        self._version = version = _newest(Path(folder))
        harmful = [] if trusted else harmful_operations(version)
        if harmful:
            raise ValueError(
                f"{version} could do more than compute ({', '.join(harmful)}), and was not loaded; "
                f"if you trust who made it, give --trust-model"
            )
        try:
            self._loaded = tf.saved_model.load(str(version))
        except Exception as error:  # a damaged one may raise anything: what protobuf and TensorFlow raise on bytes of any kind
            raise ValueError(f"{version} cannot be loaded as a SavedModel: {first_line(error)}") from error
        signatures = getattr(self._loaded, "signatures", {})
        if "upscale" not in signatures:
            raise ValueError(f"{version} has no signature upscale; make one by c2m-tf export saved-model")
        for name, inputs in _SIGNATURES.items():
            if name in signatures and not _fits(signatures[name], inputs):
                needed = f"{name}({', '.join(inputs)}) -> sr"
                raise ValueError(f"{version} has no signature {needed}; make one by c2m-tf export saved-model")
        self.restores_alone = "upscale_alone" in signatures
        self._errors = tf.errors.OpError

    def plan(self, lr_shape: Sequence[int], ref_shapes: Iterable[Sequence[int]]) -> Plan:
        side = max(lr_shape[:2])
        return make_plan(lr_shape, list(ref_shapes), "exact", -(-side // 4) * 4, 0)

    def _find(self, work: Work) -> None:
        return None

    def _restore_tiles(self, work: Work, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        yield self._run("upscale", lr=as_float(work.lr)[None], ref=as_float(work.reference.photos[0])[None])

    def _restore_alone(self, lr: np.ndarray, tiles: Iterable[Tile]) -> Iterator[np.ndarray]:
        yield self._run("upscale_alone", lr=as_float(lr)[None])

    def _run(self, signature, **photos):
        try:
            sr = self._loaded.signatures[signature](**photos)["sr"].numpy()
        except self._errors as error:
            raise ValueError(_sentence(error.message)) from error
        _, height, width, _ = photos["lr"].shape
        if sr.shape != (1, SCALE * height, SCALE * width, 3):
            raise ValueError(f"{self._version} gives {sr.shape} for a photo of {width}x{height} pixels; export it again")
        return sr[0]


def _fits(signature, inputs):
    """Whether a signature has those inputs and gives floats named sr."""
    outputs = signature.structured_outputs
    return set(signature.structured_input_signature[1]) == set(inputs) and "sr" in outputs and outputs["sr"].dtype.is_floating


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
