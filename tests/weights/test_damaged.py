"""Damaged weight files are refused in one sentence that names the file; `FUZZED_FILES` says how many the long run reads."""

import os

import numpy as np
import pytest
from damaged_files import check_damaged

from c2m_tf.presets import load_model
from c2m_tf.weights import read_npz
from c2m_tf.weights.checkpoints import CheckpointError, read_torch_checkpoint

LONG_RUN = int(os.environ.get("FUZZED_FILES", "20000"))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(tmp_path / "a.npz", kernel=np.ones((3, 3), np.float32), names=np.array(["x", "yz"]))
    check_damaged(tmp_path / "a.npz", read_npz, ValueError, 500)


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
    check_damaged(tmp_path / "a.pth", read_torch_checkpoint, CheckpointError, 300)


@pytest.mark.parametrize("number", [12, pytest.param(LONG_RUN // 40, marks=pytest.mark.slow)])
def test_keras(tmp_path, tiny, number):
    path = tmp_path / "m.keras"
    tiny.save(path)
    whole = path.read_bytes()
    check_damaged(path, load_model, ValueError, number)
    for end in range(0, len(whole), len(whole) // 5):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"m.keras cannot be loaded as a Keras model: \S+"):
            load_model(path)


@pytest.mark.parametrize("number", [12, pytest.param(LONG_RUN // 40, marks=pytest.mark.slow)])
def test_quantized_npz(tmp_path, tiny, number):
    pytest.importorskip("tensorflow")
    from c2m_tf.export.phone_network import PhoneNetwork
    from c2m_tf.export.quantization import load_quantized, save_quantized

    path = tmp_path / "q.npz"
    network = PhoneNetwork(tiny, quantized=True)
    for variable in network.variables:  # ranges among them, which a photo would set
        variable.assign(np.ones(variable.shape))
    save_quantized(network, path)
    check_damaged(path, load_quantized, ValueError, number)
    for config in ("[]", "{}", "null", '{"network": 3}'):
        np.savez(path, config=np.array(config))
        with pytest.raises(ValueError, match=r"q.npz holds no quantized network: \S+"):
            load_quantized(path)
