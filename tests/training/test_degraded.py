"""Degraded training samples: cut out of a degraded photo, in the share that is given, with clean targets."""

import numpy as np
import pytest
from c2m_tf.training import augmentation, sources
from c2m_tf.training.datasets import HomographyPairs, ReferencePairs
from c2m_tf.training.patches import PhotoPatches
from training_data import make

from c2m_tf.photos import images
from c2m_tf.photos.degradations import Degradation, Jpeg


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def photos(root):
    return [sources.SinglePhotos(root / "data/single")]


@pytest.fixture
def always_jpeg(monkeypatch):
    """Every sample that is degraded is JPEG of quality 20."""
    jpeg = Degradation(jpeg=Jpeg(20, "4:4:4"))
    monkeypatch.setattr(
        augmentation, "draw_degradation", lambda random, clean_share: jpeg if clean_share == 0 else Degradation()
    )
    return jpeg


@pytest.mark.parametrize("origin", [(0, 0), (52, 36), (3, 41), (80, 64)])
def test_patch_is_cut_out_of_a_larger_degraded_photo(always_jpeg, rng, origin):
    photo = images.as_uint8(images.upsample(rng.integers(0, 256, (40, 36, 3), np.uint8)))  # 160x144
    patch = augmentation.degraded_patch(photo, origin, 80, np.random.RandomState(5), 1.0)
    assert patch.shape == (20, 20, 3)
    # Some larger window, whole JPEG blocks or not before it, gives the patch exactly.
    found = False
    for above in range(9):
        for left in range(9):
            top, start = origin[0] - 4 * above, origin[1] - 4 * left
            if min(top, start) < 0:
                continue
            below, right = (min(8, (side - o - 80) // 4) for side, o in zip(photo.shape, origin, strict=False))
            region = photo[top : origin[0] + 80 + 4 * below, start : origin[1] + 80 + 4 * right]
            lr = always_jpeg(region, np.random.RandomState(0))
            found |= np.array_equal(lr[above : above + 20, left : left + 20], patch)
    assert found


def test_nothing_is_drawn_for_a_share_of_zero(rng):
    random = np.random.RandomState(1)
    before = random.get_state()[1].copy()
    assert augmentation.degraded_patch(rng.integers(0, 256, (40, 40, 3), np.uint8), (0, 0), 40, random, 0.0) is None
    np.testing.assert_array_equal(random.get_state()[1], before)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_that_share_of_lr_photos_is_degraded_and_no_target(photos, share):
    batches = ReferencePairs(photos, [1.0], batch_size=40, iterations=2, lr_size=12, ref_size=48, degraded=share)
    inputs, hr = batches[0]
    clean = [
        np.array_equal(images.as_uint8(lr), images.downsample(images.as_uint8(photo)))
        for lr, photo in zip(inputs["lr"], hr, strict=True)
    ]
    assert abs(np.mean(clean) - (1 - share)) < 0.25
    undegraded = ReferencePairs(photos, [1.0], batch_size=40, iterations=2, lr_size=12, ref_size=48)[0]
    assert inputs["lr"].shape == undegraded[0]["lr"].shape
    assert not np.array_equal(inputs["ref"], undegraded[0]["ref"])


def test_what_the_student_sees_is_degraded_and_what_its_teacher_sees_is_not(photos):
    degraded_batch = HomographyPairs(photos, [1.0], batch_size=6, iterations=2, degraded=1.0)[0][0]
    for hr, upsampled in zip(degraded_batch["hr"], degraded_batch["upsampled"], strict=True):
        assert not np.array_equal(images.as_uint8(upsampled), images.upsample(images.downsample(images.as_uint8(hr))))
    clean = HomographyPairs(photos, [1.0], batch_size=6, iterations=2)[0][0]
    np.testing.assert_array_equal(degraded_batch["hr"][0], clean["hr"][0])


def test_patches_without_a_reference_are_degraded_where_they_lie(root):
    clean, changed = (PhotoPatches([root / "data/single"], 12, degraded=share) for share in (0.0, 1.0))
    for seed in range(8):
        first, second = (patches.draw(np.random.RandomState(seed)) for patches in (clean, changed))
        np.testing.assert_array_equal(first.target, second.target)
        assert not np.array_equal(first.lr, second.lr)
        assert np.abs(first.lr - second.lr).mean() < 0.2  # the same place
