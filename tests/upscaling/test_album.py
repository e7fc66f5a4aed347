"""References out of an album: those that show the photo, no copies of it; kept descriptors; damaged photos left out."""

import numpy as np
import pytest
from plain_upscaler import PlainUpscaler
from skimage import data

from c2m_tf import Album, Image, Upscaler
from c2m_tf.photos import images
from c2m_tf.upscaling.album import CACHE, agreement, describe
from c2m_tf.upscaling.base import Matches

HR = data.astronaut()
LR = images.downsample(HR)
OTHERS = {"coffee": data.coffee(), "cat": data.chelsea(), "rocket": data.rocket()}


def scores(share):
    """Matches whose left part fits."""
    score = np.zeros((20, 20), np.float32)
    score[:, : round(20 * share)] = 1.0
    return Matches(np.zeros((20, 20, 2), np.float32), score)


@pytest.fixture
def folder(tmp_path):
    for name, photo in OTHERS.items():
        images.write(tmp_path / f"{name}.jpg", photo)
    images.write(tmp_path / "itself.png", LR)
    images.write(tmp_path / "smaller.png", images.bicubic(LR, (64, 64)))
    images.write(tmp_path / "detail.jpg", HR[40:300, 130:420])
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff damaged")
    return tmp_path


def test_photos_are_ranked_and_copies_left_out(folder):
    album, tried = Album(folder), []

    def match(path):
        tried.append(path.name)
        return scores(0.5 if path.name == "detail.jpg" else 0.05)

    choice = album.choose(Image(LR), match)
    assert [path.name for path in choice.paths] == ["detail.jpg"]
    assert choice.words == f"detail.jpg (+50% of the photo) of 6 photos in {folder}"
    assert tried[0] == "detail.jpg"
    assert not {"itself.png", "smaller.png"} & set(tried)
    assert list(album.skipped) == ["damaged.jpg"]
    assert agreement(describe(LR), describe(HR[40:300, 130:420])) > agreement(describe(LR), describe(OTHERS["coffee"]))


def test_references_that_add_most_are_chosen_first_and_none_that_adds_nothing(folder):
    shares = {"coffee.jpg": 0.2, "cat.jpg": 0.6, "rocket.jpg": 0.6, "detail.jpg": 0.9}
    choice = Album(folder, references_per_photo=2).choose(Image(LR), lambda path: scores(shares[path.name]))
    assert [path.name for path in choice.paths] == ["detail.jpg"]


def test_nothing_that_suits_is_said(folder):
    choice = Album(folder).choose(Image(LR), lambda path: scores(0.05))
    assert choice.paths == ()
    assert choice.words == f"none of 6 photos in {folder} shows what the photo shows"


def test_descriptors_are_kept_by_content_and_made_again_if_damaged(folder, monkeypatch):
    Album(folder).index()
    kept = sorted((folder / CACHE).iterdir())
    assert len(kept) == 6
    (folder / "cat.jpg").rename(folder / "renamed.jpg")
    kept[0].write_bytes(b"damaged")
    described = []
    monkeypatch.setattr("c2m_tf.upscaling.album.describe", lambda photo: described.append(1) or describe(photo))
    Album(folder).index()
    assert len(described) == 1
    Album(folder, cache=folder / "cache/new").index()
    assert len(described) == 7


def test_an_upscaler_takes_them_in_place_of_references(folder):
    upscaler = Upscaler(PlainUpscaler())
    result = upscaler(LR, album=Album(folder, references_per_photo=1))
    assert result.album.endswith(f"of 6 photos in {folder}")
    assert result.evidence is not None
    assert result.evidence.names[0] in result.album
    assert upscaler(LR, album=Album(folder), strength=0).album == ""
    with pytest.raises(ValueError, match="references and an album are given; give one of them"):
        upscaler(LR, HR, album=Album(folder))


def test_what_is_no_album_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no photos for an album"):
        Album(tmp_path)
    with pytest.raises(ValueError, match="0 references per photo are none; give 1 or more"):
        Album(tmp_path, 0)
