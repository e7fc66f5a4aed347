"""Geometric self-ensemble: the mean of the results of several orientations."""

import numpy as np
import pytest
from skimage import data

from c2m_tf import Upscaler
from c2m_tf.cli import main
from c2m_tf.evaluation.metrics import luma, psnr
from c2m_tf.jobs.work import WorkerSettings
from c2m_tf.photos import images
from c2m_tf.photos.images import TooLargeError
from c2m_tf.upscaling.base import ORIENTATIONS
from c2m_tf.upscaling.plans import ENSEMBLES


@pytest.fixture
def photos(rng):
    return rng.random((20, 24, 3), np.float32), rng.random((60, 52, 3), np.float32)


def test_there_are_eight_orientations_and_each_is_turned_back(rng):
    photo = rng.random((5, 7, 3))
    every = [orientation.turned(photo) for orientation in ORIENTATIONS]
    assert len({(one.shape, one.tobytes()) for one in every}) == 8
    for orientation, one in zip(ORIENTATIONS, every, strict=True):
        np.testing.assert_array_equal(orientation.turned_back(one), photo)


@pytest.mark.parametrize("search", ["exact", "window"])
@pytest.mark.parametrize("with_reference", [True, False])
def test_the_result_is_the_mean_of_the_orientations(tiny, photos, search, with_reference):
    lr, ref = photos
    alone = Upscaler(tiny, search=search)
    results = [
        one.turned_back(alone(one.turned(lr), one.turned(ref) if with_reference else None).image.rgb)
        for one in ORIENTATIONS[:4]
    ]
    mean = Upscaler(tiny, search=search, ensemble=4)(lr, ref if with_reference else None).image.rgb
    np.testing.assert_allclose(mean, np.mean(results, axis=0), atol=1e-6)


def test_of_all_eight_a_turned_photo_gives_the_turned_result(tiny, photos):
    upscaler = Upscaler(tiny, ensemble=8)
    lr, ref = photos
    sr = upscaler(lr, ref).image.rgb
    for orientation in (ORIENTATIONS[1], ORIENTATIONS[6]):
        again = upscaler(orientation.turned(lr), orientation.turned(ref)).image.rgb
        np.testing.assert_allclose(again, orientation.turned(sr), atol=1e-5)


def test_a_trained_network_gains(preset):
    photo = data.astronaut()
    hr, ref = photo[60:260, 60:300], photo[20:260, 100:364]
    lr = images.downsample(hr)
    results = [Upscaler(preset, ensemble=number)(lr, ref).image.rgb for number in (1, 4)]
    one, four = (psnr(luma(images.as_uint8(result)), luma(hr)) for result in results)
    assert four > one + 0.05


def test_an_encoded_reference_serves_all_orientations_and_keeps_no_features(tiny, photos):
    lr, ref = photos
    upscaler = Upscaler(tiny, ensemble=2)
    reference = upscaler.open_references(ref)
    np.testing.assert_array_equal(upscaler(lr, reference).image.rgb, upscaler(lr, ref).image.rgb)
    assert reference._decoded.encoded is None


def test_progress_counts_the_steps_of_all_orientations_and_shares_are_averaged(tiny, photos):
    lr, ref = np.tile(photos[0], (3, 1, 1)), photos[1]
    seen = []
    result = Upscaler(tiny, ensemble=2, tile=40)(lr, ref, progress=lambda *counts: seen.append(counts))
    steps = 2 * (1 + 1 + 1) + 4  # strips of the reference and of the LR photo, search; tiles
    assert seen == [(0, steps), *((done, steps) for done in range(steps + 1))]
    assert result.tiles == 4
    one = Upscaler(tiny, tile=40)
    single = [one(orientation.turned(lr), orientation.turned(ref)) for orientation in ORIENTATIONS[:2]]
    assert result.coverage == pytest.approx(np.mean([each.coverage for each in single]))
    np.testing.assert_array_equal(result.matches.flow, single[0].matches.flow)


def test_memory_counts_the_copies(tiny):
    shapes = (100, 100, 3), [(400, 400, 3)]
    one, two = (Upscaler(tiny, ensemble=number).estimated_memory(*shapes) for number in (1, 2))
    assert two > one
    with pytest.raises(TooLargeError):
        Upscaler(tiny, ensemble=2, max_memory=one)(*(np.zeros(shape, np.uint8) for shape in (shapes[0], *shapes[1])))


@pytest.mark.parametrize("ensemble", [0, 3, 16])
def test_other_numbers_are_refused(tiny, ensemble, tmp_path, capsys):
    words = f"ensemble {ensemble} is no number of orientations; choose one of 1, 2, 4, 8"
    with pytest.raises(ValueError, match=words):
        Upscaler(tiny, ensemble=ensemble)
    for model in ("auto", "light"):
        with pytest.raises(ValueError, match=words):
            WorkerSettings(model, ensemble=ensemble).open_worker()
    images.write(tmp_path / "lr.png", np.zeros((20, 24, 3)))
    arguments = ["upscale", "-i", f"{tmp_path}/lr.png", "-o", f"{tmp_path}/sr.png", "--ensemble", str(ensemble)]
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "sr.png").exists()


def test_the_command_line_takes_it(tiny, tmp_path, photos):
    tiny.save(tmp_path / "tiny.keras")
    for name, photo in zip(("lr", "ref"), photos, strict=True):
        images.write(tmp_path / f"{name}.png", photo)
    results = {}
    for number in ENSEMBLES[:2]:
        output = tmp_path / f"{number}.png"
        arguments = ["upscale", "-i", f"{tmp_path}/lr.png", "-r", f"{tmp_path}/ref.png", "-o", str(output)]
        assert main([*arguments, "--model", f"{tmp_path}/tiny.keras", "--ensemble", str(number)]) == 0
        results[number] = images.read(output).rgb.astype(int)
    assert 0 < np.abs(results[2] - results[1]).mean() < 20
