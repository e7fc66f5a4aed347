"""The critic of adversarial training: how real does a photo look?

Five blocks of two 3x3 convolutions, the second of stride 2, then a global mean and two 1x1 convolutions.

The published code differs from its paper: it normalises with BatchNorm and ends in a sigmoid, although WGAN-GP
(Gulrajani et al., 2017, section 4) uses neither, because the gradient penalty is per image and the critic's value
unbounded. The default here is the paper's form; `published=True` builds the code's, for comparison with its checkpoints.

Source: C2-Matching (CVPR 2021), section 3.4; released configuration (for crops of 64x64 pixels and larger).
"""

from typing import Any

import keras
from keras import layers, ops

from c2m_tf.network.tensors import Tensor

WIDTHS = (32, 64, 128, 256, 512)
LEAKY_SLOPE = 0.2
PUBLISHED_PARAMETERS = 5_242_529


def discriminator(published: bool = False, name: str = "discriminator", dtype: Any = None) -> keras.Model:
    """Builds the critic.

    Args:
        published: BatchNorm after each convolution of the blocks and a final sigmoid, as in the released code
            (5,242,529 trainable parameters); otherwise neither.
        name: name of the model.
        dtype: dtype policy of the layers.

    Returns:
        keras.Model: photo [B,H,W,3] in [0, 1] -> float [B,1], higher for more real.
    """
    # Without normalisation, N(0, 0.02) would shrink the value a thousandfold over the ten convolutions, and the critic's first
    # hundreds of steps would go into nothing but growing.
    normal = keras.initializers.RandomNormal(stddev=0.02) if published else keras.initializers.HeNormal()
    photo = keras.Input((None, None, 3), name="photo")

    def convolution(features: Tensor, filters: int, kernel: int, stride: int, layer_name: str) -> Tensor:
        # Padding is explicit because "same" pads stride-2 convolutions of even sizes on one side only.
        if kernel == 3:
            features = layers.ZeroPadding2D(1, data_format="channels_last", name=f"{layer_name}_pad", dtype=dtype)(features)
        return layers.Conv2D(
            filters,
            kernel,
            stride,
            data_format="channels_last",
            kernel_initializer=normal.clone(),
            name=layer_name,
            dtype=dtype,
        )(features)

    features = photo
    for block, width in enumerate(WIDTHS, 1):
        for position, stride in ((0, 1), (3, 2)):
            features = convolution(features, width, 3, stride, f"conv_block{block}_{position}")
            if published:
                normalization = TwiceDifferentiableBatchNormalization(name=f"conv_block{block}_{position + 1}", dtype=dtype)
                features = normalization(features)
            features = layers.LeakyReLU(LEAKY_SLOPE, name=f"conv_block{block}_{position + 2}", dtype=dtype)(features)
    features = layers.GlobalAveragePooling2D(data_format="channels_last", keepdims=True, name="out_block_0", dtype=dtype)(
        features
    )
    features = convolution(features, 1024, 1, 1, "out_block_1")
    features = layers.LeakyReLU(LEAKY_SLOPE, name="out_block_2", dtype=dtype)(features)
    value = convolution(features, 1, 1, 1, "out_block_3")
    value = layers.Flatten(name="value", dtype="float32")(value)
    if published:
        value = layers.Activation("sigmoid", name="out_block_4", dtype="float32")(value)
    return keras.Model(photo, value, name=name)


@keras.saving.register_keras_serializable("c2m_tf")
class TwiceDifferentiableBatchNormalization(layers.Layer):
    """Batch normalisation over [B,H,W,C] whose second derivative is right too, as the gradient penalty needs.

    On TensorFlow, `keras.layers.BatchNormalization` takes its variance around a mean that is held constant. That leaves the
    gradient correct, but not the gradient of the gradient: the penalty's gradient came out 2 % off the published one.
    Momentum 0.9 and epsilon 1e-5, as PyTorch's defaults; scales start at N(1, 0.02).
    """

    MOMENTUM = 0.9
    EPSILON = 1e-5

    def build(self, input_shape: tuple) -> None:
        shape = (input_shape[-1],)
        around_one = keras.initializers.RandomNormal(1.0, 0.02)
        self.gamma = self.add_weight(shape=shape, initializer=around_one, name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.moving_mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(shape=shape, initializer="ones", trainable=False, name="moving_variance")

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        if not training:
            return self._normalized(features - self.moving_mean, self.moving_variance)
        mean = ops.mean(features, axis=(0, 1, 2))
        centred = features - mean
        variance = ops.mean(ops.square(centred), axis=(0, 1, 2))
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.MOMENTUM + ops.stop_gradient(batch) * (1.0 - self.MOMENTUM))
        return self._normalized(centred, variance)

    def _normalized(self, centred: Tensor, variance: Tensor) -> Tensor:
        return centred * (self.gamma * ops.rsqrt(variance + self.EPSILON)) + self.beta
