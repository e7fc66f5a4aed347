"""Folders of HR photos and their references, as the field's test sets lay them out; references shuffled between them; and
pictures that other systems made of the photos.

CUFED5       NNN_0.png is the HR photo of group NNN; NNN_1.png, NNN_2.png, ... are its references, best first
WR-SR        input/NAME.png is the HR photo, ref/NAME.png or ref/NAME_ref.png its reference
Sun80        input/NAME.png is the HR photo, the photos in ref/NAME/ are its references, in order of their names
Urban100     NAME.png are HR photos without references

Shuffled references tell how a method handles a reference that does not help: each group gets the first reference of another
group. The next group's would not do: folders are often sorted by place, so it may show the same building, and one group's
reference can be another's photo. So among the next few groups the reference with the lowest mean match score (of small
versions) is chosen, never one of the group's own pictures. A group for which even that one matches about as well as its own
reference is reported.

Pictures of a system lie in one folder and are named after the groups: DIR/NNN.png, or after the HR photo, DIR/NNN_0.png. They
are checked before anything is computed: size, missing ones, and that they are results and not the photos of the set.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from c2m_tf.photos import images
from c2m_tf.photos.files import by_stem, list_photos, local_path, pairing_name

REFERENCES = ("1", "all", "none")

if TYPE_CHECKING:
    from c2m_tf.upscaling.upscaler import Upscaler

CANDIDATES = 8  # groups, the next ones in order of their names
# Share of the own reference's match score from which another group's reference is suspected to show the same scene. Measured
# with `light` on eight groups of photos: the lowest of other places 0.41 to 0.71, another photo of the same church 0.83 to
# 0.98, the same picture 1.66.
SUSPECT = 0.8
_SIDE = 256  # pixels, of the small versions; all have one shape, so that the model is compiled once

MatchScore = Callable[[Path, Path], float]


class Group(NamedTuple):
    """An HR photo and its references, best first."""

    name: str
    hr: Path
    references: list[Path]


def find_groups(folder: str | os.PathLike, references: str = "1") -> list[Group]:
    """Groups of a folder in order of their names, with the references that an evaluation is to use.

    Args:
        folder: laid out in one of the ways above.
        references: one of `REFERENCES`: "1" for the first, "all" for all, "none" for no reference (the only choice for
            photos without references). For references of other groups see `shuffle`.

    Raises:
        ValueError: no folder, no group in it, two photos of one name, groups without an HR photo or without a reference (all
            are named), or unknown references.
    """
    if references not in REFERENCES:
        raise ValueError(f"unknown references {references!r}; choose one of {', '.join(REFERENCES)}")
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give one with pairs NNN_0.png (HR), NNN_1.png (reference)")
    groups = _all_groups(folder, alone=references == "none")
    if not groups:
        raise ValueError(
            f"{folder} holds no pairs; expected are NNN_0.png (HR) and NNN_1.png (reference), or folders input and ref; "
            f"--references none takes photos without references"
        )
    count = {"1": 1, "all": None, "none": 0}[references]
    return [group._replace(references=group.references[:count]) for group in groups]


def photos_of(folder: str | os.PathLike) -> list[Path]:
    """All photos of a folder that `find_groups` accepts, whether or not an evaluation uses them.

    Raises:
        ValueError: see `find_groups`.
    """
    folder = Path(folder)
    if _has_two_folders(folder):
        folders = [folder / "input", folder / "ref", *(path for path in (folder / "ref").iterdir() if path.is_dir())]
        return [path for each in folders for path in list_photos(each)]
    return list_photos(folder)


def left_out(folder: str | os.PathLike, references: str = "1") -> list[str]:
    """Names of the photos of a folder that are neither evaluated nor references of a group, in order.

    Without references those that are named as references count too: of frames named frame_0000, frame_0001, ... the first is
    taken for the HR photo.

    Args:
        folder, references: as of `find_groups`.

    Raises:
        ValueError: see `find_groups`.
    """
    folder = Path(folder)
    groups = _all_groups(folder, alone=references == "none")
    two = _has_two_folders(folder)
    used = {group.hr for group in groups}
    if two or references != "none":
        used.update(path for group in groups for path in group.references)
    return [path.name for path in photos_of(folder) if path not in used]


def _has_two_folders(folder: Path) -> bool:
    return (folder / "input").is_dir() and (folder / "ref").is_dir()


def _all_groups(folder: Path, alone: bool) -> list[Group]:
    """Groups with all their references; `alone` takes photos without references where there are no groups."""
    if _has_two_folders(folder):
        return _two_folders(folder / "input", folder / "ref")
    groups, lacking = _numbered(folder)
    if not groups and alone:
        return [Group(name, path, []) for name, path in by_stem(list_photos(folder)).items()]
    if lacking:
        raise ValueError(f"{folder}: {', '.join(lacking)} lacks its HR photo _0 or a reference _1")
    return groups


def _numbered(folder: Path) -> tuple[list[Group], list[str]]:
    """Groups of photos named NNN_0, NNN_1, ..., and the names of those that lack their HR photo or a reference."""
    members: dict[str, dict[int, Path]] = {}
    for path in list_photos(folder):
        found = re.fullmatch(r"(.+)_(\d+)", pairing_name(path))
        if found:
            name, position = found[1], int(found[2])
            if position in members.setdefault(name, {}):
                raise ValueError(f"{members[name][position].name} and {path.name} have one name; keep one of them")
            members[name][position] = path
    lacking = [name for name, paths in members.items() if 0 not in paths or len(paths) < 2]
    groups = [
        Group(name, paths[0], [path for position, path in sorted(paths.items()) if position > 0])
        for name, paths in sorted(members.items())
        if name not in lacking
    ]
    return groups, lacking


def _two_folders(inputs: Path, references: Path) -> list[Group]:
    """Groups of folders input and ref."""
    groups = []
    named = by_stem(list_photos(references))
    folders = {unicodedata.normalize("NFC", path.name): path for path in references.iterdir() if path.is_dir()}
    for name, path in by_stem(list_photos(inputs)).items():
        own = folders.get(name)
        found = list_photos(own) if own else [named[each] for each in (name, f"{name}_ref") if each in named]
        groups.append(Group(name, path, found))
    lacking = [group.name for group in groups if not group.references]
    if lacking:
        raise ValueError(
            f"{references}: no reference for {', '.join(lacking)}; expected is NAME.png, NAME_ref.png or folder NAME"
        )
    return groups


class Shuffled(NamedTuple):
    """Groups with other groups' references, and the names of those whose reference may still show the same scene."""

    groups: list[Group]
    suspect: list[str]


def match_score(upscaler: "Upscaler") -> MatchScore:
    """A function of two files, HR photo and reference, that gives the mean match score of their small versions, in [-1, 1]."""

    def score(hr: Path, reference: Path) -> float:
        photo = images.read(hr)
        colours = (photo.visible(), images.read(reference).in_colours_of(photo))
        small, other = (images.bicubic(images.as_uint8(rgb), (_SIDE, _SIDE)) for rgb in colours)
        return float(np.mean(upscaler.find_matches(images.downsample(small), other).score))

    return score


def shuffle(groups: list[Group], score: MatchScore) -> Shuffled:
    """Gives each group the reference of another.

    Args:
        groups: at least two, each with at least one reference.
        score: see `match_score`.

    Raises:
        ValueError: a single group; or no other group has a reference that is not one of the group's own pictures.
    """
    if len(groups) < 2:
        raise ValueError("references can be shuffled between two groups or more; this folder has one")
    contents = {path: _digest(path) for group in groups for path in (group.hr, *group.references)}
    changed, suspect = [], []
    for position, group in enumerate(groups):
        own = {contents[path] for path in (group.hr, *group.references)}
        others = [groups[(position + step) % len(groups)] for step in range(1, len(groups))]
        candidates = [other.references[0] for other in others if contents[other.references[0]] not in own][:CANDIDATES]
        if not candidates:
            raise ValueError(f"group {group.name}: the references of all other groups are its own pictures; add other photos")
        scores = [score(group.hr, candidate) for candidate in candidates]
        lowest = int(np.argmin(scores))
        if scores[lowest] >= SUSPECT * score(group.hr, group.references[0]):
            suspect.append(group.name)
        changed.append(group._replace(references=[candidates[lowest]]))
    return Shuffled(changed, suspect)


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


class ResultsSystem:
    """Pictures that another system made.

    Args:
        name: of the system in tables.
        files: {name of a group: file}.
    """

    def __init__(self, name: str, files: dict[str, Path]) -> None:
        self.name = name
        self.files = files

    def picture(self, case: Any) -> np.ndarray:
        """The picture of a `metrics.Case`, uint8 [H,W,3], cropped to the HR photo."""
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
