"""Unrelated references come from other groups, and those that match too well are reported."""

import numpy as np
import pytest
from skimage import data

from c2m_tf import Upscaler
from c2m_tf.evaluation.groups import Group, match_score, shuffle
from c2m_tf.photos import images
from c2m_tf.presets import load_preset


@pytest.fixture
def groups(tmp_path, rng):
    """Five groups of one photo and one reference each, of noise."""
    made = []
    for name in "abcde":
        paths = [tmp_path / f"{name}_{position}.png" for position in (0, 1)]
        for path in paths:
            images.write(path, rng.integers(0, 256, (16, 16, 3), np.uint8))
        made.append(Group(name, paths[0], paths[1:]))
    return made


def scored(table, own=1.0):
    """A match score from {(photo, reference): score}, 0.5 by default and `own` for a group's own reference."""

    def score(hr, reference):
        photo, other = hr.stem[0], reference.stem[0]
        return own if photo == other else table.get(photo + other, 0.5)

    return score


def test_each_group_gets_the_reference_with_the_lowest_match(groups):
    shuffled = shuffle(groups, scored({"ac": 0.2, "bd": 0.1, "ce": 0.1, "da": 0.4, "eb": 0.3}))
    assert [group.references[0].name for group in shuffled.groups] == ["c_1.png", "d_1.png", "e_1.png", "a_1.png", "b_1.png"]
    assert not shuffled.suspect


def test_references_that_match_too_well_are_suspected(groups):
    others = {f"a{name}": 0.95 for name in "bcde"}
    assert shuffle(groups, scored(others)).suspect == ["a"]


def test_a_groups_own_picture_is_never_lent(groups):
    groups[1].references[0].write_bytes(groups[0].hr.read_bytes())
    shuffled = shuffle(groups[:3], scored({"ab": 0.0, "ac": 0.3}))
    assert shuffled.groups[0].references[0].name == "c_1.png"
    with pytest.raises(ValueError, match="group a: the references of all other groups are its own pictures"):
        shuffle(groups[:2], scored({}))


def test_one_group_cannot_be_shuffled(groups):
    with pytest.raises(ValueError, match="two groups or more"):
        shuffle(groups[:1], scored({}))


def test_match_scores_separate_scenes(tmp_path):
    coffee, cat = data.coffee(), data.chelsea()
    for name, photo in {"hr": coffee[:, :400], "view": coffee[20:, 60:460], "other": cat}.items():
        images.write(tmp_path / f"{name}.png", photo)
    score = match_score(Upscaler(load_preset("light")))
    same, different = (score(tmp_path / "hr.png", tmp_path / f"{name}.png") for name in ("view", "other"))
    assert different < 0.8 * same
