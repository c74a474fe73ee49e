"""Conditional instance normalization: one scale and offset for every style, or any blend of them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_gen.layers import fused_normalization
from keras_gen.layers.instance_statistics import spatial_moments


@keras.saving.register_keras_serializable(package="keras_gen")
class ConditionalInstanceNormalization(keras.layers.Layer):
    """Instance normalization whose scale and offset are the style's.

    `y = (x - mean) / sqrt(variance + epsilon) * (w @ gamma) + w @ beta`, with the mean and (biased) variance
    of one channel of one sample, and `w` the weights of the styles: one-hot for a single style, anything that
    sums to one for a blend, or a code that a network makes of a painting. A network of such layers holds many
    styles in shared convolutions.

    Two means and one `rsqrt`, as in `InstanceNormalization`: it converts to a handful of built-in TFLite
    operators, and in training in bfloat16 is one kernel. Under `mixed_bfloat16` statistics, gamma and beta
    are float32 and only the result is rounded. Within an `InstanceStatistics` block the statistics are those
    that it gives.

    Args:
        styles: number of styles.
        epsilon: positive number added to the variance.
        **kwargs: arguments of `keras.layers.Layer`.

    Inputs: two tensors, `(batch, height, width, channels)` and the weights `(batch, styles)`. Output shape:
    that of the first.

    Raises:
        ValueError: styles below one, epsilon not positive, or inputs of other shapes.

    Reference: A Learned Representation For Artistic Style, 2017, arXiv:1610.07629.
    """

    def __init__(self, styles: int, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # weights that are no ones and zeros would be rounded
        if styles < 1 or not epsilon > 0:
            raise ValueError(
                f"styles must be at least 1 and epsilon above zero; received {styles} and {epsilon}."
            )
        self.styles, self.epsilon = int(styles), float(epsilon)

    def build(self, input_shape: Any) -> None:
        shapes = list(input_shape)
        if len(shapes) != 2 or len(shapes[0]) != 4 or tuple(shapes[1])[1:] != (self.styles,):
            raise ValueError(
                "ConditionalInstanceNormalization takes [images (batch, height, width, channels), weights "
                f"(batch, {self.styles})]; received {shapes}."
            )
        shape = (self.styles, shapes[0][-1])
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", autocast=False)
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", autocast=False)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        images, weights = inputs
        weights = ops.cast(weights, "float32")
        gamma, beta = ops.matmul(weights, self.gamma), ops.matmul(weights, self.beta)
        if training and fused_normalization.fits(images, self.compute_dtype):
            return fused_normalization.normalized(images, gamma, beta, self.epsilon)
        x = ops.cast(images, "float32")
        mean, variance = spatial_moments(x)
        gamma, beta = ops.expand_dims(gamma, (1, 2)), ops.expand_dims(beta, (1, 2))
        # One product and one sum over the image, where (x - mean) * scale + beta is three passes.
        scale = ops.rsqrt(variance + self.epsilon) * gamma
        return ops.cast(x * scale + (beta - mean * scale), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "styles": self.styles, "epsilon": self.epsilon}
