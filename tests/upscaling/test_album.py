"""References out of an album: those that show the photo, no copies of it; kept descriptors; damaged photos left out."""

import io

import numpy as np
import pytest
from plain_upscaler import PlainUpscaler
from skimage import data

from c2m_tf import Album, Image, Upscaler
from c2m_tf.photos import images
from c2m_tf.upscaling.album import CACHE, agreement, describe

HR = data.astronaut()
LR = images.downsample(HR)
OTHERS = {"coffee": data.coffee(), "cat": data.chelsea(), "rocket": data.rocket()}


def weights(share):
    """Of a photo whose left part is shown."""
    weight = np.zeros((20, 20), np.float32)
    weight[:, : round(20 * share)] = 1.0
    return weight


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

    def weigh(photo):
        tried.append(photo.filename)
        return weights(0.5 if photo.filename == "detail.jpg" else 0.05)

    choice = album.choose(Image(LR), weigh)
    assert choice.names == ("detail.jpg",)
    assert choice.words == f"detail.jpg (+50% of the photo) of 6 photos in {folder}"
    assert tried[0] == "detail.jpg"
    assert not {"itself.png", "smaller.png"} & set(tried)
    assert list(album.skipped) == ["damaged.jpg"]


@pytest.mark.parametrize("part", [np.s_[40:300, 130:420], np.s_[:, :], np.s_[100:360, 100:400]])
def test_photos_of_the_same_agree_in_whatever_size_they_show_it(part):
    of_others = [agreement(describe(LR), describe(photo)) for photo in OTHERS.values()]
    assert agreement(describe(LR), describe(HR[part])) > 2 * max(of_others)
    assert agreement(describe(LR[30:100, 20:90]), describe(HR)) > 2 * max(of_others)


def test_photos_may_be_open_files_and_one_content_counts_once():
    files = {name: io.BytesIO() for name in ("a.png", "b.png", "damaged.png")}
    for name in ("a.png", "b.png"):
        images.encode(files[name], "PNG", HR)
        files[name].seek(0)
    album, tried = Album(files), []
    choice = album.choose(Image(LR), lambda photo: tried.append(photo.filename) or weights(0.5))
    assert choice.names == ("a.png",)
    assert choice.words == "a.png (+50% of the photo) of 2 photos"
    assert tried == ["a.png"]
    assert list(album.skipped) == ["damaged.png"]
    with album.open("a.png") as photo:
        np.testing.assert_array_equal(images.as_uint8(photo.rgb), HR)


def test_references_that_add_most_are_chosen_first_and_none_that_adds_nothing(folder):
    images.write(folder / "more.jpg", HR[:400, 60:])
    shares = {"detail.jpg": 0.9, "more.jpg": 0.6}
    choice = Album(folder, references_per_photo=2).choose(Image(LR), lambda photo: weights(shares.get(photo.filename, 0.05)))
    assert choice.names == ("detail.jpg",)


def test_nothing_that_suits_is_said(folder):
    choice = Album(folder).choose(Image(LR), lambda photo: weights(0.05))
    assert choice.names == ()
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
    with pytest.raises(ValueError, match="there are no photos for an album in"):
        Album(tmp_path)
    with pytest.raises(ValueError, match="0 references per photo are none; give 1 or more"):
        Album(tmp_path, 0)
