"""Unrelated references: how a method handles a reference that does not help.

Each group gets the first reference of another group. The next group's would not do: folders are often sorted by place, so it
may show the same building, and one group's reference can be another's photo. So among the next few groups the reference with
the lowest mean match score (of small versions) is chosen, never one of the group's own pictures. A group for which even that
one matches about as well as its own reference is reported.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from c2m_tf.evaluation.groups import Group
from c2m_tf.photos import images
from c2m_tf.upscaling.upscaler import Upscaler

CANDIDATES = 8  # groups, the next ones in order of their names
# Share of the own reference's match score from which another group's reference is suspected to show the same scene. Measured
# with `light` on eight groups of photos: the lowest of other places 0.41 to 0.71, another photo of the same church 0.83 to
# 0.98, the same picture 1.66.
SUSPECT = 0.8
_SIDE = 256  # pixels, of the small versions; all have one shape, so that the model is compiled once

MatchScore = Callable[[Path, Path], float]


class Lent(NamedTuple):
    """Groups with other groups' references, and the names of those whose reference may still show the same scene."""

    groups: list[Group]
    suspect: list[str]


def match_score(upscaler: Upscaler) -> MatchScore:
    """A function of two files, HR photo and reference, that gives the mean match score of their small versions, in [-1, 1]."""

    def score(hr, reference):
        photo = images.read(hr)
        colours = (photo.visible(), images.read(reference).in_colours_of(photo))
        small, other = (images.bicubic(images.as_uint8(rgb), (_SIDE, _SIDE)) for rgb in colours)
        return float(np.mean(upscaler.find_matches(images.downsample(small), other).score))

    return score


def lend(groups: list[Group], score: MatchScore) -> Lent:
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
    return Lent(changed, suspect)


def _digest(path):
    return hashlib.sha256(path.read_bytes()).digest()
