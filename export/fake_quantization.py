"""Fake quantization: layers that round activations and kernels to the 256 values that int8 will have.

Ranges are weights that do not train: calibration finds them, training keeps them. Gradients pass straight through the rounding,
and are zero where a value lies outside its range. The converter reads scale and zero point of each tensor off these layers.

Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference (CVPR 2018).
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

STRIPS = 4  # of a large photo, in a batch (`in_strips`)
DIVIDED_PIXELS = 128 * 128


@keras.saving.register_keras_serializable("c2m_tf.export")
class ActivationRange(layers.Layer):
    """Rounds a tensor to 256 values between its smallest and its largest value.

    Args:
        fixed: (low, high) where they are known, e.g. of pixels; None to find them by calibration.

    Attributes:
        observing: while True, which needs eager execution, tensors pass unchanged and widen the range.
    """

    def __init__(self, fixed: tuple[float, float] | None = None, **kwargs: Any) -> None:
        super().__init__(autocast=False, dtype="float32", **kwargs)
        self.fixed = fixed
        self.observing = False

    def build(self, input_shape) -> None:
        low, high = self.fixed or (0.0, 0.0)
        self.low = self.add_weight(shape=(), initializer=keras.initializers.Constant(low), trainable=False, name="low")
        self.high = self.add_weight(shape=(), initializer=keras.initializers.Constant(high), trainable=False, name="high")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if self.observing:
            if self.fixed is None:
                self.low.assign(tf.minimum(self.low.value, tf.reduce_min(x)))
                self.high.assign(tf.maximum(self.high.value, tf.reduce_max(x)))
            return x
        return tf.quantization.fake_quant_with_min_max_vars(x, self.low.value, self.high.value)

    def compute_output_shape(self, input_shape) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["dtype"]
        return {**config, "fixed": self.fixed}


@keras.saving.register_keras_serializable("c2m_tf.export")
class QuantizedConv2D(layers.Conv2D):
    """Conv2D whose kernel is rounded to 255 values between minus and plus the largest magnitude of each filter."""

    def build(self, input_shape) -> None:
        super().build(input_shape)
        self.limit = self.add_weight(shape=(self.filters,), initializer="zeros", trainable=False, name="limit")

    def save_own_variables(self, store: Any) -> None:
        # Conv2D stores kernel and bias alone.
        for variable in self.variables:
            store[variable.name] = variable

    def load_own_variables(self, store: Any) -> None:
        for variable in self.variables:
            variable.assign(store[variable.name])

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.kernel_size != (3, 3) or self.padding != "same" or not is_divided(inputs.shape):
            return super().call(inputs)
        batch, height, width, _ = inputs.shape
        kernel = rounded_kernel(self.kernel, self.limit)
        outputs = self.activation(tf.nn.conv2d(in_strips(inputs), kernel, 1, "VALID") + self.bias.value)
        return tf.reshape(outputs, (batch, height, width, self.filters))

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return super().convolution_op(inputs, rounded_kernel(kernel, self.limit))


def is_divided(shape: tf.TensorShape) -> bool:
    """Whether a photo of that shape [B,h,w,C] goes through 3x3 convolutions as a batch of strips (`in_strips`)."""
    return shape[0] == 1 and None not in shape and shape[1] * shape[2] >= DIVIDED_PIXELS and shape[1] % STRIPS == 0


def in_strips(photo: tf.Tensor) -> tf.Tensor:
    """A photo [1,h,w,C] as a batch of overlapping strips [STRIPS,h/STRIPS+2,w+2,C] with the zeros around it.

    A 3x3 convolution of these that adds no zeros gives the photo's rows in order. XNNPACK keeps nine addresses for each pixel
    of one photo of a batch, for each convolution, as long as the interpreter lives: most of its memory.
    """
    rows = photo.shape[1] // STRIPS
    padded = tf.pad(photo, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return tf.concat([padded[:, start * rows : (start + 1) * rows + 2] for start in range(STRIPS)], axis=0)


def rounded_kernel(kernel: Any, limit: keras.Variable) -> tf.Tensor:
    """Kernel [..., filters] rounded to 255 values between -limit and limit [filters]."""
    kernel = tf.convert_to_tensor(kernel)
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(kernel, -limit.value, limit.value, narrow_range=True)


def kernel_limit(kernel: np.ndarray) -> np.ndarray:
    """Largest magnitude of each filter of a kernel [..., filters], and a little where a filter is all zeros."""
    return np.maximum(np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0), 1e-6)
