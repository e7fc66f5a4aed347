"""A small set of training photos and random VGG weights, as the smoke recipes expect them."""

from pathlib import Path

import numpy as np
from skimage import data

from c2m_tf.photos import images

# Names and widths of the VGG-19 convolutions that are stored.
_CONVOLUTIONS = {
    "conv1_1": (3, 64),
    "conv1_2": (64, 64),
    "conv2_1": (64, 128),
    "conv2_2": (128, 128),
    "conv3_1": (128, 256),
}


def make(root: Path) -> Path:
    """Writes data/cufed, data/single, data/teacher, data/pairs and weights/vgg19.npz under `root`."""
    photos = [data.astronaut(), data.chelsea(), data.coffee()]
    for folder in ("data/cufed/input", "data/cufed/ref", "data/single", "data/teacher", "data/pairs", "weights"):
        (root / folder).mkdir(parents=True)
    for number, photo in enumerate(photos):
        images.write(root / f"data/cufed/input/{number:03}.png", photo[60:220, 60:220])
        images.write(root / f"data/cufed/ref/{number:03}.png", photo[66:226, 54:214])
        images.write(root / f"data/single/photo{number}.png", photo[:240, :260])
        images.write(root / f"data/teacher/photo{number}.png", images.upsample(images.downsample(photo[:240, :260])))
    for group, photo in enumerate(photos[:2]):
        images.write(root / f"data/pairs/{group:03}_0.png", photo[100:148, 100:156])
        images.write(root / f"data/pairs/{group:03}_1.png", photo[104:152, 96:152])
    random = np.random.default_rng(0)
    arrays = {}
    for name, (inputs, outputs) in _CONVOLUTIONS.items():
        arrays[f"{name}_W"] = random.normal(0, (2 / (9 * inputs)) ** 0.5, (3, 3, inputs, outputs)).astype(np.float32)
        arrays[f"{name}_b"] = np.zeros(outputs, np.float32)
    np.savez(root / "weights/vgg19.npz", **arrays)
    return root
