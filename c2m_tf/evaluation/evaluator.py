"""Evaluates systems on groups of photos: models, and pictures that other systems made.

    group -> case (protocol, degradation) -> picture of each system -> figures (protocol, perceptual measures)

A group whose photos cannot be used raises a ValueError; the command reports it and goes on with the others.

Pictures of a system lie in one folder and are named after the groups: DIR/NNN.png, or after the HR photo, DIR/NNN_0.png. They
are checked before anything is computed: size, missing ones, and that they are results and not the photos of the set.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from c2m_tf.evaluation.groups import Group
from c2m_tf.evaluation.metrics import Case, Measure, Protocol, degrading, protocol_named
from c2m_tf.photos import images
from c2m_tf.photos.degradations import DEGRADATIONS, Degradation
from c2m_tf.photos.files import local_path, pairing_name
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


class ResultsSystem:
    """Pictures that another system made.

    Args:
        name: of the system in tables.
        files: {name of a group: file}.
    """

    def __init__(self, name: str, files: dict[str, Path]) -> None:
        self.name = name
        self.files = files

    def picture(self, case: Case) -> np.ndarray:
        """The picture of a case, uint8 [H,W,3], cropped to the HR photo."""
        height, width = case.hr.shape[:2]
        return images.as_uint8(images.read(self.files[case.name]).visible())[:height, :width]


class FoundResults(NamedTuple):
    """The systems of some folders, the groups that all of them have, and sentences about missing and superfluous files."""

    systems: list[ResultsSystem]
    groups: list[Group]
    missing: list[str]
    superfluous: list[str]


def find_results(settings: list[str], groups: list[Group]) -> FoundResults:
    """Finds and checks the pictures of other systems.

    Args:
        settings: "NAME=DIR" each, may be none; with a single group also "NAME=FILE".
        groups: of the test set.

    Returns:
        FoundResults.

    Raises:
        ValueError: no NAME=DIR, no such folder, no group that all systems have, two files of one name, a picture that cannot be
            read or has another size than its HR photo, or one that is a photo of the set.
    """
    if not settings:
        return FoundResults([], groups, [], [])
    found = [_named_files(setting, groups) for setting in settings]
    systems = [ResultsSystem(name, files) for name, files, _ in found]
    common = [group for group in groups if all(group.name in system.files for system in systems)]
    if not common:
        empty = next((system.name for system in systems if not system.files), None)
        raise ValueError(
            f"results {empty or 'of the systems'}: no picture for any group that all have; expected are files named "
            f"after the groups, e.g. {groups[0].name}.png"
        )
    missing = []
    for system in systems:
        lacking = [group.name for group in groups if group.name not in system.files]
        if lacking:
            missing.append(f"results {system.name} lack {', '.join(lacking)}; left out for all systems")
    for group in common:
        _check_pictures(group, systems)
    superfluous = [
        f"results {name} hold {', '.join(extra)}, which no group is named after" for name, _, extra in found if extra
    ]
    return FoundResults(systems, common, missing, superfluous)


def _named_files(setting: str, groups: Sequence[Group]) -> tuple[str, dict[str, Path], list[str]]:
    """Name, {group: file} and superfluous file names of one NAME=DIR."""
    name, equals, given = setting.partition("=")
    if not equals or not name or not given:
        raise ValueError(f"--results {setting}: expected is NAME=DIR, e.g. SRNTT=results/srntt")
    path = Path(local_path(given))
    if path.is_file():
        if len(groups) != 1:
            raise ValueError(f"results {name}: {path} is one file, but there are {len(groups)} groups; give a folder")
        return name, {groups[0].name: path}, []
    if not path.is_dir():
        raise ValueError(f"results {name}: {path} is not a folder; give the folder of that system's pictures")
    if any(path.samefile(group.hr.parent) for group in groups):
        raise ValueError(f"results {name}: {path} is the folder of the photos themselves; give that of a system's results")
    names: dict[str, list[str]] = {}
    for each in groups:
        for stem in {pairing_name(each.hr), unicodedata.normalize("NFC", each.name)}:
            names.setdefault(stem, []).append(each.name)
    files: dict[str, Path] = {}
    superfluous: list[str] = []
    for file in images.list_photos(path):
        fitting = names.get(pairing_name(file), [])
        if len(fitting) > 1:
            raise ValueError(
                f"results {name}: {file.name} may be of the groups {' and '.join(fitting)}; rename the photos of one"
            )
        group = fitting[0] if fitting else None
        if group is None:
            superfluous.append(file.name)
        elif group in files:
            raise ValueError(f"results {name}: {files[group].name} and {file.name} are for one group; keep one of them")
        else:
            files[group] = file
    return name, files, superfluous


def _check_pictures(group: Group, systems: Sequence[ResultsSystem]) -> None:
    hr = images.as_uint8(images.read(group.hr).visible())
    cropped = images.crop_to_multiple(hr)
    lr_shape = tuple(size // images.SCALE for size in cropped.shape[:2])
    for system in systems:
        path = system.files[group.name]
        picture = images.as_uint8(images.read(path).visible())
        shape = picture.shape[:2]
        what = f"results {system.name}: {path.name} has {shape[1]}x{shape[0]} pixels"
        if shape == lr_shape:
            raise ValueError(f"{what}, the size of the LR photo; give results, {cropped.shape[1]}x{cropped.shape[0]}")
        if shape not in (hr.shape[:2], cropped.shape[:2]):
            raise ValueError(f"{what}, its HR photo {group.hr.name} {hr.shape[1]}x{hr.shape[0]}; they must be equal")
        height, width = cropped.shape[:2]
        if np.array_equal(picture[:height, :width], cropped):
            raise ValueError(f"results {system.name}: {path} is the HR photo {group.hr.name} itself; give that system's result")


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
