"""From a config to a finished run: one class for each stage builds photos, networks, trainer and optimizer.

What batches are drawn from, what judges a run, and what it makes is all that differs between stages.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

import keras

from c2m_tf.network.features import perceptual_stem
from c2m_tf.weights import checkpoints
from c2m_tf.weights.arrays import read_vgg

from . import datasets, distribution, sources
from .config import ConfigError, rooted
from .config_keys import PatchesConfig, SourceConfig
from .distribution import Group
from .fitting import Parts, fit_run
from .layered import LayeredPairs
from .optimizers import GroupedAdam, Schedule
from .patches import PhotoPatches
from .runs import Run, check_run, state_of
from .starts import load_weights, mobile_of, network_of, student_extractors, vgg_extractors, vgg_of
from .trainers import (
    DescriptorTrainer,
    Extractors,
    MobileTrainer,
    RestorationTrainer,
    StudentTrainer,
    TeacherTrainer,
    TrunkTrainer,
)
from .validation import HeldBackPairs, MatchingValidation, PairsValidation, Validation


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
    builder = _STAGES[stage](config)
    distribution.check(config)
    check_run(folder, stage, config)
    keras.utils.set_random_seed(config.seed)
    photos = builder.photos()
    validation = builder.validation(photos)
    group = distribution.join(config, state_of(folder))
    with distribution.preparing(group):
        with _devices(config):
            parts = builder.parts()
        run = Run(folder, stage, config, group.leads)
        if isinstance(validation, HeldBackPairs) and group.leads:
            validation.write(run.folder / "validation")
    save = run.save_model if builder.suffix == ".keras" else run.save_weights
    with distribution.failing_alone(group):
        done = fit_run(
            run,
            config,
            parts,
            lambda first_iteration: builder.batches(photos, first_iteration, group),
            lambda name: save(parts.product, name + builder.suffix),
            validation,
            group,
        )
    return f"{run.folder} is finished: {done} iterations{_judged(run, config, validation)}"


def _judged(run: Run, config: Any, validation: Validation | None) -> str:
    """What the best network was judged to be, and the start if that was judged too."""
    if validation is None:
        return ""
    best = run.best(validation.judged_by)
    if best is None:
        return ""
    words = f"; {validation.judged_by} {best:.4g} at its best"
    if getattr(config.validation, "at_start", False):
        words += f", {float(run.rows[0][validation.judged_by]):.4g} at the start"
    return words


def _devices(config: Any) -> contextlib.AbstractContextManager:
    """Where variables are created: on all devices if the config says so, else where Keras puts them."""
    if not config.mirrored:
        return contextlib.nullcontext()
    if keras.backend.backend() != "tensorflow":
        raise ConfigError("mirrored: true is for the TensorFlow backend; set KERAS_BACKEND=tensorflow")
    import tensorflow as tf

    return tf.distribute.MirroredStrategy().scope()


class Stage:
    """A stage of training; what subclasses do not say otherwise holds for stages that train on sources of photos.

    Args:
        config: of the stage's class (`config_keys.STAGES`).
    """

    suffix = ".keras"  # of the files with what the stage makes

    def __init__(self, config: Any) -> None:
        self.config = config

    def photos(self) -> Any:
        """What batches are drawn from; every photo is read once.

        Raises:
            ValueError: photos that cannot be used.
        """
        return [_source(self.config, source) for source in self.config.data.sources]

    def validation(self, photos: Any) -> Validation | None:
        """What judges the run, None for nothing; raises ValueError if there are no photos for it."""
        return None

    def batches(self, photos: Any, first_iteration: int, group: Group) -> keras.utils.PyDataset:
        """This process's part of every batch from an iteration on."""
        raise NotImplementedError

    def parts(self) -> Parts:
        """The models of the run; raises ValueError if weights cannot be used."""
        raise NotImplementedError

    def _held_back(self, photos: Any, what: str) -> list[Path]:
        held_back = [path for source in photos for path in getattr(source, "held_back", [])]
        if not held_back:
            raise _no_photos(what)
        return held_back

    def _of_sources(self, first_iteration: int, group: Group) -> dict[str, Any]:
        """Arguments of all batches that are drawn from sources."""
        data, (first_position, size) = self.config.data, group.part(self.config.batch_size)
        return {
            "weights": [source.weight for source in data.sources],
            "batch_size": size,
            "first_position": first_position,
            "iterations": self.config.iterations,
            "first_iteration": first_iteration,
            "seed": self.config.seed,
            "recolour": data.recolour,
            "degraded": data.degraded,
            "workers": data.workers,
        }

    def _patches(self, options: PatchesConfig) -> PhotoPatches:
        teacher = None if options.teacher is None else rooted(self.config, options.teacher)
        folders = [rooted(self.config, folder) for folder in options.photos]
        return PhotoPatches(folders, options.lr_size, teacher, options.degraded)

    def _patch_batches(
        self, options: PatchesConfig, patches: PhotoPatches, part: tuple[int, int], first_iteration: int
    ) -> datasets.PatchBatches:
        first_position, size = part
        return datasets.PatchBatches(
            patches,
            size,
            self.config.iterations,
            first_iteration,
            self.config.seed,
            options.teacher_share,
            options.teacher_until,
            options.workers,
            first_position,
        )

    def _optimizer(self) -> GroupedAdam:
        options = self.config.optimizer
        schedule = Schedule(
            options.learning_rate, self.config.iterations, options.warmup, options.cosine_from, options.milestones
        )
        average = {"use_ema": True, "ema_momentum": options.average} if options.average else {}
        return GroupedAdam(schedule, factors=options.factors, **average)

    def _compiled(self, trainer: keras.Model) -> keras.Model:
        optimizer = self._optimizer()
        trainer.compile(optimizer=optimizer, jit_compile=True if self.config.xla else "auto")
        optimizer.build(trainer.trainable_variables)  # a resumed run fills its slots before the first step
        return trainer


class TeacherStage(Stage):
    """Extractors on sharp photos."""

    suffix = ".weights.h5"
    judged_on: str | None = None  # how the photos are degraded that judge matching

    def validation(self, photos: Any) -> Validation | None:
        options = self.config.validation
        if options is None:
            return None
        held_back = self._held_back(photos, "of matching")
        return MatchingValidation(held_back, options.photos, self.judged_on, options.degradations)

    def batches(self, photos: Any, first_iteration: int, group: Group) -> keras.utils.PyDataset:
        return datasets.HomographyPairs(photos, **self._of_sources(first_iteration, group))

    def parts(self) -> Parts:
        extractors = vgg_extractors(self.config)
        return Parts(self._compiled(TeacherTrainer(extractors)), extractors, Extractors())


class StudentStage(TeacherStage):
    """Extractors on blurred photos, distilled from the teacher if there is one."""

    judged_on = "bicubic"

    def parts(self) -> Parts:
        extractors, teacher = student_extractors(self.config), None
        channels = extractors.stem_channels
        if self.config.teacher is not None:
            teacher = Extractors(self.config.dtype_policy, channels)
            load_weights(teacher, self.config.teacher, "teacher")
        return Parts(self._compiled(StudentTrainer(extractors, teacher)), extractors, Extractors(stem_channels=channels))


class TrunkStage(Stage):
    """The network without a reference."""

    def photos(self) -> PhotoPatches:
        return self._patches(self.config.data)

    def validation(self, photos: Any) -> Validation | None:
        options = self.config.validation
        if options is None:
            return None
        if options.pairs is None:
            raise _no_photos("without pairs")
        return PairsValidation(rooted(self.config, options.pairs), "none", options.degradations)

    def batches(self, photos: PhotoPatches, first_iteration: int, group: Group) -> keras.utils.PyDataset:
        return self._patch_batches(self.config.data, photos, group.part(self.config.batch_size), first_iteration)

    def parts(self) -> Parts:
        network = network_of(self.config)
        return Parts(self._compiled(TrunkTrainer(network, self.config.pixel_loss)), network, network.like())


class RestorationStage(Stage):
    """The network with references, by a pixel loss."""

    def validation(self, photos: Any) -> Validation | None:
        options = self.config.validation
        if options is None:
            return None
        if options.pairs is not None:
            return PairsValidation(rooted(self.config, options.pairs), "1", options.degradations)
        return HeldBackPairs(self._held_back(photos, "without pairs"), options.degradations)

    def batches(self, photos: Any, first_iteration: int, group: Group) -> keras.utils.PyDataset:
        data, alone = self.config.data, getattr(self.config, "alone", None)
        pairs = datasets.ReferencePairs(
            photos,
            unrelated=data.unrelated,
            lr_size=data.lr_size,
            ref_size=data.ref_size,
            central=data.central,
            **self._of_sources(first_iteration, group),
        )
        if alone is None:
            return pairs
        part = group.part(alone.batch_size)
        return datasets.JointBatches(pairs, self._patch_batches(alone, self._patches(alone), part, first_iteration))

    def parts(self) -> Parts:
        config, network = self.config, network_of(self.config)
        weight = self._alone_weight()
        trainer = RestorationTrainer(network, config.learns_offsets, config.learns_encoder, weight, config.pixel_loss)
        return Parts(self._compiled(trainer), network, network.like())

    def _alone_weight(self) -> float:
        return 0.0 if self.config.alone is None else self.config.alone.weight


class AdversarialStage(RestorationStage):
    """The network with references, against a critic."""

    def parts(self) -> Parts:
        if keras.backend.backend() != "tensorflow":
            raise ConfigError("adversarial training runs on TensorFlow; set KERAS_BACKEND=tensorflow")
        from c2m_tf.network.discriminator import discriminator

        from .adversarial import AdversarialTrainer, PixelOnlyStart

        config = self.config
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
        optimizer = self._optimizer()
        rate = Schedule(config.critic_learning_rate, config.iterations, milestones=config.critic_milestones)
        trainer.compile(optimizer, keras.optimizers.Adam(rate))
        optimizer.build(trainer.network_variables)
        return Parts(trainer, network, network.like(), lambda first: [PixelOnlyStart(config.pixel_only, first)])


class DescriptorsStage(Stage):
    """Descriptors of the mobile network."""

    def batches(self, photos: Any, first_iteration: int, group: Group) -> keras.utils.PyDataset:
        return datasets.CorrespondencePairs(photos, **self._of_sources(first_iteration, group))

    def parts(self) -> Parts:
        network = mobile_of(self.config)
        return Parts(self._compiled(DescriptorTrainer(network, self.config.temperature)), network, network.like())


class MobileStage(RestorationStage):
    """The mobile network, by a pixel loss."""

    def parts(self) -> Parts:
        network = mobile_of(self.config)
        trainer = MobileTrainer(network, self.config.learns_branch, self._alone_weight(), self.config.pixel_loss)
        return Parts(self._compiled(trainer), network, network.like())


_STAGES: dict[str, type[Stage]] = {
    "teacher": TeacherStage,
    "student": StudentStage,
    "trunk": TrunkStage,
    "restoration": RestorationStage,
    "adversarial": AdversarialStage,
    "descriptors": DescriptorsStage,
    "mobile": MobileStage,
}


def _no_photos(what: str) -> ConfigError:
    return ConfigError(f"validation {what} needs photos: give a source of kind single some held_back ones")


def _source(config: Any, source: SourceConfig) -> datasets.Source:
    folder = rooted(config, source.folder)
    if source.kind == "single":
        return sources.SinglePhotos(folder, source.held_back)
    if source.kind == "layered":
        return LayeredPairs(folder, source.held_back)
    if source.held_back:
        raise ConfigError(f"data.sources: held_back is for photos of kind single and layered, not {source.kind}")
    return sources.CufedPairs(folder) if source.kind == "cufed" else sources.MultiviewPairs(folder)
