"""Evaluates systems on groups of photos: models, and pictures that other systems made.

    group -> case (protocol, degradation) -> picture of each system -> figures (protocol, perceptual measures)

A group whose photos cannot be used raises a ValueError; the command reports it and goes on with the others.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from c2m_tf.evaluation.groups import Group, ResultsSystem
from c2m_tf.evaluation.metrics import Case, Measure, Protocol, degrading, protocol_named
from c2m_tf.photos import images
from c2m_tf.photos.degradations import DEGRADATIONS, Degradation
from c2m_tf.upscaling.upscaler import Upscaler

BICUBIC = "bicubic"
SR = "sr"  # the name of a single model


class ModelSystem:
    """A model under a name.

    Args:
        name: of the system in tables.
        upscaler: Upscaler.
    """

    def __init__(self, name: str, upscaler: Upscaler) -> None:
        self.name = name
        self.upscaler = upscaler

    def picture(self, case: Case) -> np.ndarray:
        """SR of a case, float32 [H,W,3] in [0, 1], cropped to the HR photo."""
        height, width = case.hr.shape[:2]
        return self.upscaler(case.lr, case.references or None).image.rgb[:height, :width]

    def fit(self, case: Case) -> float | None:
        """Mean match score of the case's references, in [-1, 1]: how well they fit the photo. None without references."""
        if not case.references or not self.upscaler.reports_matches:
            return None
        return float(np.mean(self.upscaler.find_matches(case.lr, case.references).score))


System = ModelSystem | ResultsSystem


@dataclass(frozen=True)
class GroupResult:
    """One evaluated group.

    Attributes:
        name: of the group.
        figures: {system: {figure: value}}, bicubic first; PSNR in dB.
        fit: mean match score of the references, None without a model or without references.
        references: file names of the references.
        case: what was evaluated; None if it was not kept.
        pictures: {system: uint8 [H,W,3]}, bicubic first; empty if they were not kept.
    """

    name: str
    figures: dict[str, dict[str, float]]
    fit: float | None
    references: list[str]
    case: Case | None
    pictures: dict[str, np.ndarray]

    def without_photos(self) -> "GroupResult":
        """The figures without the photos, which saves memory."""
        return replace(self, case=None, pictures={})


@dataclass(frozen=True)
class Evaluator:
    """Evaluates systems by one protocol.

    Args:
        systems: models and results of other systems, of different names, none of which is "bicubic".
        protocol: Protocol.
        degradation: how LR photos are made, see `metrics.degrading`.
        measures: {name: perceptual measure}, taken besides the protocol's figures.
        fits: whether the match scores of the references are taken.

    Raises:
        ValueError: two systems of one name.
    """

    systems: Sequence[System]
    protocol: Protocol
    degradation: Degradation = field(default_factory=Degradation)
    measures: dict[str, Measure] = field(default_factory=dict)
    fits: bool = True

    def __post_init__(self) -> None:
        names = [BICUBIC, *(system.name for system in self.systems)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two systems are called {twice}; give each its own name")

    @property
    def names(self) -> list[str]:
        """Names of all systems, bicubic first."""
        return [BICUBIC, *(system.name for system in self.systems)]

    def evaluate(self, group: Group) -> GroupResult:
        """Evaluates one group.

        Raises:
            ValueError: photos that cannot be read, used or compared.
        """
        case = self.protocol.case(group, degrading(self.degradation, group))
        matcher = next((system for system in self.systems if self.fits and isinstance(system, ModelSystem)), None)
        pictures, figures = {}, {}
        for name, picture in self._pictures(case):
            figures[name] = self.protocol.figures(case.hr, picture) | self._measured(case.hr, picture)
            pictures[name] = images.as_uint8(picture)
        references = [path.name for path in group.references]
        fit = None if matcher is None else matcher.fit(case)
        return GroupResult(group.name, figures, fit, references, case, pictures)

    def _pictures(self, case: Case) -> Iterator[tuple[str, np.ndarray]]:
        yield BICUBIC, case.bicubic
        for system in self.systems:
            yield system.name, system.picture(case)

    def _measured(self, hr: np.ndarray, picture: np.ndarray) -> dict[str, float]:
        inner = slice(self.protocol.border, -self.protocol.border or None)
        hr, picture = hr[inner, inner], images.as_uint8(picture)[inner, inner]
        return {name: measure(hr, picture) for name, measure in self.measures.items()}


def mean_of(results: Sequence[GroupResult], figure: str, system: str = SR) -> float:
    """A system's figure, averaged over groups."""
    return float(np.mean([result.figures[system][figure] for result in results]))


def evaluate_model(
    upscaler: Upscaler, groups: Iterable[Group], protocol: str = "plain", degradation: Degradation = DEGRADATIONS["bicubic"]
) -> list[GroupResult]:
    """One model on groups, as the system `SR`.

    Raises:
        ValueError: an unknown protocol; or see `Evaluator.evaluate`.
    """
    evaluator = Evaluator([ModelSystem(SR, upscaler)], protocol_named(protocol), degradation, fits=False)
    return [evaluator.evaluate(group) for group in groups]
