"""Layouts of test sets."""

import numpy as np
import pytest

from c2m_tf.evaluation.groups import find_groups, left_out, photos_of
from c2m_tf.photos import images


def photos(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        images.write(root / name, np.zeros((12, 12, 3), np.uint8))
    return root


def named(groups):
    return {group.name: [path.name for path in group.references] for group in groups}


def test_cufed5(tmp_path):
    photos(tmp_path, "000_0.png", "000_1.png", "000_2.png", "001_0.png", "001_1.png")
    assert named(find_groups(tmp_path)) == {"000": ["000_1.png"], "001": ["001_1.png"]}
    assert named(find_groups(tmp_path, "all")) == {"000": ["000_1.png", "000_2.png"], "001": ["001_1.png"]}
    assert named(find_groups(tmp_path, "none")) == {"000": [], "001": []}


def test_wr_sr_and_sun80(tmp_path):
    photos(tmp_path, "input/a.png", "input/b.png", "input/c.png", "ref/a.jpg", "ref/b_ref.png", "ref/c/2.png", "ref/c/1.png")
    assert named(find_groups(tmp_path, "all")) == {"a": ["a.jpg"], "b": ["b_ref.png"], "c": ["1.png", "2.png"]}
    (tmp_path / "ref/a.jpg").unlink()
    with pytest.raises(ValueError, match="no reference for a"):
        find_groups(tmp_path)


def test_urban100_has_no_references(tmp_path):
    photos(tmp_path, "img_001.png", "img_002.png")
    assert named(find_groups(tmp_path, "none")) == {"img_001": [], "img_002": []}
    with pytest.raises(ValueError, match="img lacks its HR photo"):
        find_groups(tmp_path)
    photos(tmp_path / "plain", "city.png")
    with pytest.raises(ValueError, match="--references none takes photos without references"):
        find_groups(tmp_path / "plain")


def test_photos_of_a_folder_are_all_that_it_holds(tmp_path):
    layouts = {
        "numbered": ["000_0.png", "000_1.png", "000_2.png"],
        "two": ["input/a.png", "ref/a.jpg", "ref/a/1.png", "ref/unused.png"],
        "alone": ["x.png", "y.png"],
    }
    for layout, names in layouts.items():
        folder = photos(tmp_path / layout, *names)
        assert sorted(path.relative_to(folder).as_posix() for path in photos_of(folder)) == sorted(names)
    photos(tmp_path / "numbered", "holiday.png")  # belongs to no group, and is a photo all the same
    assert len(photos_of(tmp_path / "numbered")) == 4


def test_photos_that_are_not_evaluated_are_known(tmp_path):
    frames = photos(tmp_path / "frames", *(f"frame_{number:04}.png" for number in range(3)))
    assert left_out(frames, "none") == ["frame_0001.png", "frame_0002.png"]
    assert left_out(frames, "1") == left_out(frames, "all") == []
    photos(frames, "holiday.png")
    assert left_out(frames, "1") == ["holiday.png"]
    two = photos(tmp_path / "two", "input/a.png", "ref/a.png", "ref/strange.png")
    assert left_out(two, "1") == left_out(two, "none") == ["strange.png"]
    assert left_out(photos(tmp_path / "alone", "x.png", "y.png"), "none") == []


def test_accents_are_paired_in_both_spellings(tmp_path):
    names = ("input/caf\u00e9.png", "ref/cafe\u0301.png", "input/no\u00ebl.png", "ref/noe\u0308l/1.png")
    assert named(find_groups(photos(tmp_path, *names), "all")) == {"caf\u00e9": ["cafe\u0301.png"], "no\u00ebl": ["1.png"]}


def test_faults_are_named(tmp_path):
    with pytest.raises(ValueError, match="unknown references"):
        find_groups(tmp_path, "two")
    with pytest.raises(ValueError, match="is not a folder"):
        find_groups(tmp_path / "nowhere")
    photos(tmp_path, "a_0.png", "a_1.png")
    photos(tmp_path, "b_1.png")
    with pytest.raises(ValueError, match="b lacks its HR photo _0"):
        find_groups(tmp_path)
