"""The networks that runs start from."""

from pathlib import Path
from typing import Any

from c2m_tf.network.mobile import Mobile
from c2m_tf.network.model import C2Matching
from c2m_tf.network.restoration import PUBLISHED, sizes_of
from c2m_tf.presets import load_model
from c2m_tf.weights import checkpoints
from c2m_tf.weights.vgg import read_vgg

from .config import ConfigError, rooted
from .config_keys import TrunkConfig
from .growth import (
    grow,
    load_own_trunk,
    load_single_image_weights,
    load_trunk,
    with_own_trunk,
    without_own_trunk,
    without_residual_offsets,
)
from .matching import Extractors


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


def _copy_extractors(source, target):
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


def _mobile_model(source, dtype, key):
    model = load_model(source, dtype)
    if not isinstance(model, Mobile):
        raise ConfigError(f"{key} {source} holds a {type(model).__name__} model; a Mobile model is expected")
    return model


def _exchange_extractors(network, config):
    """Gives the network the extractors of a student run, or VGG's."""
    if config.extractors == "vgg":
        extractors = vgg_extractors(config)
    else:
        extractors = Extractors(stem_channels=network.stem_channels)
        load_weights(extractors, config.extractors, "extractors")
    _copy_extractors(extractors, network)


def _started(config):
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


def _new(config):
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
