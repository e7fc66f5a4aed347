"""Training folders: samples, and faults reported before training starts."""

import numpy as np
import pytest
from c2m_tf.training import sources
from training_data import make

from c2m_tf.photos import images


@pytest.fixture
def root(tmp_path):
    return make(tmp_path)


def refused(source, *arguments):
    with pytest.raises(sources.SourceError) as error:
        source(*arguments)
    return str(error.value)


def test_cufed_pairs_have_the_same_name(root):
    pairs = sources.CufedPairs(root / "data/cufed")
    photo, reference = pairs.pair(np.random.RandomState(0))
    shown = [images.as_uint8(images.read(path).rgb) for path in sorted((root / "data/cufed/ref").iterdir())]
    of_photos = [images.as_uint8(images.read(path).rgb) for path in sorted((root / "data/cufed/input").iterdir())]
    index = [np.array_equal(photo, candidate) for candidate in of_photos].index(True)
    assert np.array_equal(reference, shown[index])


def test_a_missing_partner_is_named(root):
    (root / "data/cufed/ref/001.png").unlink()
    assert "001.png has no partner" in refused(sources.CufedPairs, root / "data/cufed")


def test_damaged_and_small_photos_are_named_together(root):
    (root / "data/single/photo0.png").write_bytes(b"no photo at all")
    images.write(root / "data/single/small.png", np.zeros((100, 300, 3), np.uint8))
    message = refused(sources.SinglePhotos, root / "data/single")
    assert "photo0.png is not a PNG" in message
    assert "small.png has 300x100 pixels, at least 160x160" in message


def test_missing_and_empty_folders_are_named(root):
    assert "nowhere is not a folder" in refused(sources.SinglePhotos, root / "nowhere")
    (root / "empty").mkdir()
    assert "empty holds no photo" in refused(sources.SinglePhotos, root / "empty")


def test_held_back_photos_are_not_drawn(root):
    kept = sources.SinglePhotos(root / "data/single", held_back=2)
    assert [path.name for path in kept.held_back] == ["photo1.png", "photo2.png"]
    assert len(kept.photos) == 1
    assert "leave none" in refused(sources.SinglePhotos, root / "data/single", 3)


def multiview(root, pairs):
    folder = root / "multiview"
    (folder / "img").mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(("a", "a", "b")):
        images.write(folder / f"img/{scene}_{number}.png", np.full((200, 220, 3), 40 * number, np.uint8))
    np.savez(folder / "pairs160.npz", pairs=np.int16(pairs), files=np.array(["a_0.png", "a_1.png", "b_2.png"]))
    return folder


def test_scenes_are_drawn_with_equal_probability(root):
    folder = multiview(root, [[0, 0, 0, 1, 9, 9, 100]] * 50 + [[2, 0, 0, 2, 5, 5, 100]])
    source = sources.MultiviewPairs(folder)
    random = np.random.RandomState(0)
    drawn = [source.pair(random)[0][0, 0, 0] == 80 for _ in range(300)]
    assert 0.4 < np.mean(drawn) < 0.6


def test_a_window_outside_its_photo_is_named(root):
    folder = multiview(root, [[0, 0, 0, 1, 9, 9, 100], [0, 61, 0, 1, 0, 0, 100]])
    assert "row 1" in refused(sources.MultiviewPairs, folder)
    folder = multiview(root, [[0, 0, 0, 7, 9, 9, 100]])
    assert "row 0" in refused(sources.MultiviewPairs, folder)


def test_a_list_that_cannot_be_read_is_named(root):
    folder = multiview(root, [[0, 0, 0, 1, 9, 9, 100]])
    (folder / "pairs160.npz").write_bytes(b"nothing")
    assert "pairs160.npz cannot be used" in refused(sources.MultiviewPairs, folder)
