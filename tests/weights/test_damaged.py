"""Damaged weight files are refused in one sentence that names the file."""

import random

import numpy as np
import pytest

from c2m_tf.presets import load_model
from c2m_tf.weights.checkpoints import CheckpointError, read_torch_checkpoint
from c2m_tf.weights.npz import read_npz


def damaged(whole, draw):
    """The bytes of a file with some of them changed, or cut short."""
    data = bytearray(whole)
    for _ in range(draw.choice([0, 1, 3, 8])):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data[: draw.choice([len(data), draw.randrange(len(data))])])


def check_refusals(path, read, error, trials):
    """Reads the file again and again with damage of its own; whatever is not read ends in `error`, naming the path."""
    whole, draw, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(trials):
        path.write_bytes(damaged(whole, draw))
        try:
            read(path)
        except error as refusal:
            refused += 1
            assert str(path) in str(refusal)
            assert "\n" not in str(refusal)
    assert refused > trials // 4


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(tmp_path / "a.npz", kernel=np.ones((3, 3), np.float32), names=np.array(["x", "yz"]))
    check_refusals(tmp_path / "a.npz", read_npz, ValueError, 500)


def test_npz_of_objects_is_not_executed(tmp_path):
    np.savez(tmp_path / "a.npz", objects=np.array([{}, None], dtype=object))
    with pytest.raises(ValueError, match=r"a.npz is not an .npz file of arrays: Object arrays cannot be loaded"):
        read_npz(tmp_path / "a.npz")


def test_missing_npz(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a.npz does not exist"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("new", [True, False])
def test_pth(tmp_path, new):
    torch = pytest.importorskip("torch")
    torch.save({"a.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    check_refusals(tmp_path / "a.pth", read_torch_checkpoint, CheckpointError, 300)


@pytest.mark.parametrize("place", [0.0, 0.01, 0.3, 0.6, 0.99, 1.0])
@pytest.mark.parametrize("cut", [False, True])
def test_keras(tmp_path, tiny, place, cut):
    path = tmp_path / "m.keras"
    tiny.save(path)
    data = bytearray(path.read_bytes())
    at = int(place * (len(data) - 1))
    if cut:
        del data[at:]
    else:
        data[at : at + 4] = bytes(value ^ 255 for value in data[at : at + 4])
    path.write_bytes(data)
    try:
        load_model(path)
    except ValueError as refusal:
        assert str(path) in str(refusal)
        assert "\n" not in str(refusal)
    else:
        assert not cut, "a file that is cut was loaded"
