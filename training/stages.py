"""From a config to a finished run: builds photos, networks, trainer and optimizer, and calls `fit`."""

import contextlib
import os
from pathlib import Path
from typing import Any, NamedTuple

import keras

from c2m_tf.network.features import perceptual_stem
from c2m_tf.network.model import C2Matching
from c2m_tf.weights import checkpoints
from c2m_tf.weights.presets import load_model
from c2m_tf.weights.vgg import read_vgg

from . import datasets, sources
from .config import ConfigError, rooted
from .fitting import fit_run
from .matching import Extractors, StudentTrainer, TeacherTrainer
from .optimizers import GroupedAdam, Schedule
from .restoration import RestorationTrainer
from .runs import Run
from .validation import MatchingValidation, PairsValidation


class Parts(NamedTuple):
    """What a stage builds besides its data.

    trainer: the keras.Model that `fit` is called on, compiled.
    trained: the part of it that the stage makes.
    product: a copy of that in float32, for validation and files.
    callbacks: what the trainer needs besides the recorder, given the first iteration.
    """

    trainer: keras.Model
    trained: keras.Model
    product: keras.Model
    callbacks: Any = None


def run_stage(stage: str, config: Any, folder: str | os.PathLike) -> str:
    """Runs a stage from where its folder stands to its end, or until SIGTERM or SIGINT.

    Args:
        stage: "teacher", "student", "restoration" or "adversarial".
        config: of the stage's class.
        folder: run folder; if it holds a run of this config, that run goes on.

    Returns:
        A sentence that says where the run stands.

    Raises:
        ValueError: photos, weights or folder cannot be used; nothing has been trained then.
        RunFailedError: the loss is no number, or a checkpoint cannot be written.
        RunStoppedError: a signal stopped the run after its state was saved.
    """
    keras.utils.set_random_seed(config.seed)
    photos = [_source(config, source) for source in config.data.sources]
    validation = _validation(stage, config, photos)
    with _devices(config):
        parts = _BUILDERS[stage](config)
    run = Run(folder, stage, config)
    save, suffix = (run.save_model, ".keras") if isinstance(parts.product, C2Matching) else (run.save_weights, ".weights.h5")
    done = fit_run(
        run,
        config,
        parts.trainer,
        parts.trained,
        parts.product,
        lambda first_iteration: _batches(stage, config, photos, first_iteration),
        lambda name: save(parts.product, name + suffix),
        validation,
        parts.callbacks,
    )
    return f"{run.folder} is finished: {done} iterations"


def _source(config, source):
    folder = rooted(config, source.folder)
    if source.kind == "single":
        return sources.SinglePhotos(folder, source.held_back)
    if source.held_back:
        raise ConfigError(f"data.sources: held_back is for photos of kind single, not {source.kind}")
    return {"cufed": sources.CufedPairs, "multiview": sources.MultiviewPairs}[source.kind](folder)


def _validation(stage, config, photos):
    if config.validation is None:
        return None
    if stage in ("restoration", "adversarial"):
        return PairsValidation(rooted(config, config.validation.pairs))
    held_back = [path for source in photos for path in getattr(source, "held_back", [])]
    if not held_back:
        raise ConfigError("validation of matching needs photos: give a source of kind single some held_back ones")
    return MatchingValidation(held_back, config.validation.photos, degraded=stage == "student")


def _batches(stage, config, photos, first_iteration):
    data = config.data
    common = {
        "weights": [source.weight for source in data.sources],
        "batch_size": config.batch_size,
        "iterations": config.iterations,
        "first_iteration": first_iteration,
        "seed": config.seed,
        "recolour": data.recolour,
        "workers": data.workers,
    }
    if stage in ("teacher", "student"):
        return datasets.HomographyPairs(photos, **common)
    return datasets.ReferencePairs(photos, lr_size=data.lr_size, ref_size=data.ref_size, unrelated=data.unrelated, **common)


def _devices(config):
    """Where variables are made: on all devices if the config says so, else where Keras puts them."""
    if not config.mirrored:
        return contextlib.nullcontext()
    if keras.backend.backend() != "tensorflow":
        raise ConfigError("mirrored: true is for the TensorFlow backend; set KERAS_BACKEND=tensorflow")
    import tensorflow as tf

    return tf.distribute.MirroredStrategy().scope()


def _optimizer(config):
    options = config.optimizer
    schedule = Schedule(options.learning_rate, config.iterations, options.warmup, options.cosine_from, options.milestones)
    average = {"use_ema": True, "ema_momentum": options.average} if options.average else {}
    return GroupedAdam(schedule, factors=options.factors, **average)


def _compiled(trainer, config):
    optimizer = _optimizer(config)
    trainer.compile(optimizer=optimizer, jit_compile=True if config.xla else "auto")
    optimizer.build(trainer.trainable_variables)  # a resumed run fills its slots before the first step
    return trainer


def _teacher(config):
    extractors = _vgg_extractors(config)
    trainer = TeacherTrainer(extractors)
    return Parts(_compiled(trainer, config), extractors, Extractors())


def _student(config):
    extractors, teacher = _vgg_extractors(config), Extractors(config.dtype)
    _load_weights(teacher, config.teacher, "teacher")
    trainer = StudentTrainer(extractors, teacher)
    return Parts(_compiled(trainer, config), extractors, Extractors())


def _restoration(config):
    network = _network(config)
    trainer = RestorationTrainer(network, config.learns_offsets, config.learns_encoder)
    return Parts(_compiled(trainer, config), network, C2Matching(config.variant))


def _adversarial(config):
    if keras.backend.backend() != "tensorflow":
        raise ConfigError("adversarial training runs on TensorFlow; set KERAS_BACKEND=tensorflow")
    from c2m_tf.network.discriminator import discriminator

    from .adversarial import AdversarialTrainer, PixelOnlyStart

    perceptual = perceptual_stem(config.perceptual_layer)
    checkpoints.load_vgg_stem(perceptual, read_vgg(_vgg(config)))
    network = _network(config)
    trainer = AdversarialTrainer(
        network,
        discriminator(config.published_critic),
        perceptual,
        config.pixel_weight,
        config.perceptual_weight,
        config.adversarial_weight,
        learns_offsets=config.learns_offsets,
        learns_encoder=config.learns_encoder,
    )
    optimizer = _optimizer(config)
    rate = Schedule(config.critic_learning_rate, config.iterations, milestones=config.critic_milestones)
    trainer.compile(optimizer, keras.optimizers.Adam(rate))
    optimizer.build(trainer.network_variables)

    def callbacks(first_iteration):
        return [PixelOnlyStart(config.pixel_only, first_iteration)]

    return Parts(trainer, network, C2Matching(config.variant), callbacks)


_BUILDERS = {"teacher": _teacher, "student": _student, "restoration": _restoration, "adversarial": _adversarial}


def _vgg(config):
    if config.vgg is None:
        raise ConfigError("key vgg is missing: keras, torchvision's .pth, or an .npz of Keras arrays")
    return config.vgg if config.vgg == "keras" else rooted(config, config.vgg)


def _vgg_extractors(config):
    extractors = Extractors(config.dtype)
    state = read_vgg(_vgg(config))
    for stem in (extractors.extractor_lr, extractors.extractor_ref):
        checkpoints.load_vgg_stem(stem, state)
    return extractors


def _network(config):
    """The C2Matching model that a restoration or adversarial run starts from."""
    if config.start is not None:
        if config.extractors is not None:
            raise ConfigError("start and extractors are both given; a start has its extractors already, leave one out")
        network = load_model(config.start, config.dtype)
        if network.variant != config.variant:
            raise ConfigError(f"start {config.start} is a {network.variant} model, but variant is {config.variant}")
        return network
    if config.extractors is None or config.vgg is None:
        raise ConfigError("a run from random numbers needs the keys extractors and vgg; or give start")
    network = C2Matching(config.variant, dtype=config.dtype)
    student = Extractors()
    _load_weights(student, config.extractors, "extractors")
    network.extractor_lr.set_weights(student.extractor_lr.get_weights())
    network.extractor_ref.set_weights(student.extractor_ref.get_weights())
    checkpoints.load_reference_encoder(network, read_vgg(_vgg(config)))
    return network


def _load_weights(model, path, key):
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{key}: {path} does not exist; give the best.weights.h5 of a run")
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ConfigError(f"{key}: {path} cannot be loaded: {' '.join(str(error).split())}") from error
