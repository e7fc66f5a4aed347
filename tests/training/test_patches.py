"""Patches of photos without references, and a teacher's pictures as targets."""

import numpy as np
import pytest
from c2m_tf.training.datasets import PatchBatches
from c2m_tf.training.patches import PhotoPatches, teacher_share
from c2m_tf.training.sources import SourceError

from c2m_tf.photos import images


@pytest.fixture
def folders(tmp_path, rng):
    """Two photos of 41x50 and 66x45 pixels, and a teacher that answers each with its negative."""
    photos, teacher = tmp_path / "photos", tmp_path / "teacher"
    photos.mkdir()
    teacher.mkdir()
    for name, shape in (("a", (41, 50, 3)), ("b", (66, 45, 3))):
        photo = rng.integers(0, 256, shape, dtype=np.uint8)
        images.write(photos / f"{name}.png", photo)
        images.write(teacher / f"{name}.png", 255 - images.crop_to_multiple(photo))
    return photos, teacher


def test_lr_patch_lies_where_its_target_lies(folders):
    patches = PhotoPatches([folders[0]], 8)
    photos = [images.crop_to_multiple(images.as_uint8(images.read(folders[0] / f"{name}.png").rgb)) for name in "ab"]
    # A patch as large as the smaller photo allows has few places; every drawn pair must be one of them.
    known = set()
    for photo in photos:
        lr = images.downsample(photo)
        for y in range(lr.shape[0] - 7):
            for x in range(lr.shape[1] - 7):
                pair = lr[y : y + 8, x : x + 8], photo[4 * y : 4 * y + 32, 4 * x : 4 * x + 32]
                for turn in range(8):
                    known.add(b"".join(_turned(part, turn).tobytes() for part in pair))
    for seed in range(50):
        patch = patches.draw(np.random.RandomState(seed))
        assert images.as_uint8(patch.lr).tobytes() + images.as_uint8(patch.target).tobytes() in known


def _turned(photo, turn):
    photo = photo[:, ::-1] if turn & 1 else photo
    photo = photo[::-1] if turn & 2 else photo
    return np.ascontiguousarray(photo.transpose(1, 0, 2) if turn & 4 else photo)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_target_mixes_teacher_and_photo(folders, share):
    alone = PhotoPatches([folders[0]], 8).draw(np.random.RandomState(3))
    taught = PhotoPatches([folders[0]], 8, folders[1]).draw(np.random.RandomState(3), share)
    np.testing.assert_array_equal(taught.lr, alone.lr)
    np.testing.assert_allclose(taught.target, share * (1 - alone.target) + (1 - share) * alone.target, atol=1e-6)


def test_share_of_the_teacher_decays_to_zero():
    assert [teacher_share(progress, 0.8, 0.5) for progress in (0.0, 0.5, 0.75, 1.0)] == [0.8, 0.8, 0.4, 0.0]
    assert teacher_share(1.0, 0.8, 1.0) == 0.8


def test_batch_depends_on_seed_and_iteration_alone(folders):
    patches = PhotoPatches([folders[0]], 8)
    whole = PatchBatches(patches, 3, 10, seed=5)
    resumed = PatchBatches(patches, 3, 10, first_iteration=4, seed=5)
    assert len(resumed) == 6
    for first, second in zip((whole[4][0]["lr"], whole[4][1]), (resumed[0][0]["lr"], resumed[0][1]), strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(whole[4][1], whole[5][1])
    assert not np.array_equal(whole[4][1], PatchBatches(patches, 3, 10, seed=6)[4][1])


def test_missing_and_missized_teacher_pictures_are_named(folders):
    photos, teacher = folders
    images.write(teacher / "b.png", np.zeros((60, 40, 3), np.uint8))
    with pytest.raises(SourceError, match=r"b\.png has shape \(60, 40, 3\); expected is \(64, 44, 3\)"):
        PhotoPatches([photos], 8, teacher)
    (teacher / "b.png").unlink()
    with pytest.raises(SourceError, match=r"no picture named b\.png .*1 of 2"):
        PhotoPatches([photos], 8, teacher)
    with pytest.raises(SourceError, match=r"at least 44x44"):
        PhotoPatches([photos], 11)


def test_photos_of_one_name_have_no_teacher_in_common(folders, tmp_path):
    (tmp_path / "more").mkdir()
    images.write(tmp_path / "more/a.jpg", np.zeros((41, 50, 3), np.uint8))
    PhotoPatches([folders[0], tmp_path / "more"], 8)
    with pytest.raises(SourceError, match=r"a\.png and .*a\.jpg have one name, and so one picture of the teacher"):
        PhotoPatches([folders[0], tmp_path / "more"], 8, folders[1])


def test_colours_that_nobody_sees_are_not_trained_on(tmp_path):
    rgb, alpha = np.full((40, 40, 3), 90, np.uint8), np.full((40, 40), 255, np.uint8)
    rgb[:, 20:], alpha[:, 20:] = 250, 0
    images.write(tmp_path / "a.png", rgb, alpha=alpha)
    patch = PhotoPatches([tmp_path], 8).draw(np.random.RandomState(0))
    np.testing.assert_allclose(patch.target, 90 / 255, atol=1e-6)
    np.testing.assert_allclose(patch.lr, 90 / 255, atol=1e-6)
