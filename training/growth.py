"""Networks grown from smaller ones, so that nothing learnt is lost: what the smaller computes, the grown one computes at first.

    trunk -> light            the heads of the two larger levels start at zero: their bodies add nothing yet
    residual offsets          start at zero
    light -> full             the head of the new aggregation (relu3_1) starts at zero
    more residual blocks      the last convolution of new ones starts at zero

Without residual offsets again it is what is left of the same weights.

Function-preserving growth after Chen et al., Net2Net (ICLR 2016).
"""

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from c2m_tf.network.aggregation import DEFORMABLE_GROUPS
from c2m_tf.network.deform_conv import TAPS
from c2m_tf.network.model import C2Matching
from c2m_tf.photos.writing import write_single
from c2m_tf.weights.npz import read_npz

from .config import ConfigError

_GROWS = ("content_blocks", "small_blocks", "medium_blocks", "large_blocks", "levels", "residual_offsets")


def grow(model: C2Matching, **sizes: Any) -> C2Matching:
    """A larger network that computes what a smaller one computes.

    Layers of the reference encoder that the smaller one lacks start as those of its reference extractor, a VGG stem as well.

    Args:
        model: C2Matching.
        sizes: arguments of C2Matching that are to be larger: numbers of residual blocks, `levels`, `residual_offsets`.

    Returns:
        C2Matching, float32, with new numbers where the smaller network has no layer.

    Raises:
        ValueError: a size that would be smaller, or one that cannot grow.
    """
    now = model.arguments
    for name, value in sizes.items():
        larger = name in _GROWS and (set(value) >= set(now[name]) if name == "levels" else value >= now[name])
        if value != now[name] and not larger:
            raise ValueError(
                f"a {model.variant} network cannot be grown from {name} {now[name]} to {value}; {', '.join(_GROWS)} may grow"
            )
    grown = model.like(**sizes)
    known = {name: _by_name(part) for name, part in model.parts.items()}
    known["reference_encoder"] = _by_name(model.extractor_ref) | known["reference_encoder"]
    for part, network in grown.parts.items():
        for name, variable in _by_name(network).items():
            layer, kind = name.split("/")
            if name in known[part]:
                widen = _with_offsets if layer.endswith("_conv_offset_mask") else _widened
                variable.assign(widen(keras.ops.convert_to_numpy(known[part][name]), variable.shape))
            elif "body_" in layer and layer.endswith("_conv2") and kind == "kernel":
                variable.assign(np.zeros(variable.shape))
    return grown


def without_residual_offsets(model: C2Matching) -> C2Matching:
    """The same network without residual offsets; all other weights are kept.

    Args:
        model: C2Matching with residual offsets.

    Returns:
        C2Matching of the same sizes and dtype policy.
    """
    masks = model.like(model.dtype_policy, residual_offsets=False)
    weights = []
    for variable, value in zip(masks.variables, model.get_weights(), strict=True):
        # Masks are the last channels of the convolution that gives offsets and masks.
        weights.append(value if variable.shape == value.shape else value[..., -DEFORMABLE_GROUPS * TAPS :])
    masks.set_weights(weights)
    return masks


def with_own_trunk(model: C2Matching) -> C2Matching:
    """The same model with a trunk of its own, not trained yet.

    Args:
        model: C2Matching without a trunk of its own.

    Returns:
        C2Matching of the same variant and dtype policy.
    """
    return _remade(model, own_trunk=True)


def without_own_trunk(model: C2Matching) -> C2Matching:
    """The same model without its own trunk: alone it then computes what the restoration network computes at strength 0.

    Args:
        model: C2Matching with a trunk of its own.

    Returns:
        C2Matching of the same variant and dtype policy.
    """
    return _remade(model, own_trunk=False)


def save_own_trunk(trunk: keras.Model, path: str | os.PathLike) -> None:
    """Writes the weights of a trunk of its own as `load_own_trunk` reads them.

    Args:
        trunk: result of `single_image.single_image_network`.
        path: .npz file; it appears complete or not at all.
    """
    arrays = {name: keras.ops.convert_to_numpy(variable) for name, variable in _by_name(trunk).items()}
    write_single(path, lambda file: np.savez_compressed(file, **arrays))


def load_own_trunk(model: C2Matching, path: str | os.PathLike) -> None:
    """Gives a model's own trunk weights from a file.

    Args:
        model: C2Matching with a trunk of its own; the rest of it stays as it is.
        path: .npz of float arrays <layer>/<kind>, named like the variables of `single_image.single_image_network`.

    Raises:
        ConfigError: no such file, or names or shapes that are not those of the network.
    """
    load_single_image_weights(model.trunk, path)


def load_single_image_weights(network: keras.Model, path: str | os.PathLike) -> None:
    """The same for a single-image network by itself.

    Args:
        network: result of `single_image.single_image_network`.
        path, raises: see `load_own_trunk`.
    """
    arrays = _read_trunk(path)
    variables = _by_name(network)
    missing = sorted(variables.keys() - arrays.keys())
    if missing:
        raise ConfigError(
            f"trunk {path} has no {missing[0]} ({len(missing)} arrays are missing); give the .npz of a trunk of its own, "
            f"e.g. that of c2m-tf train own-trunk-weights"
        )
    unknown = sorted(arrays.keys() - variables.keys())
    if unknown:
        raise ConfigError(f"trunk {path} holds {unknown[0]}, which a trunk of its own has not")
    for name, variable in variables.items():
        _check_shape(path, name, arrays[name], tuple(variable.shape))
        variable.assign(arrays[name].astype(np.float32))


def load_trunk(model: C2Matching, path: str | os.PathLike) -> None:
    """Gives a model the weights of a trunk; at any strength it then computes what the trunk computes.

    Args:
        model: C2Matching; its matching and reference encoder stay as they are.
        path: .npz of float arrays <layer>/kernel and <layer>/bias, named like the layers of the restoration network. The heads
            of the two larger levels may be missing, together with their bodies.

    Raises:
        ConfigError: no such file, or names or shapes that are not those of the restoration network.
    """
    arrays = _read_trunk(path)
    variables = _by_name(model.restoration)
    unknown = sorted(arrays.keys() - variables.keys())
    if unknown:
        raise ConfigError(f"trunk {path} holds {unknown[0]}, which the restoration network of {model.variant} has not")
    heads = [f"head_{level}_0/{kind}" for level in ("medium", "large") for kind in ("kernel", "bias")]
    missing = sorted(name for name in variables if _is_of_trunk(name) and name not in arrays)
    if missing:
        raise ConfigError(f"trunk {path} has no {missing[0]} ({len(missing)} arrays are missing); give the .npz of a trunk")
    for name, value in arrays.items():
        shape = tuple(variables[name].shape)
        widened = name == "head_small_0/kernel" and value.shape[:2] == shape[:2] and value.shape[2] <= shape[2]
        if not widened:
            _check_shape(path, name, value, shape)
        variables[name].assign(_widened(value.astype(np.float32), shape))
    for name in heads:
        if name not in arrays:
            variables[name].assign(np.zeros(variables[name].shape))


def _remade(model, own_trunk):
    """A model with or without a trunk of its own that has the weights of all parts that both have."""
    made = model.like(model.dtype_policy, own_trunk=own_trunk)
    for name in made.parts.keys() & model.parts.keys():
        made.parts[name].set_weights(model.parts[name].get_weights())
    return made


def _read_trunk(path):
    try:
        return read_npz(Path(path))
    except (FileNotFoundError, ValueError) as error:
        raise ConfigError(f"trunk {error}") from error


def _check_shape(path, name, value, shape):
    if value.shape != shape:
        raise ConfigError(f"trunk {path}: {name} has shape {value.shape}; expected is {shape}")


def _is_of_trunk(name):
    """Whether a trunk cannot do without that variable."""
    return name.startswith(("content_extractor", "head_small", "body_small", "tail_"))


def _by_name(part):
    """{layer/kind: variable}, e.g. head_large_0/kernel."""
    return {"/".join(variable.path.split("/")[-2:]): variable for variable in part.variables}


def _widened(kernel, shape):
    """A kernel with zeros for the input channels that it lacks."""
    if kernel.shape == tuple(shape):
        return kernel
    return np.pad(kernel, [(0, new - old) for old, new in zip(kernel.shape, shape, strict=True)])


def _with_offsets(values, shape):
    """Kernel or bias of masks, which are the last channels, with zeros for the residual offsets that it lacks."""
    return np.concatenate([np.zeros((*shape[:-1], shape[-1] - values.shape[-1]), values.dtype), values], axis=-1)
