"""From a config to a finished run: builds photos, networks, trainer and optimizer, and calls `fit`."""

import contextlib
import os
from typing import Any

import keras

from c2m_tf.network.features import perceptual_stem
from c2m_tf.network.mobile import Mobile
from c2m_tf.network.model import C2Matching
from c2m_tf.weights import checkpoints
from c2m_tf.weights.vgg import read_vgg

from . import datasets, distribution, sources
from .config import ConfigError, rooted
from .fitting import fit_run
from .layered import LayeredPairs
from .matching import Extractors, StudentTrainer, TeacherTrainer
from .mobile import DescriptorTrainer, MobileTrainer
from .optimizers import GroupedAdam, Schedule
from .parts import Parts
from .patches import PhotoPatches
from .restoration import RestorationTrainer
from .runs import Run, check_run, state_of
from .starts import load_weights, mobile_of, network_of, student_extractors, vgg_extractors, vgg_of
from .trunk import TrunkTrainer
from .validation import HeldBackPairs, MatchingValidation, PairsValidation


def run_stage(stage: str, config: Any, folder: str | os.PathLike) -> str:
    """Runs a stage from the saved state of its folder to its end, or until SIGTERM or SIGINT.

    Args:
        stage: a key of `config.STAGES`.
        config: of the stage's class.
        folder: run folder; if it holds a run of this config, that run is resumed.

    Returns:
        A sentence on the state of the run.

    Raises:
        ValueError: photos, weights or folder cannot be used; nothing has been trained then.
        RunFailedError: the loss is not finite, or a checkpoint cannot be written.
        RunStoppedError: a signal stopped the run after its state was saved.
        ProcessFailedError: this process of several has failed while others may wait for it.
    """
    distribution.check(stage, config)
    check_run(folder, stage, config)
    keras.utils.set_random_seed(config.seed)
    photos = _photos(stage, config)
    validation = _validation(stage, config, photos)
    group = distribution.join(config, state_of(folder))
    with distribution.preparing(group):
        with _devices(config):
            parts = _BUILDERS[stage](config)
        run = Run(folder, stage, config, group.leads)
        if isinstance(validation, HeldBackPairs) and group.leads:
            validation.write(run.folder / "validation")
    save, suffix = (
        (run.save_model, ".keras") if isinstance(parts.product, C2Matching | Mobile) else (run.save_weights, ".weights.h5")
    )
    with distribution.failing_alone(group):
        done = fit_run(
            run,
            config,
            parts,
            lambda first_iteration: _batches(stage, config, photos, first_iteration, group),
            lambda name: save(parts.product, name + suffix),
            validation,
            group,
        )
    return f"{run.folder} is finished: {done} iterations{_judged(run, config, validation)}"


def _judged(run, config, validation):
    """What the best network was judged to be, and the start if that was judged too."""
    best = None if validation is None else run.best(validation.judged_by)
    if best is None:
        return ""
    words = f"; {validation.judged_by} {best:.4g} at its best"
    if getattr(config.validation, "at_start", False):
        words += f", {float(run.rows[0][validation.judged_by]):.4g} at the start"
    return words


def _photos(stage, config):
    """What batches are drawn from: PhotoPatches for the trunk, else sources."""
    return _patches(config, config.data) if stage == "trunk" else [_source(config, source) for source in config.data.sources]


def _patches(config, options):
    teacher = None if options.teacher is None else rooted(config, options.teacher)
    return PhotoPatches([rooted(config, folder) for folder in options.photos], options.lr_size, teacher, options.degraded)


def _source(config, source):
    folder = rooted(config, source.folder)
    if source.kind in ("single", "layered"):
        return {"single": sources.SinglePhotos, "layered": LayeredPairs}[source.kind](folder, source.held_back)
    if source.held_back:
        raise ConfigError(f"data.sources: held_back is for photos of kind single and layered, not {source.kind}")
    return {"cufed": sources.CufedPairs, "multiview": sources.MultiviewPairs}[source.kind](folder)


def _validation(stage, config, photos):
    if getattr(config, "validation", None) is None:
        return None
    options = config.validation
    by_pairs = stage in ("trunk", "restoration", "adversarial", "mobile")
    if by_pairs and options.pairs is not None:
        return PairsValidation(rooted(config, options.pairs), "none" if stage == "trunk" else "1", options.degradations)
    held_back = [] if stage == "trunk" else [path for source in photos for path in getattr(source, "held_back", [])]
    if not held_back:
        what = "without pairs" if by_pairs else "of matching"
        raise ConfigError(f"validation {what} needs photos: give a source of kind single some held_back ones")
    if by_pairs:
        return HeldBackPairs(held_back, options.degradations)
    return MatchingValidation(held_back, options.photos, "bicubic" if stage == "student" else None, options.degradations)


def _batches(stage, config, photos, first_iteration, group):
    data = config.data
    part = group.part(config.batch_size)
    if stage == "trunk":
        return _patch_batches(config, data, photos, part, first_iteration)
    first_position, size = part
    common = {
        "weights": [source.weight for source in data.sources],
        "batch_size": size,
        "first_position": first_position,
        "iterations": config.iterations,
        "first_iteration": first_iteration,
        "seed": config.seed,
        "recolour": data.recolour,
        "degraded": data.degraded,
        "workers": data.workers,
    }
    if stage in ("teacher", "student"):
        return datasets.HomographyPairs(photos, **common)
    if stage == "descriptors":
        return datasets.CorrespondencePairs(photos, **common)
    sizes = {"lr_size": data.lr_size, "ref_size": data.ref_size, "central": data.central}
    pairs = datasets.ReferencePairs(photos, unrelated=data.unrelated, **sizes, **common)
    alone = getattr(config, "alone", None)
    if alone is None:
        return pairs
    patches = _patches(config, alone)
    return datasets.JointBatches(pairs, _patch_batches(config, alone, patches, group.part(alone.batch_size), first_iteration))


def _patch_batches(config, options, patches, part, first_iteration):
    first_position, size = part
    return datasets.PatchBatches(
        patches,
        size,
        config.iterations,
        first_iteration,
        config.seed,
        options.teacher_share,
        options.teacher_until,
        options.workers,
        first_position,
    )


def _devices(config):
    """Where variables are created: on all devices if the config says so, else where Keras puts them."""
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
    extractors = vgg_extractors(config)
    trainer = TeacherTrainer(extractors)
    return Parts(_compiled(trainer, config), extractors, Extractors())


def _student(config):
    extractors, teacher = student_extractors(config), None
    channels = extractors.stem_channels
    if config.teacher is not None:
        teacher = Extractors(config.dtype_policy, channels)
        load_weights(teacher, config.teacher, "teacher")
    trainer = StudentTrainer(extractors, teacher)
    return Parts(_compiled(trainer, config), extractors, Extractors(stem_channels=channels))


def _trunk(config):
    network = network_of(config)
    return Parts(_compiled(TrunkTrainer(network, config.pixel_loss), config), network, network.like())


def _restoration(config):
    network = network_of(config)
    alone_weight = 0.0 if config.alone is None else config.alone.weight
    trainer = RestorationTrainer(network, config.learns_offsets, config.learns_encoder, alone_weight, config.pixel_loss)
    return Parts(_compiled(trainer, config), network, network.like())


def _adversarial(config):
    if keras.backend.backend() != "tensorflow":
        raise ConfigError("adversarial training runs on TensorFlow; set KERAS_BACKEND=tensorflow")
    from c2m_tf.network.discriminator import discriminator

    from .adversarial import AdversarialTrainer, PixelOnlyStart

    perceptual = perceptual_stem(config.perceptual_layer)
    checkpoints.load_vgg_stem(perceptual, read_vgg(vgg_of(config)))
    network = network_of(config)
    trainer = AdversarialTrainer(
        network,
        discriminator(config.published_critic),
        perceptual,
        config.pixel_weight,
        config.perceptual_weight,
        config.adversarial_weight,
        config.grid_weight,
        config.seed,
        learns_offsets=config.learns_offsets,
        learns_encoder=config.learns_encoder,
    )
    optimizer = _optimizer(config)
    rate = Schedule(config.critic_learning_rate, config.iterations, milestones=config.critic_milestones)
    trainer.compile(optimizer, keras.optimizers.Adam(rate))
    optimizer.build(trainer.network_variables)

    def callbacks(first_iteration):
        return [PixelOnlyStart(config.pixel_only, first_iteration)]

    return Parts(trainer, network, network.like(), callbacks)


def _descriptors(config):
    network = mobile_of(config)
    return Parts(_compiled(DescriptorTrainer(network, config.temperature), config), network, network.like())


def _mobile(config):
    network = mobile_of(config)
    alone_weight = 0.0 if config.alone is None else config.alone.weight
    trainer = MobileTrainer(network, config.learns_branch, alone_weight, config.pixel_loss)
    return Parts(_compiled(trainer, config), network, network.like())


_BUILDERS = {
    "teacher": _teacher,
    "student": _student,
    "trunk": _trunk,
    "restoration": _restoration,
    "adversarial": _adversarial,
    "descriptors": _descriptors,
    "mobile": _mobile,
}
