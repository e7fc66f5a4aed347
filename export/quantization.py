"""Quantization-aware training of the light and mobile networks: calibration, then training with rounded numbers.

    calibration   the float network runs on training patches; the range of each activation is the one observed there
    training      L1 on the SR photo through `fit`; restoration network and reference encoder adapt to the rounding.
                  The best match passes no gradient to the extractors, so they stay as calibrated.

A run has a folder (`training.runs`): after a signal or a crash the same command resumes it.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from c2m_tf.training import sources
from c2m_tf.training.datasets import ReferencePairs
from c2m_tf.training.fitting import Parts, fit_run
from c2m_tf.training.optimizers import GroupedAdam, Schedule
from c2m_tf.training.runs import Run
from c2m_tf.training.trainers import MobileTrainer, RestorationTrainer
from rich.console import Console
from rich.progress import track

from c2m_tf.network.model import C2Matching
from c2m_tf.photos.writing import write_single
from c2m_tf.presets import current_name, load_model
from c2m_tf.startup import one_line
from c2m_tf.weights import read_npz

from .phone_network import PhoneForm, PhoneMobile, PhoneNetwork, phone_form

INT8_STEPS = 127
_CALIBRATION_LR, _CALIBRATION_REF = 40, 160  # pixels per side
_WEIGHTS = "quantized.npz"
_PRESETS = Path(__file__).parent / "weights"


@dataclasses.dataclass(frozen=True)
class QuantizationConfig:
    """A run of quantization-aware training.

    Attributes:
        model: preset or .keras file of a light network, trained.
        data: folders of training photos (`c2m_tf.training.sources.source_of`).
        iterations: 0 for calibration alone, post-training quantization.
        calibration_patches: training patches that the ranges are observed on.
        batch_size, lr_size, ref_size: patches per batch, and their sides in pixels.
        learning_rate: of Adam, with cosine decay to 0.
        average: momentum of the average of weights that is the result.
        seed: of the batches.
        save_every, log_every: iterations between checkpoints and lines of the log.
    """

    model: str
    data: tuple[str, ...]
    iterations: int = 100
    calibration_patches: int = 48
    batch_size: int = 4
    lr_size: int = 24
    ref_size: int = 120
    learning_rate: float = 2e-5
    average: float = 0.99
    seed: int = 10
    save_every: int = 50
    log_every: int = 10


def quantize(config: QuantizationConfig, folder: str | os.PathLike) -> PhoneForm:
    """A quantized network, calibrated and trained.

    Args:
        config: QuantizationConfig.
        folder: run folder; a run of the same config in it is resumed.

    Returns:
        PhoneNetwork, quantized. The folder holds its weights as quantized.npz (`load_quantized`).

    Raises:
        ValueError: model, photos or folder cannot be used, or the model is no light one.
        training.runs.RunFailedError, training.fitting.RunStoppedError: as of training.
    """
    keras.utils.set_random_seed(config.seed)
    start = load_model(config.model, "float32")
    network = phone_form(start, quantized=True)
    photos = [sources.source_of(path) for path in config.data]
    run = Run(folder, "quantization", config)
    weights = run.folder / _WEIGHTS
    if not run.state.exists():
        calibrate(network, photos, config.calibration_patches, config.seed)
        save_quantized(network, weights)
    if config.iterations:
        if isinstance(network, PhoneMobile):
            trainer = MobileTrainer(network, alone_weight=0.0)
        else:
            trainer = RestorationTrainer(network, learns_encoder=True, alone_weight=0.0)
        schedule = Schedule(config.learning_rate, config.iterations, cosine_from=0.0)
        trainer.compile(optimizer=GroupedAdam(schedule, use_ema=True, ema_momentum=config.average), jit_compile=False)
        trainer.optimizer.build(trainer.trainable_variables)
        product = phone_form(start, quantized=True)
        fit_run(
            run,
            config,
            Parts(trainer, network, product),
            lambda first_iteration: _batches(config, photos, first_iteration),
            lambda name: save_quantized(product, weights),
        )
    return load_quantized(weights)


def calibrate(network: PhoneForm, photos: Sequence[Any], patches: int, seed: int = 0) -> None:
    """Finds the ranges of all activations and kernels of a quantized network.

    Args:
        network: PhoneForm, quantized.
        photos: sources, drawn from with equal probability.
        patches: number of patches.
        seed: of the patches; the same seed gives the same ranges.
    """
    network.fit_kernel_limits()
    sizes = {"lr_size": _CALIBRATION_LR, "ref_size": _CALIBRATION_REF}
    batches = ReferencePairs(photos, [1.0] * len(photos), 1, patches, seed=seed, **sizes)
    with _observing(network):
        for index in track(range(patches), "calibration", console=Console(stderr=True)):
            inputs, _ = batches[index]
            network(inputs)
            if not network.own_trunk:
                network({"lr": inputs["lr"]})  # values that occur without a reference lie within the ranges too


def save_quantized(network: PhoneForm, path: str | os.PathLike) -> None:
    """Writes weights and ranges of a quantized network as .npz: kernels as int8 numbers, what stays in float as float16."""
    arrays = {name: keras.ops.convert_to_numpy(variable) for name, variable in _named_variables(network)}
    for name in arrays:
        if name.startswith(("trunk/", "branch/", "descriptors/")):
            arrays[name] = arrays[name].astype(np.float16)
        elif name.endswith("kernel"):
            step = arrays[_limit_of(name, arrays)] / INT8_STEPS
            arrays[name] = np.round(arrays[name] / step).clip(-INT8_STEPS, INT8_STEPS).astype(np.int8)
    config = json.dumps(network.get_config())
    write_single(path, lambda file: np.savez_compressed(file, config=config, **arrays))


def load_quantized(path: str | os.PathLike) -> PhoneForm:
    """The quantized network that `save_quantized` wrote.

    Raises:
        ValueError: no such file, or one of another kind.
    """
    try:
        arrays = read_npz(path)
        if "config" in arrays:
            config = json.loads(str(arrays["config"]))
            network = (PhoneMobile if config["name"] == "phone_mobile" else PhoneNetwork).from_config(config)
        else:  # files of 0.1.0
            config = {"variant": str(arrays["variant"]), "own_trunk": any(name.startswith("trunk/") for name in arrays)}
            network = PhoneNetwork(C2Matching.from_config(config), quantized=True)
        for name, variable in _named_variables(network):
            value = arrays[name]
            variable.assign(value * (arrays[_limit_of(name, arrays)] / INT8_STEPS) if value.dtype == np.int8 else value)
    except Exception as error:  # a config of another network may raise anything
        raise ValueError(f"{path} holds no quantized network: {one_line(error)}") from error
    return network


def quantized_preset(name: str) -> Path:
    """The .npz file of a quantized network: that of a preset, or a file of that name.

    Raises:
        ValueError: there is none.
    """
    name = current_name(name)
    path = Path(name) if name.endswith(".npz") else _PRESETS / f"{name}-int8.npz"
    if not path.is_file():
        presets = sorted(file.name.removesuffix("-int8.npz") for file in _PRESETS.glob("*-int8.npz"))
        raise ValueError(
            f"no int8 weights of {name}; there are those of {', '.join(presets)}, and c2m-tf export quantize makes others"
        )
    return path


@contextmanager
def _observing(network):
    ranges = list(network.ranges())
    for layer in ranges:
        layer.observing = True
    try:
        yield
    finally:
        for layer in ranges:
            layer.observing = False


def _batches(config, photos, first_iteration):
    sizes = {"lr_size": config.lr_size, "ref_size": config.ref_size}
    shares = [1.0] * len(photos)
    return ReferencePairs(photos, shares, config.batch_size, config.iterations, first_iteration, config.seed, **sizes)


def _named_variables(network):
    for name, part in network.parts.items():
        for variable in part.variables:
            yield f"{name}/{variable.path.removeprefix(name + '/')}", variable


def _limit_of(kernel, names):
    """The name of a kernel's range: in the same layer, or one further out, where the deformable convolution has it."""
    layer = kernel.removesuffix("/kernel")
    return f"{layer}/limit" if f"{layer}/limit" in names else f"{layer.rsplit('/', 1)[0]}/limit"
