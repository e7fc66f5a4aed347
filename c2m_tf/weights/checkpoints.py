"""Published PyTorch checkpoints -> our weights.

A published checkpoint is a dict of arrays, convolution kernels as OIHW. Ours are HWIO with names that differ only by "_" for
".", and three layers whose channels are ordered differently:

    tail_small.0, tail_medium.0   PyTorch's pixel shuffle reads channel 4c + 2a + b, ours (2a + b) * 64 + c
    *.conv_offset_mask            offsets interleaved (dy, dx) per tap, ours blocks [dy | dx | mask]

Checkpoints are untrusted files: PyTorch loads them with `weights_only=True`, so that nothing in them is executed, and every
name and shape is checked before the first weight is set.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from c2m_tf.network import single_image
from c2m_tf.network.discriminator import discriminator as build_discriminator
from c2m_tf.network.features import IMAGENET_MEAN, IMAGENET_STD
from c2m_tf.network.model import C2Matching
from c2m_tf.photos.files import remove_left_over, replacing
from c2m_tf.photos.images import check_not_input, check_writable
from c2m_tf.startup import one_line
from c2m_tf.weights.arrays import TORCHVISION_VGG19, CheckpointError, read_torch_checkpoint, read_vgg


def load_extractors(model: C2Matching, state: dict[str, np.ndarray]) -> None:
    """Sets both contrastive extractors from `feature_extraction.pth`'s arrays (24 entries).

    Args:
        model: C2Matching.
        state: dict of published name -> array.

    Raises:
        CheckpointError: names missing, left over or of a wrong shape; no weight has been changed then.
    """
    expected = {}
    for number, extractor in ((1, model.extractor_lr), (2, model.extractor_ref)):
        prefix = f"feature_extraction_image{number}."
        for layer, kind, variable in _layer_variables(extractor):
            expected[f"{prefix}model.{layer}.{_published_kind(kind)}"] = variable
    statistics = {
        f"feature_extraction_image{number}.{name}": values
        for number in (1, 2)
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD))
    }
    _assign(expected, state, "contrastive extractor", ignored=statistics)
    for name, values in statistics.items():
        if name in state and not np.allclose(np.ravel(state[name]), values, atol=1e-4):
            raise CheckpointError(f"{name} is {np.ravel(state[name])}, but this network normalises by {values}")


def load_restoration(model: C2Matching, state: dict[str, np.ndarray]) -> None:
    """Sets the restoration network from `c2_matching_restoration*.pth`'s arrays (296 entries, light 208).

    Args:
        model: C2Matching, full or light.
        state: dict of published name -> array.

    Raises:
        CheckpointError: as for `load_extractors`.
    """
    published = {name.removeprefix("dyn_agg_restore.").replace(".", "_"): name for name in state if name.count(".") > 0}
    expected = _under_published_names(model.restoration, published)
    transforms = {}
    for name in state:
        if ".tail_small.0." in name or ".tail_medium.0." in name:
            transforms[name] = _pixel_shuffle_order
        elif ".conv_offset_mask." in name:
            transforms[name] = _offset_blocks
    _assign(expected, state, f"{model.variant} restoration network", transforms)


def load_reference_encoder(model: C2Matching, state: dict[str, np.ndarray]) -> None:
    """Sets the reference encoder from torchvision's VGG-19 arrays (`vgg19-dcbb9e9d.pth`).

    Args:
        model: C2Matching.
        state: dict of torchvision name ("features.0.weight", ...) -> array; deeper layers and the classifier are not used.

    Raises:
        CheckpointError: as for `load_extractors`.
    """
    load_vgg_stem(model.reference_encoder, state)


def load_vgg_stem(stem: keras.Model, state: dict[str, np.ndarray]) -> None:
    """Sets any model of VGG-19 convolutions named convA_B from torchvision's arrays; see `load_reference_encoder`."""
    expected = {}
    for layer, kind, variable in _layer_variables(stem):
        expected[f"features.{TORCHVISION_VGG19[layer]}.{_published_kind(kind)}"] = variable
    used = {name: array for name, array in state.items() if name in expected}
    _assign(expected, used, "VGG-19")


def load_single_image(network: keras.Model, state: dict[str, np.ndarray]) -> None:
    """Sets a trunk of the model's own from the published SMFANet+ for 4x (268 entries).

    Args:
        network: keras.Model built by `single_image_network`. Its gates are not the published ones, so its results differ.
        state: dict of published name -> array.

    Raises:
        CheckpointError: as for `load_extractors`.
    """
    published = {name.replace(".", "_"): name for name in state}
    expected = _under_published_names(network, published)
    depthwise = {name: _depthwise_order for name in state if name.endswith((".dw_conv.weight", ".lde.conv_0.0.weight"))}
    vectors = {name: np.ravel for name in state if name.endswith((".alpha", ".belt"))}
    _assign(expected, state, "SMFANet+ network for 4x", depthwise | vectors)


def load_discriminator(critic: keras.Model, state: dict[str, np.ndarray]) -> None:
    """Sets the published critic (`discriminator(published=True)`) from its arrays (74 entries).

    Args:
        critic: keras.Model built by `discriminator(published=True)`.
        state: dict of published name -> array.

    Raises:
        CheckpointError: as for `load_extractors`.
    """
    kinds = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    published = {name.replace(".", "_"): name for name in state}
    expected = _under_published_names(critic, published, kinds)
    counters = {name: None for name in state if name.endswith("num_batches_tracked")}
    _assign(expected, state, "published discriminator", ignored=counters)


def _layer_variables(model: Any) -> Iterator[tuple[str, str, Any]]:
    """(layer name, "kernel" | "bias" | ..., variable) of every variable of a model."""
    for variable in model.variables:
        *_, layer, kind = variable.path.split("/")
        yield layer, kind, variable


def _under_published_names(model: Any, published: Mapping[str, str], kinds: Mapping[str, str] | None = None) -> dict[str, Any]:
    """{published name: variable}, our name where none is known; `published` has them by ours, `kinds` those of variables."""
    expected = {}
    for layer, kind, variable in _layer_variables(model):
        flat = f"{layer}_{(kinds or {}).get(kind, _published_kind(kind))}"
        expected[published.get(flat, flat)] = variable
    return expected


def _published_kind(kind: str) -> str:
    return {"kernel": "weight"}.get(kind, kind)


def _assign(
    expected: Mapping[str, Any], state: Mapping[str, np.ndarray], what: str, transforms: Any = None, ignored: Any = ()
) -> None:
    """Sets variables from arrays after checking that names and shapes agree exactly."""
    missing = sorted(set(expected) - set(state))
    left_over = sorted(set(state) - set(expected) - set(ignored))
    if missing or left_over:
        found = [f"{title}: {_some(names)}" for title, names in (("missing", missing), ("left over", left_over)) if names]
        raise CheckpointError(f"this is not a checkpoint of the {what}; {'; '.join(found)}")
    converted = {}
    for name, variable in expected.items():
        array = np.asarray(state[name])
        if transforms and name in transforms:
            array = transforms[name](array)
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        if array.shape != tuple(variable.shape):
            shape = tuple(np.shape(state[name]))
            raise CheckpointError(f"{what}: {name} has shape {shape}; expected is one that gives {tuple(variable.shape)}")
        converted[name] = array
    for name, variable in expected.items():
        variable.assign(converted[name])


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _pixel_shuffle_order(array: np.ndarray) -> np.ndarray:
    """Output channel 4c + 2a + b -> (2a + b) * C + c."""
    if array.shape[0] % 4:
        return array
    return array.reshape(-1, 4, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)


def _depthwise_order(array: np.ndarray) -> np.ndarray:
    """Output channels c * multiplier + m, one input each, -> multipliers as output and channels as input."""
    if array.ndim != 4 or array.shape[0] % single_image.WIDTH:
        return array
    return array.reshape(single_image.WIDTH, -1, *array.shape[2:]).swapaxes(0, 1)


def _offset_blocks(array: np.ndarray) -> np.ndarray:
    """Output channels [g][k][dy, dx] then masks -> [dy | dx | mask], each block [g][k]."""
    if array.shape[0] % 3:
        return array
    points = array.shape[0] // 3
    return np.concatenate([array[0 : 2 * points : 2], array[1 : 2 * points : 2], array[2 * points :]])


def import_weights(
    extractor: str | os.PathLike,
    restoration: str | os.PathLike,
    vgg: str | os.PathLike,
    output: str | os.PathLike,
    discriminator: str | os.PathLike | None = None,
) -> list[tuple[Path, str]]:
    """Builds the model that the checkpoints belong to, full or light, and saves it.

    Args:
        extractor: feature_extraction.pth.
        restoration: c2_matching_restoration.pth, c2_matching_restoration_mse.pth, or one of the light network.
        vgg: vgg19-dcbb9e9d.pth, an .npz of Keras arrays, or "keras"; see `arrays.read_vgg`.
        output: .keras file to write.
        discriminator: optional checkpoint of the critic, saved beside the output as <output's stem>.discriminator.keras.

    Returns:
        List of (path written, what it holds).

    Raises:
        ValueError: output not named .keras or not writable, names or shapes that do not fit (`CheckpointError`).
        FileNotFoundError, ImportError: see `read_torch_checkpoint`.
    """
    output = Path(output)
    if output.suffix != ".keras":
        raise ValueError(f"{output}: the result is a Keras file; name it {output.with_suffix('.keras').name}")
    critic_output = output.with_suffix(".discriminator.keras")
    inputs = [path for path in (extractor, restoration, vgg, discriminator) if path not in (None, "keras")]
    for path in (output, *([critic_output] if discriminator is not None else [])):
        check_not_input(path, inputs)
        check_writable(path)
    state = read_torch_checkpoint(restoration)
    variant = "full" if any("small_dyn_agg" in name for name in state) else "light"
    model = C2Matching.full() if variant == "full" else C2Matching.light()
    load_restoration(model, state)
    load_extractors(model, read_torch_checkpoint(extractor))
    load_reference_encoder(model, read_vgg(vgg))
    to_write = [(output, model, f"{variant} model")]
    if discriminator is not None:
        critic = build_discriminator(published=True)
        load_discriminator(critic, read_torch_checkpoint(discriminator))
        to_write.append((critic_output, critic, "published discriminator"))
    for path, keras_model, _ in to_write:
        save_atomically(keras_model, path)
    return [(path, what) for path, _, what in to_write]


def save_atomically(model: keras.Model, path: str | os.PathLike) -> None:
    """Saves a Keras model so that `path` holds the complete new file or what it held before.

    Raises:
        ValueError: the file cannot be written.
    """
    try:
        remove_left_over([path])
        with replacing(path) as temporary:
            model.save(temporary)
    except (OSError, RuntimeError) as error:  # HDF5 has errors of its own on a full disk
        raise ValueError(f"cannot write {path}: {one_line(error)}") from error
