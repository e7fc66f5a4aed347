"""Training batches: reproducible, resumable, and degraded as published."""

import numpy as np
import pytest
from c2m_tf.training import sources
from c2m_tf.training.datasets import HomographyPairs, ReferencePairs
from training_data import make

from c2m_tf.photos import images


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = make(tmp_path_factory.mktemp("photos"))
    return [sources.SinglePhotos(root / "data/single"), sources.CufedPairs(root / "data/cufed")]


def pairs(photos, **options):
    return ReferencePairs(photos, [0.5, 0.5], batch_size=3, iterations=20, **options)


def equal(first, second):
    (inputs, hr), (other, other_hr) = first, second
    return np.array_equal(hr, other_hr) and all(np.array_equal(inputs[name], other[name]) for name in inputs)


def test_a_resumed_run_has_the_batches_that_it_would_have_had(photos):
    whole, rest = pairs(photos, seed=3), pairs(photos, seed=3, first_iteration=7)
    assert len(whole) == 20
    assert len(rest) == 13
    assert equal(whole[9], rest[2])
    assert not equal(whole[9], whole[10])
    assert not equal(whole[9], pairs(photos, seed=4)[9])


def test_lr_is_pillows_bicubic_of_hr(photos):
    inputs, hr = pairs(photos, lr_size=24, ref_size=120)[0]
    assert inputs["lr"].shape == (3, 24, 24, 3)
    assert inputs["ref"].shape == (3, 120, 120, 3)
    for lr, photo in zip(inputs["lr"], hr, strict=True):
        assert np.array_equal(images.as_uint8(lr), images.downsample(images.as_uint8(photo)))


def test_published_sizes_by_default(photos):
    inputs, hr = pairs(photos)[0]
    assert inputs["lr"].shape == (3, 40, 40, 3)
    assert inputs["ref"].shape == hr.shape == (3, 160, 160, 3)


def test_central_crops_keep_a_quarter_of_the_rest_on_either_side():
    class Numbered:
        """Photos whose pixels are their own positions; the reference is the photo."""

        def pair(self, random):
            y, x = np.mgrid[:160, :160].astype(np.uint8)
            photo = np.stack([y, x, np.zeros_like(y)], axis=-1)
            return photo, photo

    seen = {"hr": [], "ref": []}
    for index in range(40):
        inputs, hr = ReferencePairs([Numbered()], [1.0], 1, 40, lr_size=24, ref_size=120, central=True)[index]
        for name, photo in (("hr", hr[0]), ("ref", inputs["ref"][0])):
            seen[name].append(images.as_uint8(photo)[..., :2].reshape(-1, 2).min(axis=0))
    assert (np.min(seen["hr"]), np.max(seen["hr"])) == (16, 48)
    assert (np.min(seen["ref"]), np.max(seen["ref"])) == (10, 30)


def test_unrelated_references_come_from_another_draw(photos):
    related, unrelated = pairs(photos[1:2] * 2, unrelated=0.0), pairs(photos[1:2] * 2, unrelated=1.0)
    # References of the CUFED photos are moved by at most 6 pixels: related ones look alike in colour, others do not.
    apart = [np.abs(batch[1].mean((1, 2)) - batch[0]["ref"].mean((1, 2))).max() for batch in (related[0], unrelated[0])]
    assert apart[0] < 0.05 < apart[1]


def test_recolouring_changes_references_only(photos):
    plain, recoloured = pairs(photos, recolour=0.0)[0], pairs(photos, recolour=1.0)[0]
    assert plain[1].shape == recoloured[1].shape
    homography = HomographyPairs(photos, [1, 1], batch_size=2, iterations=5, recolour=1.0)
    before = HomographyPairs(photos, [1, 1], batch_size=2, iterations=5)
    first, second = homography[0][0], before[0][0]
    assert np.array_equal(first["hr"], second["hr"])
    assert not np.array_equal(first["ref"], second["ref"])


def test_homography_maps_the_photo_to_its_warp_under_flips(photos):
    batches = HomographyPairs(photos[:1], [1.0], batch_size=4, iterations=9)
    assert batches[0][0]["hr"].shape == (4, 160, 160, 3)
    for index in range(4):
        batch = batches[index][0]
        for hr, ref, homography in zip(batch["hr"], batch["ref"], batch["homography"], strict=True):
            y, x = np.mgrid[20:140:4, 20:140:4]
            mapped = np.stack([x, y, np.ones_like(x)], axis=-1) @ homography.T
            target = np.rint(mapped[..., :2] / mapped[..., 2:]).astype(int)
            inside = ((target >= 0) & (target < 160)).all(axis=-1)
            seen = ref[target[inside][:, 1], target[inside][:, 0]]
            truth = hr[y[inside], x[inside]]
            wrong = hr[x[inside], y[inside]]
            assert np.abs(seen - truth).mean() < 0.5 * np.abs(seen - wrong).mean()


def test_upsampled_is_degraded_hr(photos):
    batch = HomographyPairs(photos, [1, 1], batch_size=1, iterations=1)[0][0]
    degraded = images.upsample(images.downsample(images.as_uint8(batch["hr"][0])))
    assert np.array_equal(images.as_uint8(batch["upsampled"][0]), degraded)
