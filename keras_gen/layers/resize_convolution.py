"""Nearest resize and convolution in one: up-sampling without a checkerboard, computed at the small size."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.layers.convolution_products import rounded
from keras_gen.layers.cut import cut
from keras_gen.layers.mirrored import mirrored
from keras_gen.layers.patterns import size_of


@keras.saving.register_keras_serializable(package="keras_gen")
class ResizeConvolution2D(keras.layers.Layer):
    """Nearest up-sampling by two, then a convolution of stride 1, as a convolution of the small image.

    Weights and results (to rounding) are those of `UpSampling2D(2)` and a `Conv2D` that keeps the size. The
    first only repeats pixels, so each of the four pixels that a small one becomes is a convolution of the
    small image, by a kernel whose taps are sums of the large one's: one convolution to four times the
    channels, and `depth_to_space`, for sizes 3, 7, 11, … between a pad and a cut by a pixel. No large image
    of many channels is ever made, and in TFLite all are built-in operators that XNNPACK runs. Every output
    pixel meets the same number of taps, so there is no checkerboard, as there is with transposed
    convolutions. `UpSamplingConv2D` is the same function by a transposed convolution.

    Args:
        filters: number of output channels.
        kernel_size: an odd whole number.
        kernel_initializer: initializer of the kernel.
        use_bias: whether a bias is added; a normalization would take it away again.
        padding: what lies beyond the border: "same", zeros; or "symmetric", the image mirrored, its border
            pixels included, so that no frame is seen.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, height, width, channels)`; output shape: `(batch, 2 height, 2 width, filters)`.

    Raises:
        ValueError: an even kernel_size, another padding, or images too small to mirror that far.

    Reference: Deconvolution and Checkerboard Artifacts, 2016, Distill (doi:10.23915/distill.00003).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        kernel_initializer: Any = "glorot_uniform",
        use_bias: bool = True,
        padding: str = "same",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kernel_size % 2 != 1:
            raise ValueError(f"kernel_size must be odd; received {kernel_size}.")
        if padding not in ("same", "symmetric"):
            raise ValueError(f'padding must be "same" or "symmetric"; received {padding!r}.')
        self.filters, self.kernel_size = int(filters), int(kernel_size)
        self.kernel_initializer, self.use_bias = keras.initializers.get(kernel_initializer), bool(use_bias)
        self.padding = padding

    def build(self, input_shape: Any) -> None:
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, input_shape[-1], self.filters),
            initializer=self.kernel_initializer,
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        kernel = tf.convert_to_tensor(self.kernel)
        # Along an axis: tap k of the large kernel meets small pixel s of the output pixel in place p.
        meets = tf.constant(_meeting(self.kernel_size), kernel.dtype)
        small = tf.einsum("psk,qtl,klio->stipqo", meets, meets, kernel)
        size, channels = meets.shape[1], kernel.shape[2]
        small = tf.reshape(small, (size, size, channels, 4 * self.filters))
        beyond = size // 2, size // 2
        if self.padding == "symmetric":
            inputs = mirrored(inputs, (beyond, beyond), symmetric=True, sliced=not training)
        elif size % 2 == 0:  # padded first: of explicit padding, gradients in bfloat16 take 16 times as long
            inputs = tf.pad(inputs, [(0, 0), beyond, beyond, (0, 0)])
        by_convolution = self.padding == "same" and size % 2
        outputs = rounded(tf.nn.conv2d)(inputs, small, 1, "SAME" if by_convolution else "VALID")
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.tile(tf.convert_to_tensor(self.bias), [4]))
        outputs = tf.nn.depth_to_space(outputs, 2)
        if size % 2:
            return outputs
        height, width = size_of(outputs)
        return cut(outputs, 1, 1, height - 2, width - 2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, _ = input_shape
        return batch, height and 2 * height, width and 2 * width, self.filters

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "use_bias": self.use_bias,
            "padding": self.padding,
        }


def _meeting(kernel_size: int) -> np.ndarray:
    """Ones (place 0 or 1, small pixel, tap of the large kernel) where these meet.

    Both pixels that a small one becomes meet half of the kernel's size, rounded up, of small pixels. Where
    that is even, the second pixel's begin one further than the first's: it takes place 0 of the next small
    one, so that nothing is multiplied by a zero, and the first and the last row and column are no pixels.
    """
    half = kernel_size // 2
    size = half + 1
    found = np.zeros((2, size, kernel_size), "float32")
    for pixel in range(2):
        first = (pixel - half) // 2
        for tap in range(kernel_size):
            found[(pixel + half) % 2, (pixel + tap - half) // 2 - first, tap] = 1
    return found
