"""Weights that ship with the package, and models in files: which there are, known without Keras, whose import takes seconds.

A preset is a config, which stands here, and arrays: one .npz in c2m_tf/weights of half-precision arrays named
<part>/<layer>/<variable>, e.g. restoration/head_small_0/kernel. All weights but those of
`mobile` are for research use only (LICENSE-WEIGHTS.md).

This module imports no network, so that networks may import it: a preset names its class as Keras does in a .keras file. Another
kind of network joins with two things:

1. Its class, a `network.base.ReferenceModel`, registers (`keras.saving.register_keras_serializable("c2m_tf")`) and stands in
   `c2m_tf.startup.MODULES`; `parts` has its networks that hold weights by name.
2. A preset of it stands in `PRESETS`, and its arrays beside the others, written by `c2m-tf train preset`.
"""

import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from c2m_tf.startup import first_line

if TYPE_CHECKING:
    import keras

HANDLE = "hf://"

_FOLDER = Path(__file__).parent / "weights"
_LIGHT = {"medium_blocks": 8, "large_blocks": 4, "levels": ("relu2_1", "relu1_1"), "residual_offsets": False}

_NEW_NAMES = {"light-integer": "light"}  # presets


class Preset(NamedTuple):
    """Weights that ship.

    Attributes:
        config: arguments of the network.
        parameters: number of all of them.
        description: how they were made.
        network: its class, under Keras's name for it.
        licence: "CC BY 4.0", or "research" for research use only.
    """

    config: dict[str, Any]
    parameters: int
    description: str
    network: str = "c2m_tf>C2Matching"
    licence: str = "research"


PRESETS = {
    "light": Preset(
        _LIGHT | {"own_trunk": True},
        6_295_395,
        "Light network, and a trunk of its own for what the reference does not show: started from published single-image "
        "weights, trained for some hours on two CPU cores; see docs/model-card.md.",
    ),
    "light-gan": Preset(
        _LIGHT,
        5_799_507,
        "Light network, trained on from `light` by perceptual and adversarial loss: sharper to look at, 0.4 dB less PSNR.",
    ),
    "light-photo": Preset(
        _LIGHT,
        5_799_507,
        "Light network, trained on LR photos and references that were degraded at random: for photos with JPEG artefacts, "
        "noise or blur.",
    ),
    "mobile": Preset(
        {},
        1_206_880,
        "Mobile network, everything at the LR photo's resolution, trained on photos that anyone may use.",
        "c2m_tf>Mobile",
        "CC BY 4.0",
    ),
}


def check_model(source: str | os.PathLike) -> None:
    """Raises ValueError if nothing can be what a user names as a model: no preset, no file, no folder, no handle of the Hub."""
    name = current_name(os.fspath(source))
    path = Path(name)
    if name in PRESETS or "://" in name or path.is_dir():
        return
    if path.exists():
        if path.suffix not in (".keras", ".tflite"):
            raise ValueError(
                f"{path} is no model; expected is a .keras or .tflite file, a folder, or one of {', '.join(PRESETS)}"
            )
        if path.suffix == ".keras" and not zipfile.is_zipfile(path):
            raise ValueError(f"{path} cannot be loaded as a Keras model: it is no whole .keras file")
        return
    if path.suffix in (".keras", ".tflite", ".npz"):
        raise ValueError(f"model {path} does not exist")
    raise ValueError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}, or a .keras file")


def load_preset(name: str, dtype: str = "float32") -> "keras.Model":
    """The network of a preset, with its weights.

    Args:
        name: a key of `PRESETS`.
        dtype: dtype policy, "float32" or "mixed_bfloat16".

    Raises:
        ValueError: unknown preset; the message names those that exist.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}, or a .keras file")
    import keras
    import numpy as np

    preset = PRESETS[name]
    # The class, or what stands in for it until a file or a preset asks for it (`startup.MODULES`).
    network = keras.saving.get_custom_objects()[preset.network]
    model = network.from_config({**preset.config, "dtype": dtype})
    with np.load(_FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        for key, variable in _named_variables(model):
            variable.assign(arrays[key].astype(np.float32))
    return model


def load_model(source: str | os.PathLike, dtype: str | None = None, network: type | None = None) -> "keras.Model":
    """A network with weights from what a user names.

    Args:
        source: a key of `PRESETS`; or what `save` wrote: a .keras file, a folder, or a handle of the Hugging Face Hub,
            "hf://user/name".
        dtype: dtype policy, "float32" or "mixed_bfloat16"; by default float32 for presets, and what a file was saved with.
        network: class that is expected; by default that of any preset. Subclasses count too.

    Raises:
        ValueError: unknown preset (the message names those that exist), no such file, or one that holds something else.
        ImportError: a handle of the Hub, and huggingface_hub is not installed.
    """
    source = current_name(os.fspath(source))
    is_handle = source.startswith(HANDLE)
    path = Path(source)
    if not is_handle and (source in PRESETS or not (path.suffix == ".keras" or path.is_dir())):
        return _checked(load_preset(source, dtype or "float32"), source, network)
    if not is_handle and not path.exists():
        raise ValueError(f"model {path} does not exist")
    import keras

    try:
        model = keras.saving.load_model(source if is_handle else path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file may raise anything: what zip, JSON, HDF5 and Keras raise on bytes of any kind
        raise ValueError(f"{source} cannot be loaded as a Keras model: {first_line(error)}") from error
    _checked(model, source, network)
    if dtype is not None and model.dtype_policy.name != dtype:
        converted = type(model).from_config({**model.get_config(), "dtype": dtype})
        converted.set_weights(model.get_weights())
        return converted
    return model


def save_preset(model: "keras.Model", path: str | os.PathLike) -> None:
    """Writes a network's weights as a preset file, in half precision.

    Args:
        model: of the class of a preset.
        path: .npz file to write; it appears complete or not at all.
    """
    import keras
    import numpy as np

    from c2m_tf.photos.writing import write_single

    arrays = {key: keras.ops.convert_to_numpy(variable).astype(np.float16) for key, variable in _named_variables(model)}
    write_single(path, lambda file: np.savez_compressed(file, **arrays))


def _checked(model: "keras.Model", source: str, network: type | None) -> "keras.Model":
    """The model; raises ValueError if it is of another kind."""
    import keras

    expected = {preset.network for preset in PRESETS.values()}
    if network is not None:
        expected = {keras.saving.get_registered_name(network)}
    if not any(keras.saving.get_registered_name(kind) in expected for kind in type(model).__mro__):
        classes = " or ".join(sorted(name.partition(">")[2] for name in expected))
        fitting = ", ".join(name for name, preset in PRESETS.items() if preset.network in expected)
        raise ValueError(
            f"{source} holds a {type(model).__name__} model; a {classes} model is expected: {fitting}, or a .keras file of one"
        )
    return model


def _named_variables(model: "keras.Model") -> Iterator[tuple[str, Any]]:
    for name, part in model.parts.items():
        for variable in part.variables:
            *_, layer, kind = variable.path.split("/")
            yield f"{name}/{layer}/{kind}", variable


class RenamedWarning(FutureWarning):
    """A name of an earlier version was used."""


def current_name(name: str) -> str:
    """The name of today for a model's name of any version; warns (`RenamedWarning`) if it is another one."""
    if name not in _NEW_NAMES:
        return name
    warn_renamed(name, _NEW_NAMES[name])
    return _NEW_NAMES[name]


def warn_renamed(old: str, new: str) -> None:
    """Warns that what was called `old` is called `new`."""
    warnings.warn(f"{old} is now called {new}; the old name goes in the next version", RenamedWarning, stacklevel=3)
