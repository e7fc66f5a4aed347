"""Arrays out of files that nobody vouches for: .npz, PyTorch checkpoints, and VGG-19's from where they are found."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from c2m_tf.network.features import IMAGENET_MEAN, IMAGENET_STD, STEM_CONVOLUTIONS
from c2m_tf.startup import first_line
from c2m_tf.weights import read_npz

# Position of each convolution in torchvision's `vgg19().features` (and vgg16's, which is the same up to conv3_1).
TORCHVISION_STEM = {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10}
TORCHVISION_VGG19 = TORCHVISION_STEM | {
    "conv3_2": 12,
    "conv3_3": 14,
    "conv3_4": 16,
    "conv4_1": 19,
    "conv4_2": 21,
    "conv4_3": 23,
    "conv4_4": 25,
    "conv5_1": 28,
    "conv5_2": 30,
    "conv5_3": 32,
    "conv5_4": 34,
}
_CAFFE_BGR_MEAN = (103.939, 116.779, 123.68)
# Root mean square of the activations of Oxford's weights over 40 natural photos, two digits (see `_from_keras`).
_CAFFE_ACTIVATION_SCALE = {
    "conv1_1": 39.0,
    "conv1_2": 170.0,
    "conv2_1": 190.0,
    "conv2_2": 220.0,
    "conv3_1": 220.0,
    "conv3_2": 240.0,
    "conv3_3": 420.0,
    "conv3_4": 700.0,
}


class CheckpointError(ValueError):
    """A checkpoint's names or shapes are not those of the network that it is meant for."""


def read_torch_checkpoint(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Arrays of a .pth file, by name, without the prefix "module." that training on several GPUs leaves.

    Args:
        path: file written by `torch.save`, a dict of tensors, or one under the key "state_dict", "params", or "model" and "sd".

    Returns:
        dict of name -> numpy array.

    Raises:
        FileNotFoundError: no such file.
        ImportError: PyTorch is not installed.
        CheckpointError: the file is not a dict of tensors, or holds objects that could run code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist")
    try:
        import torch
    except ImportError as error:
        raise ImportError('reading .pth files needs PyTorch; install it by: pip install "c2m-tf[torch]"') from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        for key in ("state_dict", "params", "model", "sd"):
            if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
                loaded = loaded[key]
        if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
            raise CheckpointError(f"{path} holds no dict of tensors; give a state_dict saved by torch.save")
        return {str(name).removeprefix("module."): value.float().numpy() for name, value in loaded.items()}
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file may raise anything: a pickle is a program
        raise CheckpointError(f"{path} is not a PyTorch checkpoint of plain tensors: {first_line(error)}") from error


def read_vgg(source: str | os.PathLike) -> dict[str, np.ndarray]:
    """VGG-19 arrays under torchvision's names, from any of three sources.

    Args:
        source: "keras" for `keras.applications` (downloads on first use), a .pth file of torchvision, or an .npz file of the
            Keras arrays (`<layer>_W` HWIO and `<layer>_b`, for BGR input in 0..255 less the Caffe mean).

    Returns:
        dict of torchvision name -> array (kernels OIHW). The Keras weights are Oxford's original ones: they suit training, but
        published restoration checkpoints were trained with torchvision's.

    Raises:
        FileNotFoundError, ImportError, CheckpointError: see `checkpoints.read_torch_checkpoint`.
    """
    if source == "keras":
        return _from_keras(_download_keras_vgg())
    path = Path(source)
    if path.suffix != ".npz":
        return read_torch_checkpoint(path)
    if not path.is_file():
        raise FileNotFoundError(f"VGG weights {path} do not exist")
    try:
        arrays = read_npz(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    return _from_keras(arrays)


def _download_keras_vgg() -> dict[str, np.ndarray]:
    from keras.applications import VGG19

    arrays = {}
    for layer in VGG19(include_top=False).layers:
        if layer.weights:
            name = layer.name.replace("block", "conv").replace("_conv", "_", 1)
            arrays[f"{name}_W"], arrays[f"{name}_b"] = layer.get_weights()
    return arrays


def _from_keras(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Keras's VGG-19 arrays as torchvision would store them.

    The Caffe preprocessing (BGR, 0..255, mean subtracted) is folded into conv1_1. Activations stay 20 to 300 times larger than
    torchvision's; ReLU is homogeneous, so each convolution up to conv3_4 is scaled to bring its output to a root mean
    square near 1 for natural photos, and the next one's kernel makes up for it.
    """
    state: dict[str, Any] = {}
    scale_in = 1.0
    for layer, index in TORCHVISION_VGG19.items():
        if f"{layer}_W" not in arrays:
            break
        kernel, bias = (arrays[f"{layer}_{kind}"].astype(np.float64) for kind in "Wb")
        if layer == "conv1_1":
            kernel = kernel[:, :, ::-1]  # input channels BGR -> RGB
            mean = np.array(IMAGENET_MEAN) * 255.0 - np.array(_CAFFE_BGR_MEAN[::-1])
            bias = bias + np.einsum("hwio,i->o", kernel, mean)
            kernel = kernel * (255.0 * np.array(IMAGENET_STD))[:, None]
        scale_out = _CAFFE_ACTIVATION_SCALE.get(layer, 1.0)
        state[f"features.{index}.weight"] = np.float32(kernel.transpose(3, 2, 0, 1) * (scale_in / scale_out))
        state[f"features.{index}.bias"] = np.float32(bias / scale_out)
        scale_in = scale_out
    missing = [name for name in STEM_CONVOLUTIONS if f"features.{TORCHVISION_STEM[name]}.weight" not in state]
    if missing:
        raise CheckpointError(f"the VGG arrays lack {', '.join(missing)}; expected keys are <layer>_W and <layer>_b")
    return state
