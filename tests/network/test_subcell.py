"""Phases of a reference, and matches refined to pixels."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from c2m_tf.network import subcell


def photo_of(rng, height, width):
    """Smooth noise in [0, 1], float32 [1,height,width,3]."""
    values = gaussian_filter(rng.random((height, width, 3)), (1.5, 1.5, 0))
    return ((values - values.min()) / np.ptp(values)).astype(np.float32)[None]


def cells_of(photo):
    return subcell.phases(subcell.low_pass(photo))


def test_first_phase_is_pillows_bicubic(rng):
    photo = rng.random((1, 24, 32, 3), np.float32)
    small = subcell.first_phase(cells_of(photo))
    channels = [Image.fromarray(photo[0, :, :, channel]).resize((8, 6), Image.Resampling.BICUBIC) for channel in range(3)]
    np.testing.assert_allclose(small[0], np.stack(channels, axis=-1), atol=1e-5)


def test_a_phase_is_the_first_one_of_a_shifted_photo(rng):
    photo = rng.random((2, 40, 44, 3), np.float32)
    cells = np.asarray(cells_of(photo))
    for a, b in ((0, 3), (2, 1), (3, 0)):
        shifted = np.roll(photo, (-a, -b), axis=(1, 2))
        expected = np.asarray(subcell.first_phase(cells_of(shifted)))
        # Cells whose low-pass sees neither the edge nor what was rolled round it.
        np.testing.assert_allclose(cells[:, 2:-3, 2:-3, 4 * a + b :: 16], expected[:, 2:-3, 2:-3], atol=1e-5)


def test_norms(rng):
    cells = rng.random((1, 6, 7, 48), np.float32)
    edged = np.pad(cells[0], ((2, 2), (2, 2), (0, 0)), mode="edge")
    norms = np.asarray(subcell.phase_norms(cells))[0]
    for y, x, phase in ((0, 0, 0), (3, 4, 7), (5, 6, 15)):
        window = edged[y : y + 5, x : x + 5, phase::16]
        assert norms[y, x, phase] == pytest.approx(np.linalg.norm(window - window.mean()), abs=1e-4)


def test_finds_where_a_photo_was_cut_out_to_the_pixel(rng, monkeypatch):
    monkeypatch.setattr(subcell, "CHUNK", 50)
    reference = photo_of(rng, 64, 72)
    top, left = 9, 14  # of the part that the LR photo shows
    lr = subcell.first_phase(cells_of(reference[:, top : top + 40, left : left + 48]))
    y, x = np.mgrid[:10, :12]
    truth = np.stack([4 * y + top, 4 * x + left], axis=-1)
    coarse = np.clip(truth // 4 + rng.integers(-1, 3, truth.shape), 1, [14, 16])[None].astype(np.int32)
    cells = cells_of(reference)
    positions, correlation = subcell.refine(lr, cells, subcell.phase_norms(cells), coarse)
    inner = (0, slice(3, -3), slice(3, -3))  # windows that the photo's edges do not reach
    after = coarse[0] - truth // 4
    reached = ((after >= 0) & (after <= 1)).all(axis=-1)[3:-3, 3:-3]  # in the matched cell, or in the one before it
    np.testing.assert_allclose(np.asarray(positions)[inner][reached], truth[3:-3, 3:-3][reached], atol=0.15)
    assert np.asarray(correlation)[inner][reached].min() > 0.9


def test_finds_the_fraction_of_a_pixel(rng):
    fine = gaussian_filter(photo_of(rng, 128, 144), (0, 2, 2, 0))
    reference, between = fine[:, ::2, ::2], fine[:, 1::2, 1::2]  # half a pixel apart along both axes
    lr = subcell.first_phase(cells_of(between[:, 8:56, 12:60]))
    y, x = np.mgrid[:12, :12]
    truth = np.stack([4 * y + 8.5, 4 * x + 12.5], axis=-1)
    cells = cells_of(reference)
    positions, _ = subcell.refine(lr, cells, subcell.phase_norms(cells), (truth // 4)[None].astype(np.int32))
    np.testing.assert_allclose(np.asarray(positions)[0, 3:-3, 3:-3], truth[3:-3, 3:-3], atol=0.15)


def test_each_photo_of_a_batch_is_refined_in_its_own_reference(rng):
    references = np.concatenate([photo_of(rng, 32, 40), photo_of(rng, 32, 40)])
    lr = rng.random((2, 5, 6, 3), np.float32)
    matches = np.stack([rng.integers(1, 7, (2, 5, 6)), rng.integers(1, 9, (2, 5, 6))], axis=-1).astype(np.int32)
    cells = cells_of(references)
    together = subcell.refine(lr, cells, subcell.phase_norms(cells), matches)
    for number in range(2):
        part = slice(number, number + 1)
        cells = cells_of(references[part])
        alone = subcell.refine(lr[part], cells, subcell.phase_norms(cells), matches[part])
        np.testing.assert_array_equal(together[0][part], alone[0])
        np.testing.assert_allclose(together[1][part], alone[1], atol=1e-5)
