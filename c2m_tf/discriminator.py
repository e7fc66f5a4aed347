"""The critic of adversarial training: how real does a photo look?

Five blocks of two 3x3 convolutions, the second of stride 2, then a global mean and two 1x1 convolutions.

The published code differs from its paper: it normalises with BatchNorm and ends in a sigmoid, although WGAN-GP
(Gulrajani et al., 2017, section 4) wants neither, because the gradient penalty is per image and the critic's value
unbounded. The default here is the paper's form; `published=True` builds the code's, for comparison with its checkpoints.

Source: C2-Matching (CVPR 2021), section 3.4; released configuration (64x64 crops and larger work alike).
"""

import keras
from keras import layers

WIDTHS = (32, 64, 128, 256, 512)
LEAKY_SLOPE = 0.2
PUBLISHED_PARAMETERS = 5_242_529


def discriminator(published=False, name="discriminator", dtype=None):
    """Builds the critic.

    Args:
        published: BatchNorm after each convolution of the blocks and a final sigmoid, as in the released code
            (5,242,529 trainable parameters); otherwise neither.
        name: name of the model.
        dtype: dtype policy of the layers.

    Returns:
        keras.Model: photo [B,H,W,3] in [0, 1] -> float [B,1], higher for more real.
    """
    normal = keras.initializers.RandomNormal(stddev=0.02)
    photo = keras.Input((None, None, 3), name="photo")

    def convolution(features, filters, kernel, stride, layer_name):
        # Padding is explicit because "same" pads stride-2 convolutions of even sizes on one side only.
        if kernel == 3:
            features = layers.ZeroPadding2D(1, name=f"{layer_name}_pad", dtype=dtype)(features)
        return layers.Conv2D(
            filters, kernel, stride, kernel_initializer=normal.clone(), name=layer_name, dtype=dtype
        )(features)

    features = photo
    for block, width in enumerate(WIDTHS, 1):
        for position, stride in ((0, 1), (3, 2)):
            features = convolution(features, width, 3, stride, f"conv_block{block}_{position}")
            if published:
                features = layers.BatchNormalization(
                    momentum=0.9,
                    epsilon=1e-5,
                    gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02),
                    name=f"conv_block{block}_{position + 1}",
                    dtype=dtype,
                )(features)
            features = layers.LeakyReLU(LEAKY_SLOPE, name=f"conv_block{block}_{position + 2}", dtype=dtype)(features)
    features = layers.GlobalAveragePooling2D(keepdims=True, name="out_block_0", dtype=dtype)(features)
    features = convolution(features, 1024, 1, 1, "out_block_1")
    features = layers.LeakyReLU(LEAKY_SLOPE, name="out_block_2", dtype=dtype)(features)
    value = convolution(features, 1, 1, 1, "out_block_3")
    value = layers.Flatten(name="value", dtype="float32")(value)
    if published:
        value = layers.Activation("sigmoid", name="out_block_4", dtype="float32")(value)
    return keras.Model(photo, value, name=name)
