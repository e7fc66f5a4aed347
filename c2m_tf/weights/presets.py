"""Weights that ship with the package, and models in files.

A preset is one .npz of half-precision arrays named <part>/<layer>/<variable>, e.g. restoration/head_small_0/kernel. The weights
but those of `mobile` are for research use only (LICENSE-WEIGHTS.md).
"""

import os
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from c2m_tf.network.mobile import Mobile
from c2m_tf.network.model import C2Matching
from c2m_tf.photos.writing import write_single
from c2m_tf.renamed import current_name
from c2m_tf.startup import first_line

_FOLDER = Path(__file__).parent


class Preset(NamedTuple):
    """Weights that ship: which variant of C2Matching they are for, without residual offsets, or "mobile"; all parameters of the
    model, how they were made, and whether there is a trunk of its own among them."""

    variant: str
    parameters: int
    description: str
    own_trunk: bool = False


PRESETS = {
    "light": Preset(
        "light",
        6_295_395,
        "Light network, and a trunk of its own for what the reference does not show: started from published single-image "
        "weights, trained for some hours on two CPU cores; see docs/model-card.md.",
        own_trunk=True,
    ),
    "light-gan": Preset(
        "light",
        5_799_507,
        "Light network, trained on from `light` by perceptual and adversarial loss: sharper to look at, 0.4 dB less PSNR.",
    ),
    "light-photo": Preset(
        "light",
        5_799_507,
        "Light network, trained on LR photos and references that were degraded at random: for photos with JPEG artefacts, "
        "noise or blur.",
    ),
    "mobile": Preset(
        "mobile",
        1_206_880,
        "Mobile network, everything at the LR photo's resolution, trained on photos that anyone may use; its weights may be "
        "used for anything with credit (CC BY 4.0).",
    ),
}


def load_preset(name: str, dtype: str = "float32") -> C2Matching | Mobile:
    """A network with the weights of a preset.

    Args:
        name: a name of `PRESETS`.
        dtype: dtype policy, "float32" or "mixed_bfloat16".

    Raises:
        ValueError: unknown preset; the message names those that exist.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}, or a .keras file")
    preset = PRESETS[name]
    if preset.variant == "mobile":
        model = Mobile(dtype=dtype)
    else:
        model = C2Matching(preset.variant, preset.own_trunk, residual_offsets=False, dtype=dtype)
    with np.load(_FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        for key, variable in _named_variables(model):
            variable.assign(arrays[key].astype(np.float32))
    return model


def load_model(source: str | os.PathLike, dtype: str | None = None) -> C2Matching:
    """A C2Matching model from what a user names; see `C2Matching.from_preset`."""
    model = load_network(source, dtype)
    if not isinstance(model, C2Matching):
        raise ValueError(f"{source} is a {type(model).__name__} model; a C2Matching model is expected here, such as light")
    return model


def load_network(source: str | os.PathLike, dtype: str | None = None) -> C2Matching | Mobile:
    """The same of any kind of network that upscales."""
    source = current_name(os.fspath(source))
    is_handle = source.startswith("hf://")
    path = Path(source)
    if not is_handle:
        if source in PRESETS or not (path.suffix == ".keras" or path.is_dir()):
            return load_preset(source, dtype or "float32")
        if not path.exists():
            raise ValueError(f"model {path} does not exist")
    try:
        model = keras.saving.load_model(source if is_handle else path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file may raise anything: what zip, JSON, HDF5 and Keras raise on bytes of any kind
        raise ValueError(f"{source} cannot be loaded as a Keras model: {first_line(error)}") from error
    if not isinstance(model, (C2Matching, Mobile)):
        raise ValueError(f"{source} holds a {type(model).__name__} model; a C2Matching or Mobile model is expected")
    if dtype is not None and model.dtype_policy.name != dtype:
        converted = model.like(dtype=dtype)
        converted.set_weights(model.get_weights())
        return converted
    return model


def save_preset(model: C2Matching | Mobile, path: str | os.PathLike) -> None:
    """Writes a model's weights as a preset file, in half precision.

    Args:
        model: C2Matching or Mobile.
        path: .npz file to write; it appears complete or not at all.
    """
    arrays = {key: keras.ops.convert_to_numpy(variable).astype(np.float16) for key, variable in _named_variables(model)}
    write_single(path, lambda file: np.savez_compressed(file, **arrays))


def _named_variables(model):
    for name, part in model.parts.items():
        for variable in part.variables:
            *_, layer, kind = variable.path.split("/")
            yield f"{name}/{layer}/{kind}", variable
