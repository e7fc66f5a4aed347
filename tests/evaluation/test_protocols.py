"""Protocols match their definitions, and the paper's reproduces the golden picture and figures."""

import numpy as np
import pytest
from colour_profiles import GAMMA_RGB, P3, P3_COLOURS, SRGB_COLOURS, converted_by_hand
from golden_models import golden

from c2m_tf import Upscaler
from c2m_tf.evaluation.evaluator import SR, evaluate_model
from c2m_tf.evaluation.groups import find_groups
from c2m_tf.evaluation.metrics import FIGURES, PROTOCOLS, luma, protocol_named, psnr
from c2m_tf.photos import images


@pytest.fixture
def group(tmp_path):
    arrays = golden("padded_protocol")
    images.write(tmp_path / "007_0.png", arrays["hr_u8"])
    images.write(tmp_path / "007_1.png", arrays["ref_u8"])
    images.write(tmp_path / "notes_about_it.png", arrays["ref_u8"])
    return find_groups(tmp_path)[0]


def test_paper_protocol_reproduces_the_golden_picture_and_figures(full, group):
    arrays = golden("padded_protocol")
    (result,) = evaluate_model(Upscaler(full), [group], "paper")
    differing = result.pictures[SR].astype(int) - arrays["sr_u8"]
    assert np.abs(differing).max() <= 1  # a value may round to the other side
    assert np.mean(differing != 0) < 1e-3
    assert result.figures[SR]["psnr_y"] == pytest.approx(float(arrays["metric_psnr_y"]), abs=1e-3)
    assert result.figures[SR]["ssim_y"] == pytest.approx(float(arrays["metric_ssim_y"]), abs=1e-4)
    assert result.figures[SR]["psnr_rgb"] == pytest.approx(float(arrays["metric_psnr"]), abs=1e-3)


def test_plain_protocol_neither_pads_nor_crops_the_reference(full, group):
    (result,) = evaluate_model(Upscaler(full), [group])
    assert result.pictures[SR].shape == (48, 60, 3)
    assert result.case.references[0].shape == golden("padded_protocol")["ref_u8"].shape
    np.testing.assert_array_equal(result.case.bicubic, images.upsample(images.downsample(result.case.hr)))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_colours_that_nobody_sees_do_not_count(tmp_path, rng, name):
    rgb, alpha = rng.integers(0, 256, (48, 48, 3), np.uint8), np.full((48, 48), 255, np.uint8)
    alpha[:, 30:] = 0
    cases = []
    for hidden in (0, 200):
        rgb[:, 30:] = hidden
        images.write(tmp_path / "a_0.png", rgb, alpha=alpha)
        images.write(tmp_path / "a_1.png", rgb, alpha=alpha)
        cases.append(PROTOCOLS[name].case(find_groups(tmp_path)[0]))
    for field in ("hr", "lr", "bicubic"):
        np.testing.assert_array_equal(*(getattr(case, field) for case in cases))
    np.testing.assert_array_equal(*(case.references[0] for case in cases))


def test_each_protocol_treats_sizes_in_its_own_way(tmp_path, rng):
    images.write(tmp_path / "a_0.png", rng.integers(0, 256, (50, 61, 3), np.uint8))
    images.write(tmp_path / "a_1.png", rng.integers(1, 256, (39, 70, 3), np.uint8))
    (group,) = find_groups(tmp_path)
    cases = {name: protocol.case(group) for name, protocol in PROTOCOLS.items()}
    assert {name: case.hr.shape for name, case in cases.items()} == dict.fromkeys(PROTOCOLS, (48, 60, 3))
    assert {name: case.references[0].shape[:2] for name, case in cases.items()} == {
        "plain": (39, 70),
        "paper": (48, 68),
        "ttsr": (36, 68),
        "mmagic-rgb": (48, 60),
    }
    assert {name: case.lr.shape[:2] for name, case in cases.items()} == {
        "plain": (12, 15),
        "paper": (12, 17),
        "ttsr": (12, 15),
        "mmagic-rgb": (12, 15),
    }
    assert (cases["paper"].references[0][36:] == 0).all()
    assert (cases["mmagic-rgb"].references[0][39:] == 0).all()
    assert cases["paper"].bicubic.shape == (48, 60, 3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("profiles", [(P3, GAMMA_RGB), (GAMMA_RGB, P3)])
def test_references_are_seen_in_the_colours_of_the_hr_photo(tmp_path, rng, protocol, profiles):
    colours = {P3: P3_COLOURS, GAMMA_RGB: SRGB_COLOURS}
    hr, reference = (rng.integers(80, 180, (48, 48, 3)).astype(np.uint8) for _ in range(2))
    for number, photo, profile in ((0, hr, profiles[0]), (1, reference, profiles[1])):
        images.write(tmp_path / f"a_{number}.png", photo, icc_profile=profile)
    case = PROTOCOLS[protocol].case(find_groups(tmp_path)[0])
    np.testing.assert_array_equal(case.hr, hr)  # and so is the LR photo, which is made of it
    np.testing.assert_array_equal(case.lr, images.downsample(hr))
    expected = converted_by_hand(reference, colours[profiles[1]], colours[profiles[0]])
    assert np.abs(case.references[0] - expected).max() <= 1.5
    assert np.abs(reference - expected).max() > 10
    assert case.icc_profile == profiles[0]


def test_ttsr_leaves_no_border_out_and_paper_four_pixels(rng):
    hr = rng.integers(0, 256, (40, 44, 3), np.uint8)
    framed = hr.copy()
    framed[:4] = 0
    assert PROTOCOLS["paper"].figures(hr, framed)["psnr_y"] == float("inf")
    assert PROTOCOLS["ttsr"].figures(hr, framed)["psnr_y"] == psnr(luma(hr), luma(framed), border=0) < 20


def test_luma_of_ttsr_is_the_same_to_five_digits(rng):
    # Its code has 65.738/256, ... where the others have 65.481/255, ...
    hr, sr = rng.integers(0, 256, (2, 40, 44, 3), np.uint8)
    theirs = [photo @ np.array([65.738, 129.057, 25.064]) / 256 for photo in (hr.astype(float), sr.astype(float))]
    error = np.mean(np.square((theirs[0] - theirs[1]) / 255))
    assert PROTOCOLS["ttsr"].figures(hr, sr)["psnr_y"] == pytest.approx(-10 * np.log10(error), abs=1e-4)


def test_mmagic_compares_unrounded_colours(rng):
    hr = rng.integers(0, 256, (40, 44, 3), np.uint8)
    close = hr / np.float32(255) + np.float32(0.4 / 255)
    close[0, 0] = 7.0  # in the border
    assert PROTOCOLS["plain"].figures(hr, close)["psnr_rgb"] == float("inf")
    inside = np.clip(hr[4:-4, 4:-4] + 0.4, 0, 255) - hr[4:-4, 4:-4]
    expected = 10 * np.log10(255**2 / np.mean(np.square(inside)))
    figures = PROTOCOLS["mmagic-rgb"].figures(hr, close)
    assert figures["psnr_rgb"] == pytest.approx(expected, abs=1e-3)
    assert set(figures) == set(FIGURES)
    assert PROTOCOLS["mmagic-rgb"].judged_by == "psnr_rgb"


def test_protocols_tell_what_they_do():
    assert str(PROTOCOLS["plain"]) == (
        "plain (c2m-tf): references as they are; SR rounded to 8 bits; a border of 4 px left out; PSNR and SSIM on unrounded "
        "BT.601 luma"
    )
    assert "no border left out" in str(PROTOCOLS["ttsr"])
    assert "SR clipped but not rounded" in str(PROTOCOLS["mmagic-rgb"])


def test_references_are_ordered_by_number(tmp_path):
    for position in (0, 1, 2, 10):
        images.write(tmp_path / f"a_{position}.png", np.zeros((12, 12, 3)))
    (group,) = find_groups(tmp_path, "all")
    assert [path.stem for path in group.references] == ["a_1", "a_2", "a_10"]


def test_unknown_protocol_is_named():
    with pytest.raises(ValueError, match="unknown protocol 'other'; choose one of plain, paper, ttsr, mmagic-rgb"):
        protocol_named("other")
