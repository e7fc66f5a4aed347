"""Evaluates systems on groups of photos.

    group -> case (protocol, degradation) -> picture of each system -> figures (protocol, perceptual measures)

A group whose photos cannot be used raises a ValueError; the command reports it and goes on with the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from c2m_tf.evaluation.groups import Group
from c2m_tf.evaluation.perceptual import Measure
from c2m_tf.evaluation.protocols import Case, Protocol, degrading
from c2m_tf.evaluation.systems import BICUBIC, ModelSystem, ResultsSystem
from c2m_tf.photos import images
from c2m_tf.photos.degradations import Degradation

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
        degradation: how LR photos are made, see `protocols.degrading`.
        measures: {name: perceptual measure}, taken besides the protocol's figures.

    Raises:
        ValueError: two systems of one name.
    """

    systems: Sequence[System]
    protocol: Protocol
    degradation: Degradation = field(default_factory=Degradation)
    measures: dict[str, Measure] = field(default_factory=dict)

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
        matcher = next((system for system in self.systems if isinstance(system, ModelSystem)), None)
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

    def _measured(self, hr, picture):
        inner = slice(self.protocol.border, -self.protocol.border or None)
        hr, picture = hr[inner, inner], images.as_uint8(picture)[inner, inner]
        return {name: measure(hr, picture) for name, measure in self.measures.items()}
