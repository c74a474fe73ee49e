"""The photograph as a painter lays it in first: in dabs that end at its edges, and with more contrast."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.data.geometry import LUMA
from keras_gen.layers.cut import cut
from keras_gen.layers.patterns import size_of

_DIRECTIONS = 8
# A dab is a blur, by a normal distribution of this deviation, and a mean of 3x3 pixels to one side: weighted
# by a normal distribution with this middle, and these deviations along and across.
_BLUR, _OFFSET, _LONG, _WIDE = 0.85, 0.9, 0.9, 0.45
_NOISE_VARIANCE = 2.5e-4  # that of two levels of 255: below it dabs count alike
_SHARPNESS = 4  # the power of the variance by which they count
# Squares of so many pixels, and so many of them, twice, in the mean that contrast is relative to.
_SQUARE, _AROUND = 8, 7


@keras.saving.register_keras_serializable(package="keras_gen")
class Underpainting2D(keras.layers.Layer):
    """Dabs in place of grain, by a Kuwahara filter, and more local contrast, by unsharp masking.

    A pixel's colour becomes that of round dabs beside it, in eight directions, each weighted by the inverse
    of the fourth power of the variance of its brightness: those that lie across an edge hardly count. Further
    coats do the same with what is there, by which dabs grow and edges stay. Then the brightness of each pixel
    is moved away from the mean around it, of 56 pixels at half of its height and 112 in all, the less the
    nearer it is to black or white. A network paints this more boldly than it does the photograph itself,
    whose grain it follows.

    It has no weights, and computes in float32 whatever the policy, for variances of small numbers.

    Args:
        contrast: how far brightness is moved where it is medium, relative to its distance from the mean
            around it, at least 0.
        coats: how many times dabs are laid, at least 1.
        **kwargs: arguments of `keras.layers.Layer`.

    Input and output shape: `(batch, height, width, 3)` in [-1, 1], sides multiples of 8.

    Raises:
        ValueError: a contrast below 0, coats out of range, or images of other channels or sides.

    Reference: Artistic Edge and Corner Enhancing Smoothing, 2007, IEEE Transactions on Image Processing 16
    (doi:10.1109/TIP.2007.903912), whose dabs are sectors of a disc.
    """

    def __init__(self, contrast: float = 0.7, coats: int = 1, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not 0 <= contrast < math.inf:
            raise ValueError(f"contrast must be at least 0; received {contrast}.")
        if not isinstance(coats, (int, np.integer)) or coats < 1:
            raise ValueError(f"coats must be a whole number of at least 1; received {coats}.")
        self.contrast, self.coats = float(contrast), int(coats)

    def call(self, inputs: Any) -> Any:
        shape = tuple(inputs.shape[1:])
        if shape[-1] != 3 or any(side is not None and side % _SQUARE for side in shape[:2]):
            raise ValueError(f"Images must be of 3 channels, and sides multiples of 8; received {shape}.")
        around = tf.nn.avg_pool2d(_luma(inputs), _SQUARE, _SQUARE, "VALID")
        for _ in range(2):
            around = tf.nn.avg_pool2d(around, _AROUND, 1, "SAME")
        around = tf.image.resize(around, size_of(inputs))
        dabs, brightness = inputs, _luma(inputs)
        for _ in range(self.coats):
            dabs = _dabs(dabs, brightness - around)
            brightness = _luma(dabs)
        # Least where there is no room left, so that eyes in a shadow stay.
        moved = self.contrast * (1 - tf.square(brightness)) * (brightness - around)
        return tf.clip_by_value(dabs + moved, -1.0, 1.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "contrast": self.contrast, "coats": self.coats}


def _luma(images: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(images, tf.reshape(tf.constant(LUMA), (1, 1, 3, 1)), 1, "VALID")


def _dabs(images: tf.Tensor, brightness: tf.Tensor) -> tf.Tensor:
    """Each pixel of the colour of the dabs beside it whose brightness varies least.

    Args:
        images: (batch, height, width, 3).
        brightness: up to what hardly changes, so that its squares are small: (batch, height, width, 1).
    """
    planes = _widened(tf.concat([images, brightness, tf.square(brightness)], -1), 3)
    blur = np.exp(-np.square(np.arange(-2, 3) / _BLUR) / 2).astype(np.float32)
    blur /= blur.sum()
    planes = _filtered(_filtered(planes, blur[:, None, None]), blur[None, :, None])
    kernels = _kernels()
    # First the weights, then the colours: all at once would take twice the memory.
    mean, square = _parts(_filtered(planes[..., 3:], kernels))
    variance = tf.nn.relu(square - tf.square(mean)) + _NOISE_VARIANCE
    # Powers by logarithms: in files of 8 or 16 bits they would be zeros, which to divide by is an error.
    weights = tf.nn.softmax(-_SHARPNESS * tf.math.log(variance))
    colours = _parts(_filtered(planes[..., :3], kernels))
    return tf.concat([tf.reduce_sum(weights * each, -1, keepdims=True) for each in colours], -1)


def _widened(images: tf.Tensor, border: int) -> tf.Tensor:
    """Images with the outermost pixels repeated, by operators that delegates of TFLite take."""
    for axis in (1, 2):
        height, width = size_of(images)
        if axis == 1:
            first, last = cut(images, 0, 0, 1, width), cut(images, height - 1, 0, 1, width)
        else:
            first, last = cut(images, 0, 0, height, 1), cut(images, 0, width - 1, height, 1)
        images = tf.concat([*[first] * border, images], axis)
        images = tf.concat([images, *[last] * border], axis)
    return images


def _filtered(planes: tf.Tensor, kernels: np.ndarray) -> tf.Tensor:
    """Each plane by each of the kernels (height, width, n), one plane's after the other's.

    A depthwise convolution, whose weights stay in float in files of 8 bits.
    """
    kernels = np.repeat(kernels[:, :, None], planes.shape[-1], axis=2)
    return tf.nn.depthwise_conv2d(planes, tf.constant(kernels), (1, 1, 1, 1), "VALID")


def _parts(planes: tf.Tensor) -> list[tf.Tensor]:
    """What `_filtered` made of each plane, by slices, which delegates of TFLite take."""
    return [planes[..., i : i + _DIRECTIONS] for i in range(0, planes.shape[-1], _DIRECTIONS)]


def _kernels() -> np.ndarray:
    """Means to one side, in each direction, of sum 1: (3, 3, directions)."""
    down, right = np.mgrid[-1:2, -1:2]
    angle = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    along = right[..., None] * np.cos(angle) + down[..., None] * np.sin(angle)
    across = down[..., None] * np.cos(angle) - right[..., None] * np.sin(angle)
    kernels = np.exp(-np.square((along - _OFFSET) / _LONG) / 2 - np.square(across / _WIDE) / 2)
    return (kernels / kernels.sum((0, 1))).astype(np.float32)
