"""VGG-19 from arrays of Keras."""

import keras
import numpy as np
import pytest

from c2m_tf import C2Matching
from c2m_tf.weights import checkpoints
from c2m_tf.weights.arrays import read_vgg


def test_keras_vgg_arrays_give_the_same_features_up_to_scale(rng, tmp_path):
    shapes = {"conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128), "conv2_2": (128, 128), "conv3_1": (128, 256)}
    arrays = {}
    for layer, (channels, filters) in shapes.items():
        arrays[f"{layer}_W"] = (rng.standard_normal((3, 3, channels, filters)) / (9 * channels) ** 0.5).astype(np.float32)
        arrays[f"{layer}_b"] = rng.standard_normal(filters).astype(np.float32)
    np.savez(tmp_path / "vgg.npz", **arrays)
    model = C2Matching.light()
    checkpoints.load_reference_encoder(model, read_vgg(tmp_path / "vgg.npz"))

    photo = rng.random((1, 12, 12, 3), np.float32)
    features = photo[..., ::-1] * 255 - np.float32([103.939, 116.779, 123.68])
    ops = keras.ops
    features = ops.relu(ops.conv(features, arrays["conv1_1_W"], padding="same") + arrays["conv1_1_b"])
    ours = model.reference_encoder(photo)["relu1_1"] * 39.0
    # At the border both pad with zeros, but zero is another colour before and after the folding.
    np.testing.assert_allclose(ours[:, 1:-1, 1:-1], features[:, 1:-1, 1:-1], rtol=1e-4, atol=1e-3)


def test_files_without_vgg_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", kernel=np.zeros(3))
    with pytest.raises(checkpoints.CheckpointError, match="lack conv1_1, conv1_2"):
        read_vgg(tmp_path / "other.npz")
    for content in (b"text", b"PK\x03\x04 broken zip", b""):
        (tmp_path / "damaged.npz").write_bytes(content)
        with pytest.raises(checkpoints.CheckpointError, match=r"not an \.npz file of arrays"):
            read_vgg(tmp_path / "damaged.npz")
    with pytest.raises(FileNotFoundError, match="do not exist"):
        read_vgg(tmp_path / "nothing.npz")
