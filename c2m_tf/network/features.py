"""Feature extractors: the lower VGG stem, used three times.

The network looks at its two photos through VGG stems that all have the same seven layers (conv1_1 to conv3_1, two
2x2 max poolings, stride 4):

    contrastive extractor of the LR photo         image [B,H,W,3] -> conv3_1 *before* ReLU [B,H/4,W/4,256]
    contrastive extractor of the Ref photo        the same layers, its own weights
    reference encoder                             image [B,H,W,3] -> relu1_1 [B,H,W,64], relu2_1 [B,H/2,W/2,128],
                                                  relu3_1 [B,H/4,W/4,256]

Images are RGB in [0, 1]; the ImageNet normalisation is part of the network. Heights and widths must be multiples of 4.
Source: C2-Matching (CVPR 2021), section 3.2 and supplementary Table 1.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from c2m_tf.network.tensors import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The stem's convolutions; a 2x2 max pooling comes before conv2_1 and conv3_1.
STEM_CONVOLUTIONS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
STEM_CHANNELS = (64, 128, 256)  # of VGG's stages: relu1_1, relu2_1 and relu3_1


def contrastive_extractor(name: str, dtype: Any = None, stem_channels: Sequence[int] = STEM_CHANNELS) -> keras.Model:
    """VGG stem that describes each 4x4 cell of an image by 256 numbers for matching.

    Args:
        name: name of the model, also the first part of its variables' paths.
        dtype: dtype policy of the layers, e.g. "float32" or "mixed_bfloat16".
        stem_channels: of the three stages of convolutions; VGG's by default.

    Returns:
        keras.Model: image [B,H,W,3] in [0, 1] -> conv3_1 before its ReLU, [B,H/4,W/4,256]. 555,328 parameters.

    Raises:
        ValueError: channels that are no three multiples of 8.
    """
    with keras.name_scope(name):
        image, _, conv3_1 = _stem(dtype, stem_channels)
    return keras.Model(image, conv3_1, name=name)


def reference_encoder(
    levels: Sequence[str] = ("relu1_1", "relu2_1", "relu3_1"),
    name: str = "reference_encoder",
    dtype: Any = None,
    stem_channels: Sequence[int] = STEM_CHANNELS,
) -> keras.Model:
    """VGG stem whose activations carry the reference's texture.

    Args:
        levels: the activations to return; layers beyond the deepest are not built.
        name: name of the model.
        dtype: dtype policy of the layers.
        stem_channels: as of `contrastive_extractor`.

    Returns:
        keras.Model: image [B,H,W,3] in [0, 1] -> dict of those of "relu1_1" [B,H,W,64], "relu2_1"
        [B,H/2,W/2,128], "relu3_1" [B,H/4,W/4,256]. 555,328 parameters down to relu3_1, 112,576 down to relu2_1.
    """
    with keras.name_scope(name):
        image, activations, conv3_1 = _stem(dtype, stem_channels)
    activations["relu3_1"] = layers.ReLU(name="relu3_1", dtype=dtype)(conv3_1)
    return keras.Model(image, {level: activations[level] for level in levels}, name=name)


def check_stem_channels(channels: Sequence[int]) -> None:
    """Raises ValueError unless these are three multiples of 8, as many as the aggregations have groups."""
    if len(channels) != 3 or not all(isinstance(number, int) and number > 0 and number % 8 == 0 for number in channels):
        raise ValueError(f"stem_channels are {list(channels)}, expected are three multiples of 8, such as 64, 128, 256")


def _stem(dtype: Any, stem_channels: Sequence[int]) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Input, {relu name: activation} and conv3_1 before its ReLU."""
    check_stem_channels(stem_channels)
    image = keras.Input((None, None, 3), name="image")
    features = ImageNetNormalization(name="normalization", dtype=dtype)(image)
    activations = {}
    for name in STEM_CONVOLUTIONS:
        width = stem_channels[int(name[len("conv")]) - 1]
        if name in ("conv2_1", "conv3_1"):
            features = layers.MaxPooling2D(2, data_format="channels_last", name=f"pool_before_{name}", dtype=dtype)(features)
        features = layers.Conv2D(width, 3, padding="same", data_format="channels_last", name=name, dtype=dtype)(features)
        if name != "conv3_1":
            relu = name.replace("conv", "relu")
            features = layers.ReLU(name=relu, dtype=dtype)(features)
            activations[relu] = features
    return image, activations, features


@keras.saving.register_keras_serializable("c2m_tf")
class ImageNetNormalization(layers.Layer):
    """(image - mean) / std per RGB channel, for images in [0, 1]; computed in float32, then cast."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def call(self, image: Tensor) -> Tensor:
        image = keras.ops.cast(image, "float32")
        normalized = (image - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
        return keras.ops.cast(normalized, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config()


def perceptual_stem(layer: str = "relu5_1", dtype: Any = None) -> keras.Model:
    """VGG-19 from the image up to a named activation, for the perceptual loss (paper, section 3.4).

    Args:
        layer: "reluA_B" with A the stage, 1 to 5, and B the convolution in it (1 to 2 in stages 1 and 2, else 1 to 4).
        dtype: dtype policy of the layers.

    Returns:
        keras.Model: image [B,H,W,3] in [0, 1] -> that activation.

    Raises:
        ValueError: no such activation in VGG-19.
    """
    stages = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
    names = [f"relu{s}_{c}" for s, (_, count) in enumerate(stages, 1) for c in range(1, count + 1)]
    if layer not in names:
        raise ValueError(f"VGG-19 has no activation {layer!r}; choose one of {', '.join(names)}")
    image = keras.Input((None, None, 3), name="image")
    features = ImageNetNormalization(name="normalization", dtype=dtype)(image)
    for name in names[: names.index(layer) + 1]:
        stage, position = (int(part) for part in name.removeprefix("relu").split("_"))
        if position == 1 and stage > 1:
            pool = layers.MaxPooling2D(2, data_format="channels_last", name=f"pool_before_conv{stage}_1", dtype=dtype)
            features = pool(features)
        convolution = layers.Conv2D(
            stages[stage - 1][0], 3, padding="same", data_format="channels_last", name=name.replace("relu", "conv"), dtype=dtype
        )
        features = layers.ReLU(name=name, dtype=dtype)(convolution(features))
    return keras.Model(image, features, name="perceptual_stem")
