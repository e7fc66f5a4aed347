"""The keys of training recipes: frozen dataclasses, one for each stage (`STAGES`), which `config` reads from YAML."""

import dataclasses
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from c2m_tf.photos.degradations import degradation_named
from c2m_tf.upscaling.opening import default_dtype

_STRICT = ConfigDict(extra="forbid")
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Rate = Annotated[float, Field(gt=0.0)]


def _known_degradation(name: str) -> str:
    degradation_named(name)
    return name


Degradation = Annotated[str, AfterValidator(_known_degradation)]  # a name that `c2m-tf evaluate --degradation` takes


@dataclass(frozen=True, config=_STRICT)
class SourceConfig:
    """A folder of photos (see `c2m_tf.training.sources`) and how often it is drawn from, relative to the others."""

    kind: Literal["cufed", "multiview", "single", "layered"]
    folder: str
    weight: Rate = 1.0
    held_back: Count = 0  # the last photos of a `single` or `layered` folder, kept for validation


@dataclass(frozen=True, config=_STRICT)
class DataConfig:
    """Data of the batches (see `c2m_tf.training.datasets`)."""

    sources: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
    recolour: Share = 0.0  # share of references whose colours are changed
    degraded: Share = 0.0  # share of LR photos, and of references, with blur, noise, JPEG and so on (see `degradations`)
    workers: Positive = 2  # threads that prepare batches


@dataclass(frozen=True, config=_STRICT)
class ReferenceDataConfig(DataConfig):
    """The same for restoration."""

    lr_size: Annotated[int, Field(ge=3, le=40)] = 40  # side of LR patches in pixels
    ref_size: Annotated[int, Field(ge=12, le=160)] = 160  # side of references in pixels
    unrelated: Share = 0.0  # share of samples whose reference shows something else
    central: bool = False  # crop from the middle of the windows, where photo and reference overlap most


@dataclass(frozen=True, config=_STRICT)
class PatchesConfig:
    """Patches of photos without a reference (see `c2m_tf.training.patches`)."""

    photos: Annotated[tuple[str, ...], Field(min_length=1)]  # folders
    lr_size: Annotated[int, Field(ge=3)] = 32  # side of LR patches in pixels
    teacher: str | None = None  # folder of a teacher's pictures of all these photos
    teacher_share: Share = 1.0  # of the teacher's picture in the target; the rest is the photo
    teacher_until: Share = 1.0  # share of the run after which the teacher's share falls to 0
    degraded: Share = 0.0  # share of LR patches with blur, noise, JPEG and so on
    workers: Positive = 2  # threads that prepare batches


@dataclass(frozen=True, config=_STRICT)
class AloneConfig(PatchesConfig):
    """Patches without a reference, trained beside those with one."""

    batch_size: Positive = 2
    weight: Rate = 0.5  # of their loss


@dataclass(frozen=True, config=_STRICT)
class OptimizerConfig:
    """Adam, its schedule and the averaging of weights (see `training.optimizers`)."""

    learning_rate: Rate
    factors: dict[str, Annotated[float, Field(ge=0.0)]] = dataclasses.field(default_factory=dict)
    warmup: Count = 0  # iterations
    cosine_from: Share = 1.0  # share of the run after which the rate falls to 0
    milestones: tuple[Positive, ...] = ()  # iterations after which the rate falls to a tenth
    average: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0  # momentum of the average of weights; 0 means none


@dataclass(frozen=True, config=_STRICT)
class ValidationConfig:
    """Validation by the plain protocol of `c2m-tf evaluate` on a folder of NNN_0, NNN_1, ... photos.

    With `pairs` null it is made of the photos that `single` sources hold back, each with a warp of itself as its reference, and
    written to the run folder (not for the trunk).
    """

    pairs: str | None
    every: Positive = 500  # iterations
    degradations: Annotated[tuple[Degradation, ...], Field(min_length=1)] = ("bicubic",)  # judged by the mean over these
    at_start: bool = False  # before the first iteration too, so that `best` is never worse than the start


@dataclass(frozen=True, config=_STRICT)
class MatchingValidationConfig:
    """Validation of matching: held-back photos of `single` sources, warped by fixed homographies."""

    every: Positive = 500  # iterations
    photos: Positive = 24
    degradations: tuple[Degradation, ...] = ()  # reported beside what the run is judged by


@dataclass(frozen=True, config=_STRICT)
class DistributedConfig:
    """Several processes that train together (see `c2m_tf.training.distribution`)."""

    coordinator: str  # host:port of process 0; auto takes everything from Slurm, Open MPI or Kubernetes
    processes: Positive | None = None
    rank: Count | None = None  # of this process, from 0
    wait: Positive = 300  # seconds for the other processes to come


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class _RunConfig:
    """Keys of every stage."""

    iterations: Positive
    batch_size: Positive  # of all devices and processes together
    optimizer: OptimizerConfig
    seed: Count = 10
    dtype: Literal["auto", "float32", "mixed_bfloat16"] = "float32"  # of the networks; auto is the processor's fastest
    xla: bool = False  # compile steps with XLA (teacher, student and restoration)
    mirrored: bool = False  # distribute each batch over all devices that TensorFlow sees
    distributed: DistributedConfig | None = None  # not kept in run folders: any number of processes may resume a run
    log_every: Positive = 50  # iterations
    save_every: Positive = 500  # iterations
    root: str = "."  # folder that relative paths of data, validation and vgg start from

    @property
    def dtype_policy(self) -> str:
        """The networks' dtype policy: `dtype`, or on this machine the fastest one."""
        return default_dtype() if self.dtype == "auto" else self.dtype


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TeacherConfig(_RunConfig):
    """Teacher: extractors on sharp photos."""

    data: DataConfig
    vgg: str = "keras"  # start: "keras" (downloads), torchvision's .pth or an .npz of Keras arrays
    validation: MatchingValidationConfig | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class StudentConfig(TeacherConfig):
    """Student: extractors on blurred photos, distilled from the teacher; with teacher null, by the triplet loss alone."""

    teacher: str | None  # weights of a teacher run, e.g. runs/teacher/best.weights.h5
    start: str | None = None  # preset or .keras file whose extractors are trained on; null for VGG's (`vgg`)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrunkConfig(_RunConfig):
    """Trunk: the network without a reference.

    `start` is a preset or .keras file, whose matching and reference encoder are kept; `trunk` gives it the weights of an .npz
    file of `research/trunk_weights.py`. `variant` and `residual_offsets` are as of restoration. With `own_trunk` the model
    gets a trunk of its own, if it has none, and that alone is trained; `trunk` is then a file of `c2m-tf train
    own-trunk-weights`.
    """

    data: PatchesConfig
    start: str
    variant: Literal["light", "full"] | None = None
    residual_offsets: bool | None = None
    trunk: str | None = None
    own_trunk: bool = False
    pixel_loss: Literal["l1", "l2", "charbonnier"] = "l1"
    validation: ValidationConfig | None = None  # without references


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class _ReferenceConfig(_RunConfig):
    """Keys of the stages that train with references.

    They start from one of: `start`, a preset or .keras file, whose network is taken as it is; `variant` makes a full one of a
    light one (see `training.growth`), `residual_offsets` adds or drops those. Or from random numbers: the network is then the
    published one (`variant` full unless given), with `extractors`, weights of
    a student run or "vgg" for VGG's own, and `vgg` for the reference encoder. Beside `start`, `extractors` replaces its
    matching, and `trunk`, the .npz of a trunk, what the network knows without a reference.
    """

    data: ReferenceDataConfig
    variant: Literal["light", "light-warp", "full"] | None = None
    residual_offsets: bool | None = None
    start: str | None = None
    trunk: str | None = None
    extractors: str | None = None
    vgg: str | None = None
    learns_offsets: bool = True
    learns_encoder: bool = False
    validation: ValidationConfig | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class RestorationConfig(_ReferenceConfig):
    """Restoration network by a pixel loss."""

    alone: AloneConfig | None = None  # patches without a reference, trained beside those with one
    pixel_loss: Literal["l1", "l2", "charbonnier"] = "l1"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class AdversarialConfig(_ReferenceConfig):
    """Restoration network by L1, perceptual and adversarial loss, against a critic."""

    pixel_only: Count = 10000  # iterations by L1 alone, before the critic starts
    perceptual_layer: str = "relu5_1"
    pixel_weight: Annotated[float, Field(ge=0.0)] = 1.0
    perceptual_weight: Annotated[float, Field(ge=0.0)] = 1e-4
    adversarial_weight: Annotated[float, Field(ge=0.0)] = 1e-6
    grid_weight: Annotated[float, Field(ge=0.0)] = 0.0  # of the loss that keeps a grid of period 2 and 4 away; not published
    keeps_own_trunk: bool = True  # False: without a reference the result is that of the trained network at strength 0
    critic_learning_rate: Rate = 1e-4
    critic_milestones: tuple[Positive, ...] = ()  # iterations after which the critic's rate falls to a tenth
    published_critic: bool = False  # with BatchNormalization and sigmoid, as the released code has it


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class DescriptorsConfig(_RunConfig):
    """Descriptors of the mobile network. `start` is a preset or .keras file of that kind; null for new numbers."""

    data: DataConfig
    start: str | None = None
    temperature: Rate = 0.07


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class MobileConfig(_RunConfig):
    """Fusion of the mobile network, and its single-image branch along.

    `start` is a preset or .keras file of that kind. `branch` gives it a single-image branch of an .npz file of `c2m-tf train
    own-trunk-weights`, `descriptors` those of a .keras file.
    """

    data: ReferenceDataConfig
    start: str
    branch: str | None = None
    descriptors: str | None = None
    new_fusion: bool = False  # start the fusion from new numbers, with which the result is the single-image branch's
    learns_branch: bool = False
    alone: AloneConfig | None = None  # patches without a reference, trained beside those with one
    pixel_loss: Literal["l1", "l2", "charbonnier"] = "l1"
    validation: ValidationConfig | None = None


STAGES = {
    "teacher": TeacherConfig,
    "student": StudentConfig,
    "trunk": TrunkConfig,
    "restoration": RestorationConfig,
    "adversarial": AdversarialConfig,
    "descriptors": DescriptorsConfig,
    "mobile": MobileConfig,
}
