"""Photos of any size: tiles and windows equal the whole photo, references are encoded once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from skimage import data

from c2m_tf import Upscaler
from c2m_tf.photos import images
from c2m_tf.photos.drawing import match_map
from c2m_tf.upscaling.tiles import Canvas


def test_tiles_with_exact_search_equal_the_whole(preset, scene):
    lr, ref = scene
    whole = Upscaler(preset, search="exact")(lr, ref).image.rgb
    tiled = Upscaler(preset, search="exact", tile=48)(lr, ref).image.rgb
    assert len(Canvas(*lr.shape[:2], 48, 4)) == 4
    assert np.abs(whole - tiled).max() < 1 / 255


def test_tiles_into_which_a_trunk_is_mixed_equal_the_whole(preset_with_trunk, scene):
    lr, ref = scene
    whole = Upscaler(preset_with_trunk, search="exact")(lr, ref).image.rgb
    tiled = Upscaler(preset_with_trunk, search="exact", tile=48)(lr, ref).image.rgb
    assert np.abs(whole - tiled).max() < 1 / 255


@pytest.mark.parametrize("height", [71, 72])
def test_tiles_of_text_join_without_seams(preset_with_trunk, height):
    page = Image.fromarray(data.page()).convert("RGB").resize((960, 478), Image.Resampling.BICUBIC)
    lr = images.downsample(np.asarray(page)[100 : 100 + 4 * height])
    whole = Upscaler(preset_with_trunk, tile=240)(lr)
    tiled = Upscaler(preset_with_trunk)(lr)
    assert (whole.tiles, tiled.tiles) == (1, 2)
    difference = 255 * np.abs(whole.image.rgb - tiled.image.rgb)
    assert 0 < difference.max() < 4
    assert np.sqrt((difference**2).mean()) < 0.2


def test_windows_find_what_exact_search_finds(preset, scene):
    lr, ref = scene
    exact = Upscaler(preset, search="exact")(lr, ref).image.rgb
    windows = Upscaler(preset, search="window", tile=48, window=224)(lr, ref).image.rgb
    assert np.abs(exact - windows).mean() < 1 / 255


@pytest.mark.parametrize("options", [{"search": "exact"}, {"search": "window", "tile": 48, "window": 224}])
def test_encoded_references_serve_many_photos(tiny, scene, options):
    lr, ref = scene
    upscaler = Upscaler(tiny, **options)
    reference = upscaler.open_references(ref)

    def kept():
        decoded = reference._decoded
        return decoded.encoded if options["search"] == "exact" else decoded.coarse.encoded

    first = upscaler(lr[:30], reference).image.rgb
    encoded = kept()
    second = upscaler(lr[20:], reference).image.rgb
    assert kept() is encoded
    np.testing.assert_array_equal(first, upscaler(lr[:30], ref).image.rgb)
    np.testing.assert_array_equal(second, upscaler(lr[20:], ref).image.rgb)


def test_a_reference_serves_all_searches_and_factors(tiny, scene, monkeypatch):
    lr, ref = scene
    upscaler = Upscaler(tiny)
    reference = upscaler.open_references([ref, ref[:200]])
    for pixels, cells in ((2**32, 16384), (0, 16384), (0, 1000), (2**32, 1000)):
        monkeypatch.setattr("c2m_tf.upscaling.plans._LEVELS_REF_PIXELS", pixels)
        monkeypatch.setattr("c2m_tf.upscaling.tiles.MAX_COARSE_CELLS", cells)
        np.testing.assert_array_equal(upscaler(lr, reference).image.rgb, upscaler(lr, [ref, ref[:200]]).image.rgb)


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_a_reference_keeps_a_copy_of_its_array(tiny, scene, kind):
    array = scene[1].astype(kind) if kind == np.uint8 else images.as_float(scene[1]).astype(kind)
    reference = Upscaler(tiny, search="window", tile=48, window=224).open_references(array)
    before = reference._images[0].rgb.copy()
    array[:] = 0
    np.testing.assert_array_equal(reference._images[0].rgb, before)


def test_a_reference_is_refused_by_another_upscaler(tiny, scene):
    lr, ref = scene
    reference = Upscaler(tiny).open_references(ref)
    other = Upscaler(tiny)
    for use in (other, other.find_matches):
        with pytest.raises(ValueError, match="opened by another upscaler"):
            use(lr, reference)


def test_threads_may_share_an_upscaler(tiny, scene):
    lr, ref = scene
    upscaler = Upscaler(tiny)
    reference = upscaler.open_references(ref)
    parts = [lr[:24], lr[24:48], lr[:, :30], lr[:, 30:]]
    alone = [upscaler(part, reference).image.rgb for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda part: upscaler(part, reference).image.rgb, parts * 2))
    for expected, found in zip(alone * 2, together, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("search", ["levels", "window"])
def test_progress_counts_steps_of_the_search_and_tiles(tiny, scene, search):
    lr, ref = scene
    upscaler, seen = Upscaler(tiny, search=search, tile=48), []
    reference = upscaler.open_references(ref)
    # Two strips of the reference, one of the LR photo, the search; or all of it in one.
    searched = {"levels": 4, "window": 1}[search]
    steps = searched + 4
    result = upscaler(lr, reference, progress=lambda *counts: seen.append(counts))
    assert seen == [(0, steps), *((done, steps) for done in range(steps + 1))]
    assert result.tiles == 4
    seen.clear()
    upscaler(lr, reference, progress=lambda *counts: seen.append(counts))  # the reference is encoded
    assert seen[0] == (0, steps)
    assert seen[-5:] == [(done, steps) for done in range(searched, steps + 1)]


def test_the_search_stops_where_progress_says_so(tiny, scene):
    lr, ref = scene

    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    upscaler = Upscaler(tiny)
    with pytest.raises(KeyboardInterrupt):
        upscaler(lr, ref, progress=stop)
    np.testing.assert_array_equal(upscaler(lr, ref).image.rgb, Upscaler(tiny)(lr, ref).image.rgb)


def test_files_are_taken_like_arrays(tiny, scene, tmp_path):
    lr, ref = scene
    for name, photo in (("lr.png", lr), ("ref.png", ref)):
        images.write(tmp_path / name, photo)
    from_files = Upscaler(tiny)(tmp_path / "lr.png", str(tmp_path / "ref.png")).image.rgb
    np.testing.assert_allclose(from_files, Upscaler(tiny)(lr, ref).image.rgb, atol=1e-5)


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
