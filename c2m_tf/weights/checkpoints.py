"""Published PyTorch checkpoints -> our weights.

A published checkpoint is a dict of arrays, convolution kernels as OIHW. Ours are HWIO with names that differ only by "_" for
".", and three layers whose channels are ordered differently:

    tail_small.0, tail_medium.0   PyTorch's pixel shuffle reads channel 4c + 2a + b, ours (2a + b) * 64 + c
    *.conv_offset_mask            offsets interleaved (dy, dx) per tap, ours blocks [dy | dx | mask]

Checkpoints are untrusted files: PyTorch loads them with `weights_only=True`, so that nothing in them is executed, and every
name and shape is checked before the first weight is set.
"""

import os
from pathlib import Path

import keras
import numpy as np

from c2m_tf.network import single_image
from c2m_tf.network.features import IMAGENET_MEAN, IMAGENET_STD
from c2m_tf.network.model import C2Matching
from c2m_tf.startup import first_line

# Position of each convolution in torchvision's `vgg19().features` (and vgg16's, which is the same up to conv3_1).
TORCHVISION_STEM = {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10}
TORCHVISION_VGG19 = TORCHVISION_STEM | {
    "conv3_2": 12,
    "conv3_3": 14,
    "conv3_4": 16,
    "conv4_1": 19,
    "conv4_2": 21,
    "conv4_3": 23,
    "conv4_4": 25,
    "conv5_1": 28,
    "conv5_2": 30,
    "conv5_3": 32,
    "conv5_4": 34,
}


class CheckpointError(ValueError):
    """A checkpoint's names or shapes are not those of the network that it is meant for."""


def read_torch_checkpoint(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Arrays of a .pth file, by name, without the prefix "module." that training on several GPUs leaves.

    Args:
        path: file written by `torch.save`, a dict of tensors, or one under the key "state_dict", "params", or "model" and "sd".

    Returns:
        dict of name -> numpy array.

    Raises:
        FileNotFoundError: no such file.
        ImportError: PyTorch is not installed.
        CheckpointError: the file is not a dict of tensors, or holds objects that could run code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist")
    try:
        import torch
    except ImportError as error:
        raise ImportError('reading .pth files needs PyTorch; install it by: pip install "c2m-tf[torch]"') from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        for key in ("state_dict", "params", "model", "sd"):
            if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
                loaded = loaded[key]
        if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
            raise CheckpointError(f"{path} holds no dict of tensors; give a state_dict saved by torch.save")
        return {str(name).removeprefix("module."): value.float().numpy() for name, value in loaded.items()}
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file may raise anything: a pickle is a program
        raise CheckpointError(f"{path} is not a PyTorch checkpoint of plain tensors: {first_line(error)}") from error


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


def _layer_variables(model):
    """(layer name, "kernel" | "bias" | ..., variable) of every variable of a model."""
    for variable in model.variables:
        *_, layer, kind = variable.path.split("/")
        yield layer, kind, variable


def _under_published_names(model, published, kinds=None):
    """{published name: variable}, our name where none is known; `published` has them by ours, `kinds` those of variables."""
    expected = {}
    for layer, kind, variable in _layer_variables(model):
        flat = f"{layer}_{(kinds or {}).get(kind, _published_kind(kind))}"
        expected[published.get(flat, flat)] = variable
    return expected


def _published_kind(kind):
    return {"kernel": "weight"}.get(kind, kind)


def _assign(expected, state, what, transforms=None, ignored=()):
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


def _some(names, most=5):
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _pixel_shuffle_order(array):
    """Output channel 4c + 2a + b -> (2a + b) * C + c."""
    if array.shape[0] % 4:
        return array
    return array.reshape(-1, 4, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)


def _depthwise_order(array):
    """Output channels c * multiplier + m, one input each, -> multipliers as output and channels as input."""
    if array.ndim != 4 or array.shape[0] % single_image.WIDTH:
        return array
    return array.reshape(single_image.WIDTH, -1, *array.shape[2:]).swapaxes(0, 1)


def _offset_blocks(array):
    """Output channels [g][k][dy, dx] then masks -> [dy | dx | mask], each block [g][k]."""
    if array.shape[0] % 3:
        return array
    points = array.shape[0] // 3
    return np.concatenate([array[0 : 2 * points : 2], array[1 : 2 * points : 2], array[2 * points :]])
