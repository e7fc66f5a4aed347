"""The paper's protocol gives the golden picture and the golden figures, from files to numbers."""

import numpy as np
import pytest
from golden_models import golden

from c2m_tf.evaluation import protocols
from c2m_tf.evaluation.groups import find_groups
from c2m_tf.photos import images
from c2m_tf.upscaling.keras_upscaler import Upscaler


@pytest.fixture
def group(tmp_path):
    arrays = golden("padded_protocol")
    images.write(tmp_path / "007_0.png", arrays["hr_u8"])
    images.write(tmp_path / "007_1.png", arrays["ref_u8"])
    images.write(tmp_path / "notes_about_it.png", arrays["ref_u8"])
    return find_groups(tmp_path)[0]


def test_paper_protocol_reproduces_the_golden_picture_and_figures(full, group):
    arrays = golden("padded_protocol")
    result = protocols.evaluate_group(Upscaler(full), group, protocol="paper")
    differing = result.sr.astype(int) - arrays["sr_u8"]
    assert np.abs(differing).max() <= 1  # a value may round to the other side
    assert np.mean(differing != 0) < 1e-3
    assert result.figures["psnr_y"] == pytest.approx(float(arrays["metric_psnr_y"]), abs=1e-3)
    assert result.figures["ssim_y"] == pytest.approx(float(arrays["metric_ssim_y"]), abs=1e-4)
    assert result.figures["psnr_rgb"] == pytest.approx(float(arrays["metric_psnr"]), abs=1e-3)


def test_plain_protocol_neither_pads_nor_crops_the_reference(full, group):
    result = protocols.evaluate_group(Upscaler(full), group)
    assert result.sr.shape == (48, 60, 3)
    assert result.reference.shape == golden("padded_protocol")["ref_u8"].shape
    np.testing.assert_array_equal(result.bicubic, images.upsample(images.downsample(result.hr)))


def test_references_are_ordered_by_number(tmp_path):
    for position in (0, 1, 2, 10):
        images.write(tmp_path / f"a_{position}.png", np.zeros((12, 12, 3)))
    (group,) = find_groups(tmp_path, "all")
    assert [path.stem for path in group.references] == ["a_1", "a_2", "a_10"]


def test_unknown_protocol_is_named(full, group):
    with pytest.raises(ValueError, match="unknown protocol 'other'; choose one of plain, paper"):
        protocols.evaluate_group(Upscaler(full), group, protocol="other")
