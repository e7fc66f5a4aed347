"""Pairs made from single photos: the reference shows each pixel where it is said to be."""

import numpy as np
import pytest
from c2m_tf.training.datasets import CorrespondencePairs
from c2m_tf.training.layered import LayeredPairs
from c2m_tf.training.sources import CufedPairs, SinglePhotos, SourceError
from c2m_tf.training.views import Views
from scipy import ndimage
from training_data import make

from c2m_tf.photos import images

SEEDS = range(30)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Photos whose colours tell photo and place, and photos of one colour each."""
    root = tmp_path_factory.mktemp("photos")
    for folder in ("places", "plain"):
        (root / folder).mkdir()
    y, x = np.mgrid[:340, :360]
    for number in range(6):
        blue = np.full_like(x, 50 * number)
        images.write(root / f"places/{number}.png", np.uint8(np.stack([x * 0.7, y * 0.7, blue], axis=-1)))
        images.write(root / f"plain/{number}.png", np.uint8(np.stack([0 * x, 0 * x, blue], axis=-1)))
    return root


@pytest.fixture(scope="module")
def places(folders):
    return LayeredPairs(folders / "places")


def seen(source, seed):
    """Colours of LR pixels that the reference shows, in the photo and in the reference, [N,3] each; and their share."""
    photo, reference, positions = source.correspondence(np.random.RandomState(seed))
    assert photo.shape == reference.shape == (160, 160, 3)
    assert photo.dtype == reference.dtype == np.uint8
    assert positions.shape == (40, 40, 2)
    assert positions.dtype == np.float32
    visible = np.isfinite(positions).all(axis=-1)
    assert (np.isnan(positions).any(axis=-1) == ~visible).all()
    i, j = np.nonzero(visible)
    x, y = positions[visible].T
    return colours(photo, 4 * i + 1.5, 4 * j + 1.5), colours(reference, y, x), visible.mean()


def colours(photo, y, x):
    channels = [ndimage.map_coordinates(np.float32(photo[..., channel]), [y, x], order=1) for channel in range(3)]
    return np.stack(channels, axis=-1)


@pytest.mark.parametrize("kind", [LayeredPairs, SinglePhotos])
def test_the_reference_shows_each_pixel_where_it_is_said_to_be(folders, kind):
    source = kind(folders / "places")
    wrong, shares = [], []
    for seed in SEEDS:
        expected, found, share = seen(source, seed)
        wrong.append((np.abs(found - expected).max(axis=-1) > 3.0).sum() / 1600)
        shares.append(share)
    # Pixels on the edges of layers are mixed; anywhere else less than one in a hundred differs.
    assert np.mean(wrong) < 0.05
    assert 0.4 < np.mean(shares) < 0.95


def test_hidden_pixels_have_no_position(folders):
    plain = LayeredPairs(folders / "plain")
    same = []
    for seed in SEEDS:
        expected, found, _ = seen(plain, seed)
        same.append(np.abs(found - expected).max(axis=-1) < 40.0)
    assert np.concatenate(same).mean() > 0.97


def test_most_pairs_have_about_the_same_scale():
    scales = np.array([Views(np.random.RandomState(seed), 1).scale for seed in range(500)])
    assert scales.min() >= 0.5
    assert scales.max() <= 2.0
    assert 0.5 < np.mean((scales > 0.8) & (scales < 1.25)) < 0.9


def test_positions_are_the_inverse_of_the_field():
    y, x = np.mgrid[4:160:8, 4:160:8]
    pixels = np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5
    for seed in SEEDS:
        views = Views(np.random.RandomState(seed), 4)
        for layer in range(4):
            positions = views.field(layer)[y, x].reshape(-1, 2)
            assert np.isfinite(positions).all()
            back = views.in_view_2(positions, np.full(len(pixels), layer))
            assert np.abs(back - pixels).max() < 0.1


def test_layers_shift_against_each_other():
    y, x = np.mgrid[20:140:20, 20:140:20]
    points = np.stack([x, y], axis=-1).reshape(-1, 2).astype(float)
    apart = []
    for seed in SEEDS:
        views = Views(np.random.RandomState(seed), 4)
        back, front = (views.in_view_2(points, np.full(len(points), layer)) for layer in (0, 3))
        apart.append(np.nanmean(np.linalg.norm(back - front, axis=-1)))
    assert np.mean(apart) > 5.0


def test_a_pair_depends_on_the_seed_alone(places):
    photo, reference = places.pair(np.random.RandomState(3))
    again, reference_again, _ = places.correspondence(np.random.RandomState(3))
    assert np.array_equal(photo, again)
    assert np.array_equal(reference, reference_again)
    assert not np.array_equal(photo, places.pair(np.random.RandomState(4))[0])


def test_a_photo_without_layers_is_cut_out_as_it_is(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    images.write(tmp_path / "photo.png", photo)
    source = LayeredPairs(tmp_path)
    # The photo has 160x160 pixels, so there is one window; a pair of one layer shows it.
    assert any(np.array_equal(source.pair(np.random.RandomState(seed))[0], photo) for seed in range(30))


def test_small_photos_are_named(tmp_path):
    images.write(tmp_path / "small.png", np.zeros((100, 300, 3), np.uint8))
    with pytest.raises(SourceError, match=r"small\.png has 300x100 pixels"):
        LayeredPairs(tmp_path)


def test_cells_of_batches_are_the_nearest_ones_under_flips(folders, places):
    batches = CorrespondencePairs([SinglePhotos(folders / "places"), places], [1, 1], batch_size=4, iterations=8)
    for index in range(4):
        (batch,) = batches[index]
        assert {name: (array.shape, array.dtype.name) for name, array in batch.items()} == {
            "lr": ((4, 40, 40, 3), "float32"),
            "ref": ((4, 160, 160, 3), "float32"),
            "cells": ((4, 40, 40), "int32"),
        }
        assert batch["cells"].min() == -1
        assert batch["cells"].max() < 1600
        for lr, ref, cells in zip(batch["lr"], batch["ref"], batch["cells"], strict=True):
            blocks = ref.reshape(40, 4, 40, 4, 3).mean(axis=(1, 3)).reshape(1600, 3)
            difference = np.abs(lr[cells >= 0] - blocks[cells[cells >= 0]]).max(axis=-1)
            # Within half a cell colours change by less than 2 %; cells on the edges of layers are mixed.
            assert np.mean(difference < 0.02) > 0.7


def test_sources_without_truth_are_refused(tmp_path):
    source = CufedPairs(make(tmp_path) / "data/cufed")
    with pytest.raises(ValueError, match="true correspondence of CufedPairs is not known"):
        CorrespondencePairs([source], [1.0], batch_size=1, iterations=1)
