"""Evidence says which block of the result comes from where in which reference."""

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image as Picture
from plain_upscaler import PlainUpscaler
from skimage import data
from tiny_models import tiny_mobile

from c2m_tf import Upscaler
from c2m_tf.cli import main
from c2m_tf.photos import images
from c2m_tf.photos.images import downsample
from c2m_tf.upscaling import opening
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler

HR = data.astronaut()[:160, 160:360]
LR = downsample(HR)
OTHER = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


@pytest.mark.parametrize("network", [lambda light: light, lambda light: tiny_mobile()], ids=["light", "mobile"])
def test_blocks_are_found_where_the_reference_shows_them(preset_with_trunk, network):
    """The reference is the photo's own, moved by two cells; another one shows noise."""
    result = Upscaler(network(preset_with_trunk))(LR, [OTHER, HR[8:, 8:]])
    evidence = result.evidence
    inside = slice(6, -6), slice(6, -6)
    found = (evidence.reference == 1)[inside]
    assert found.mean() > 0.8
    expected = 4 * np.moveaxis(np.mgrid[: LR.shape[0], : LR.shape[1]], 0, -1) - 8
    assert np.median(np.abs(evidence.position - expected).max(axis=-1)[inside][found]) <= 0.5
    assert ((evidence.weight > 0) == (evidence.reference >= 0)).all()
    assert (np.isnan(evidence.position[..., 0]) == (evidence.reference < 0)).all()
    assert evidence.names == ("reference 1", "reference 2")
    assert evidence.shares[1] > 10 * evidence.shares[0]
    assert sum(evidence.shares) == pytest.approx(evidence.weight.mean(), rel=1e-5)


def test_windows_and_regions_agree_with_the_whole(tiny):
    upscaler = Upscaler(KerasUpscaler(tiny, search="exact", tile=24, window=160))
    exact, part = upscaler(LR, HR).evidence, upscaler(LR, HR, region=(7, 9, 20, 15)).evidence
    for whole, piece in zip(exact[:4], part[:4], strict=True):
        np.testing.assert_array_equal(piece, whole[9:24, 7:27])
    windows = Upscaler(KerasUpscaler(tiny, search="window", tile=24, window=160))(LR, HR).evidence
    assert windows.reference.shape == exact.reference.shape
    places = windows.position[windows.reference == 0]
    assert (places >= -4).all()
    assert (places <= np.array(HR.shape[:2]) + 4).all()


def test_there_is_none_without_a_reference():
    assert Upscaler(PlainUpscaler())(LR).evidence is None


class Noting(PlainUpscaler):
    """The left half comes from the second pixel of the reference."""

    def _restore_tiles(self, work, tiles):
        def noted(tile):
            columns = np.arange(tile.x, tile.x + tile.width)
            score = np.where(columns < work.lr.shape[1] // 2, 1.0, 0.0)[None].repeat(tile.height, 0)
            work.note(tile, np.zeros(score.shape, int), np.ones((*score.shape, 2)), score)
            return tile

        yield from super()._restore_tiles(work, map(noted, tiles))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "open_model", lambda source, **settings: Noting())
    images.write(tmp_path / "lr.png", LR)
    images.write(tmp_path / "<front> & side.png", HR)
    return tmp_path


def upscale(folder, *options):
    given = ["-i", f"{folder}/lr.png", "-r", f"{folder}/<front> & side.png", "-o", f"{folder}/sr.png", "--model", "light"]
    return main(["upscale", *given, *options])


def test_files_of_evidence(folder):
    assert upscale(folder, "--evidence", f"{folder}/e.npz") == 0
    with np.load(folder / "e.npz") as found:
        assert sorted(found) == ["names", "position", "reference", "score", "weight"]
        assert found["names"].tolist() == ["<front> & side.png"]
        half = LR.shape[1] // 2
        assert (found["reference"][:, :half] == 0).all()
        assert (found["reference"][:, half:] == -1).all()
    for options, size in (((), (200, 160)), (("--scale", "2"), (100, 80)), (("--region", "0,0,20,10"), (80, 40))):
        assert upscale(folder, "--evidence", f"{folder}/e.png", *options) == 0
        with Picture.open(folder / "e.png") as drawn, Picture.open(folder / "sr.png") as result:
            assert drawn.size[0] == result.size[0] == size[0]
            assert drawn.size[1] > result.size[1] == size[1]
            pixels, plain = np.asarray(drawn, int), np.asarray(result, int)
    assert (pixels[:40] != plain).any()


def test_results_say_what_they_are_made_of(folder):
    assert upscale(folder) == 0
    with Picture.open(folder / "sr.png") as result:
        said = result.info["xmp"].decode()
    assert SOURCE in said
    assert "&lt;front&gt; &amp; side.png" in said
    (stated,) = {value for each in ElementTree.fromstring(said).iter() for name, value in each.items() if "SourceType" in name}
    assert stated == SOURCE
    assert str(folder) not in said
    # Of a result that is upscaled again only the last is said.
    (folder / "sr.png").rename(folder / "lr.png")
    assert upscale(folder) == 0
    with Picture.open(folder / "sr.png") as result:
        assert result.info["xmp"].decode().count(SOURCE) == 1
    assert upscale(folder, "--no-metadata") == 0
    with Picture.open(folder / "sr.png") as result:
        assert "xmp" not in result.info


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--evidence", "lr.png"), "is an input"),
        (("--evidence", "sr.png"), "is the name of another result too"),
        (("--evidence", "e.gif"), "give .npz for arrays, or a picture"),
        (("--evidence", "e.npz", "--reference-strength", "0"), "--evidence draws where the reference shows the photo"),
    ],
)
def test_what_cannot_be_is_said_before_work(folder, monkeypatch, capsys, options, reason):
    monkeypatch.setattr(opening, "open_model", None)
    monkeypatch.chdir(folder)
    assert upscale(folder, *options) == 2
    assert reason in capsys.readouterr().err
