"""Pictures of other systems: found, checked, and scored as their makers reported."""

import numpy as np
import pytest

from c2m_tf.evaluation.evaluator import Evaluator
from c2m_tf.evaluation.groups import ResultsSystem, find_groups, find_results
from c2m_tf.evaluation.metrics import PROTOCOLS
from c2m_tf.photos import images
from c2m_tf.photos.degradations import degradation_named


@pytest.fixture
def pairs(tmp_path, rng):
    """Groups 000 and 001 of 45x50 photos."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name in ("000", "001"):
        for position in (0, 1):
            images.write(folder / f"{name}_{position}.png", rng.integers(0, 256, (45, 50, 3), np.uint8))
    return folder


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


def write(path, size=(44, 48), value=100):
    images.write(path, np.full((*size, 3), value, np.uint8))


def test_pictures_are_found_by_group_or_hr_photo(pairs, results):
    write(results / "000.png")
    write(results / "001_0.png", (45, 50))
    (results / "notes.txt").write_text("made with care")
    found = find_results([f"other={results}"], find_groups(pairs))
    assert [group.name for group in found.groups] == ["000", "001"]
    assert not found.missing
    assert not found.superfluous
    for group in found.groups:
        case = PROTOCOLS["plain"].case(group)
        assert found.systems[0].picture(case).shape == (44, 48, 3)


def test_missing_and_superfluous_pictures_are_reported(pairs, results, tmp_path):
    write(results / "000.png")
    write(results / "999.png")
    (tmp_path / "second").mkdir()
    for name in ("000", "001"):
        write(tmp_path / f"second/{name}.png")
    found = find_results([f"first={results}", f"second={tmp_path}/second"], find_groups(pairs))
    assert [group.name for group in found.groups] == ["000"]
    assert found.missing == ["results first lack 001; left out for all systems"]
    assert found.superfluous == ["results first hold 999.png, which no group is named after"]


def test_one_file_serves_for_one_group(pairs, results):
    write(results / "any.png")
    groups = find_groups(pairs)
    assert find_results([f"other={results}/any.png"], groups[:1]).systems[0].files["000"].name == "any.png"
    with pytest.raises(ValueError, match=r"any.png is one file, but there are 2 groups; give a folder"):
        find_results([f"other={results}/any.png"], groups)


def test_what_cannot_be_a_result_is_refused(pairs, results):
    groups = find_groups(pairs)
    for setting, sentence in (
        ("folder", "--results folder: expected is NAME=DIR"),
        (f"other={results}/no", "no is not a folder"),
        (f"other={pairs}", "is the folder of the photos themselves"),
        (f"other={results}", "no picture for any group"),
    ):
        with pytest.raises(ValueError, match=sentence):
            find_results([setting], groups)
    write(results / "000.png", (11, 12))
    with pytest.raises(ValueError, match=r"000.png has 12x11 pixels, the size of the LR photo; give results, 48x44"):
        find_results([f"other={results}"], groups)
    write(results / "000.png", (44, 44))
    with pytest.raises(ValueError, match=r"000.png has 44x44 pixels, its HR photo 000_0.png 50x45; they must be equal"):
        find_results([f"other={results}"], groups)
    (results / "000.png").write_bytes((pairs / "000_0.png").read_bytes())
    with pytest.raises(ValueError, match=r"is the HR photo 000_0.png itself"):
        find_results([f"other={results}"], groups)
    write(results / "000.png")
    write(results / "000.bmp")
    with pytest.raises(ValueError, match=r"000.bmp and 000.png are for one group"):
        find_results([f"other={results}"], groups)
    (results / "000.bmp").unlink()
    (results / "000.png").write_bytes(b"no photo")
    with pytest.raises(ValueError, match="is not a PNG"):
        find_results([f"other={results}"], groups)


def test_bicubic_from_a_file_has_the_figures_of_bicubic(pairs, results):
    group = find_groups(pairs)[0]
    hr = images.crop_to_multiple(images.as_uint8(images.read(group.hr).rgb))
    images.write(results / "000.png", images.upsample(images.downsample(hr)))
    evaluator = Evaluator([ResultsSystem("file", {"000": results / "000.png"})], PROTOCOLS["ttsr"])
    figures = evaluator.evaluate(group).figures
    assert figures["file"] == figures["bicubic"]
    assert list(figures) == ["bicubic", "file"]


def test_two_systems_of_one_name_are_refused(results):
    with pytest.raises(ValueError, match="two systems are called bicubic"):
        Evaluator([ResultsSystem("bicubic", {})], PROTOCOLS["plain"])


def test_degraded_lr_photos_depend_on_the_group_alone(pairs):
    evaluator = Evaluator([], PROTOCOLS["plain"], degradation_named("noise5"))
    first, second = (evaluator.evaluate(group).case.lr for group in find_groups(pairs))
    np.testing.assert_array_equal(second, evaluator.evaluate(find_groups(pairs)[1]).case.lr)
    assert first.shape == second.shape
    assert not np.array_equal(first, PROTOCOLS["plain"].case(find_groups(pairs)[0]).lr)
