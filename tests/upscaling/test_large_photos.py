"""Photos of any size: tiles and windows equal the whole photo, references are encoded once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from skimage import data

from c2m_tf import C2Matching
from c2m_tf.photos import images
from c2m_tf.photos.match_map import match_map
from c2m_tf.upscaling.keras_upscaler import Upscaler
from c2m_tf.upscaling.tiles import Canvas


def test_tiles_with_exact_search_equal_the_whole(preset, scene):
    lr, ref = scene
    whole = Upscaler(preset, search="exact").upscale(lr, ref)
    tiled = Upscaler(preset, search="exact", tile=48).upscale(lr, ref)
    assert len(Canvas(*lr.shape[:2], 48, 4)) == 4
    assert np.abs(whole - tiled).max() < 1 / 255


def test_tiles_with_a_trunk_of_their_own_join_without_seams(scene):
    lr, ref = scene
    model = C2Matching.from_preset("light")
    whole = Upscaler(model, search="exact").upscale(lr, ref)
    tiled = Upscaler(model, search="exact", tile=48).upscale(lr, ref)
    # That network looks further than tiles overlap: details differ here and there.
    assert np.abs(whole - tiled).mean() < 0.1 / 255
    assert np.abs(whole - tiled).max() < 10 / 255


def test_windows_find_what_exact_search_finds(preset, scene):
    lr, ref = scene
    exact = Upscaler(preset, search="exact").upscale(lr, ref)
    windows = Upscaler(preset, search="window", tile=48, window=224).upscale(lr, ref)
    assert np.abs(exact - windows).mean() < 1 / 255


@pytest.mark.parametrize("options", [{"search": "exact"}, {"search": "window", "tile": 48, "window": 224}])
def test_encoded_references_serve_many_photos(preset, scene, options):
    lr, ref = scene
    upscaler = Upscaler(preset, **options)
    reference = upscaler.encode_reference(ref)

    def kept():
        return reference.encoded if options["search"] == "exact" else reference.coarse.encoded

    encoded = kept()
    assert encoded is not None  # computed when it was made
    first, second = upscaler.upscale(lr[:30], reference), upscaler.upscale(lr[20:], reference)
    assert kept() is encoded
    np.testing.assert_array_equal(first, upscaler.upscale(lr[:30], ref))
    np.testing.assert_array_equal(second, upscaler.upscale(lr[20:], ref))


def test_a_reference_serves_all_searches_and_factors(preset, scene, monkeypatch):
    lr, ref = scene
    upscaler = Upscaler(preset)
    reference = upscaler.encode_reference([ref, ref[:200]])
    for pairs, cells in ((2**32, 16384), (0, 16384), (0, 1000), (2**32, 1000)):
        monkeypatch.setattr("c2m_tf.upscaling.plans._EXACT_PAIRS", pairs)
        monkeypatch.setattr("c2m_tf.upscaling.windows.MAX_COARSE_CELLS", cells)
        np.testing.assert_array_equal(upscaler.upscale(lr, reference), upscaler.upscale(lr, [ref, ref[:200]]))


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_a_reference_keeps_a_copy_of_its_array(preset, scene, kind):
    array = scene[1].astype(kind) if kind == np.uint8 else images.as_float(scene[1]).astype(kind)
    reference = Upscaler(preset, search="window", tile=48, window=224).encode_reference(array)
    before = reference.photos[0].copy()
    array[:] = 0
    np.testing.assert_array_equal(reference.photos[0], before)


def test_a_reference_is_refused_by_another_upscaler(preset, scene):
    lr, ref = scene
    reference = Upscaler(preset).encode_reference(ref)
    other = Upscaler(preset)
    for use in (other.upscale, other.find_matches):
        with pytest.raises(ValueError, match="made by another upscaler"):
            use(lr, reference)


def test_threads_may_share_an_upscaler(preset, scene):
    lr, ref = scene
    upscaler = Upscaler(preset)
    reference = upscaler.encode_reference(ref)
    parts = [lr[:24], lr[24:48], lr[:, :30], lr[:, 30:]]
    alone = [upscaler.upscale(part, reference) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda part: upscaler.upscale(part, reference), parts * 2))
    for expected, found in zip(alone * 2, together, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_progress_counts_tiles(preset, scene):
    lr, ref = scene
    reported = []
    Upscaler(preset, search="exact", tile=48).upscale(lr, ref, progress=lambda done, total: reported.append((done, total)))
    assert reported == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_files_are_taken_like_arrays(preset, scene, tmp_path):
    lr, ref = scene
    for name, photo in (("lr.png", lr), ("ref.png", ref)):
        images.write(tmp_path / name, photo)
    from_files = Upscaler(preset).upscale(tmp_path / "lr.png", str(tmp_path / "ref.png"))
    np.testing.assert_allclose(from_files, Upscaler(preset).upscale(lr, ref), atol=1e-5)


def test_matches_say_where_the_scene_lies(preset, scene):
    lr, ref = scene
    flow, score = Upscaler(preset).find_matches(lr, ref)
    assert flow.shape == (*score.shape, 2) == (58, 70, 2)
    # The reference starts 40 pixels higher and 56 to the right: what lies at (y, x) is found at (y + 10, x - 14) cells.
    found = np.abs(flow - (10, -14)).max(axis=-1) <= 1
    assert found[:, 16:].mean() > 0.8  # the first 14 columns are not in the reference
    other = data.chelsea()
    several, _ = Upscaler(preset).find_matches(lr, [other, ref])
    assert (np.abs(several - (10, -14)).max(axis=-1) <= 1)[:, 16:].mean() > 0.8
    picture = match_map(flow, score)
    assert picture.shape == (4 * 58, 4 * 70, 3)
    assert picture.std() > 1
