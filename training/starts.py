"""The networks that runs start from, and networks made of others: grown, cut down, averaged.

Networks grow so that nothing learnt is lost: what the smaller computes, the grown one computes at first.

    trunk -> light            the heads of the two larger levels start at zero: their bodies add nothing yet
    residual offsets          start at zero
    light -> full             the head of the new aggregation (relu3_1) starts at zero
    more residual blocks      the last convolution of new ones starts at zero

Without residual offsets again it is what is left of the same weights. Function-preserving growth after Chen et al., Net2Net
(ICLR 2016). Along the line between a network and one that was trained on from it the loss is low, so that an average keeps what
both have learnt, and often does better than either (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, and
"Model soups", ICML 2022).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from c2m_tf.network.aggregation import DEFORMABLE_GROUPS
from c2m_tf.network.deform_conv import TAPS
from c2m_tf.network.mobile import Mobile
from c2m_tf.network.model import C2Matching
from c2m_tf.network.restoration import PUBLISHED, sizes_of
from c2m_tf.photos.writing import write_single
from c2m_tf.presets import load_model
from c2m_tf.weights import checkpoints, read_npz
from c2m_tf.weights.arrays import read_vgg

from .config import ConfigError, rooted
from .config_keys import TrunkConfig
from .trainers import Extractors

_GROWS = ("content_blocks", "small_blocks", "medium_blocks", "large_blocks", "levels", "residual_offsets")


def vgg_of(config: Any) -> str | Path:
    """What the config's key vgg names; raises ConfigError if it is missing."""
    if config.vgg is None:
        raise ConfigError("key vgg is missing: keras, torchvision's .pth, or an .npz of Keras arrays")
    return config.vgg if config.vgg == "keras" else rooted(config, config.vgg)


def vgg_extractors(config: Any) -> Extractors:
    """Both extractors with the weights of VGG, as teacher and student start."""
    extractors = Extractors(config.dtype_policy)
    state = read_vgg(vgg_of(config))
    for stem in (extractors.extractor_lr, extractors.extractor_ref):
        checkpoints.load_vgg_stem(stem, state)
    return extractors


def student_extractors(config: Any) -> Extractors:
    """The extractors that a student run starts from: those of the config's key start, or VGG's."""
    if config.start is None:
        return vgg_extractors(config)
    network = load_model(config.start, None, C2Matching)
    extractors = Extractors(config.dtype_policy, network.stem_channels)
    _copy_extractors(network, extractors)
    return extractors


def _copy_extractors(source: Any, target: Any) -> None:
    """Of a C2Matching model or of `Extractors`, to either."""
    target.extractor_lr.set_weights(source.extractor_lr.get_weights())
    target.extractor_ref.set_weights(source.extractor_ref.get_weights())


def network_of(config: Any) -> C2Matching:
    """The C2Matching model that a trunk, restoration or adversarial run starts from.

    Raises:
        ConfigError: keys that contradict each other, or files that cannot be used.
    """
    network = _started(config) if config.start is not None else _new(config)
    if getattr(config, "extractors", None) is not None:
        _exchange_extractors(network, config)
    if getattr(config, "own_trunk", False) and not network.own_trunk:
        network = with_own_trunk(network)
    if network.own_trunk and not getattr(config, "keeps_own_trunk", True):
        network = without_own_trunk(network)
    if config.trunk is not None:
        load = load_own_trunk if network.own_trunk and isinstance(config, TrunkConfig) else load_trunk
        load(network, config.trunk)
    return network


def mobile_of(config: Any) -> Mobile:
    """The Mobile model that a run of descriptors or fusion starts from.

    Raises:
        ConfigError: no model of that kind, or files that cannot be used.
    """
    if config.start is None:
        return Mobile(dtype=config.dtype_policy)
    network = _mobile_model(config.start, config.dtype_policy, "start")
    if getattr(config, "descriptors", None) is not None:
        described = _mobile_model(config.descriptors, None, "descriptors")
        network.descriptors.set_weights(described.descriptors.get_weights())
    if getattr(config, "branch", None) is not None:
        load_single_image_weights(network.branch, config.branch)
    if getattr(config, "new_fusion", False):
        network.fusion.set_weights(network.like().fusion.get_weights())
    return network


def _mobile_model(source: str, dtype: str | None, key: str) -> Mobile:
    model = load_model(source, dtype)
    if not isinstance(model, Mobile):
        raise ConfigError(f"{key} {source} holds a {type(model).__name__} model; a Mobile model is expected")
    return model


def _exchange_extractors(network: C2Matching, config: Any) -> None:
    """Gives the network the extractors of a student run, or VGG's."""
    if config.extractors == "vgg":
        extractors = vgg_extractors(config)
    else:
        extractors = Extractors(stem_channels=network.stem_channels)
        load_weights(extractors, config.extractors, "extractors")
    _copy_extractors(extractors, network)


def _started(config: Any) -> C2Matching:
    """From the config's key start; grown or cut down if the config names another network."""
    network = load_model(config.start, config.dtype_policy, C2Matching)
    if config.residual_offsets is False and network.residual_offsets:
        network = without_residual_offsets(network)
    sizes = {} if config.variant is None else sizes_of(config.variant)
    if config.residual_offsets is not None:
        sizes["residual_offsets"] = config.residual_offsets
    if all(network.arguments[name] == value for name, value in sizes.items()):
        return network
    try:
        grown = grow(network, **sizes)
    except ValueError as error:
        raise ConfigError(f"start {config.start}, variant {config.variant}: {error}") from error
    if config.dtype_policy == "float32":
        return grown
    converted = grown.like(dtype=config.dtype_policy)
    converted.set_weights(grown.get_weights())
    return converted


def _new(config: Any) -> C2Matching:
    """From random numbers, with VGG as reference encoder."""
    if config.extractors is None or config.vgg is None:
        raise ConfigError("a run from random numbers needs the keys extractors and vgg; or give start")
    offsets = config.residual_offsets is not False
    network = C2Matching(**PUBLISHED[config.variant or "full"], residual_offsets=offsets, dtype=config.dtype_policy)
    checkpoints.load_reference_encoder(network, read_vgg(vgg_of(config)))
    return network


def load_weights(model: Extractors, path: str, key: str) -> None:
    """Reads the weights of a run; raises ConfigError, naming the config's key, if that fails."""
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"{key}: {path} does not exist; give the best.weights.h5 of a run")
    try:
        model.load_weights(file)
    except Exception as error:  # a damaged file may raise anything: what zip, HDF5 and Keras raise on bytes of any kind
        raise ConfigError(f"{key}: {path} cannot be loaded: {' '.join(str(error).split())}") from error


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


def _remade(model: C2Matching, own_trunk: bool) -> C2Matching:
    """A model with or without a trunk of its own that has the weights of all parts that both have."""
    made = model.like(model.dtype_policy, own_trunk=own_trunk)
    for name in made.parts.keys() & model.parts.keys():
        made.parts[name].set_weights(model.parts[name].get_weights())
    return made


def _read_trunk(path: str | os.PathLike) -> dict[str, np.ndarray]:
    try:
        return read_npz(Path(path))
    except (FileNotFoundError, ValueError) as error:
        raise ConfigError(f"trunk {error}") from error


def _check_shape(path: str | os.PathLike, name: str, value: np.ndarray, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise ConfigError(f"trunk {path}: {name} has shape {value.shape}; expected is {shape}")


def _is_of_trunk(name: str) -> bool:
    """Whether a trunk cannot do without that variable."""
    return name.startswith(("content_extractor", "head_small", "body_small", "tail_"))


def _by_name(part: keras.Model) -> dict[str, keras.Variable]:
    """{layer/kind: variable}, e.g. head_large_0/kernel."""
    return {"/".join(variable.path.split("/")[-2:]): variable for variable in part.variables}


def _widened(kernel: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A kernel with zeros for the input channels that it lacks."""
    if kernel.shape == tuple(shape):
        return kernel
    return np.pad(kernel, [(0, new - old) for old, new in zip(kernel.shape, shape, strict=True)])


def _with_offsets(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Kernel or bias of masks, which are the last channels, with zeros for the residual offsets that it lacks."""
    return np.concatenate([np.zeros((*shape[:-1], shape[-1] - values.shape[-1]), values.dtype), values], axis=-1)


def average(model: C2Matching, other: C2Matching, share: float = 0.5) -> C2Matching:
    """The network whose every weight is (1 - share) times that of one network and share times that of another.

    Args:
        model: C2Matching.
        other: C2Matching of the same arguments.
        share: of `other`, in [0, 1].

    Returns:
        A new C2Matching in float32.

    Raises:
        ValueError: networks of different kinds, or a share outside [0, 1].
    """
    theirs = other.arguments
    for name, value in model.arguments.items():
        if value != theirs[name]:
            raise ValueError(f"a network of {name} {value} and one of {theirs[name]} have no average; give two of one kind")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share:g}; expected is a number from 0 (the first network) to 1 (the second)")
    averaged = model.like()
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    averaged.set_weights([(1 - share) * first + share * second for first, second in pairs])
    return averaged
