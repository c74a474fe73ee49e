"""The photograph as a painter lays it in first: in dabs that follow its edges, and with more contrast."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.layers.patterns import size_of

_LUMA = (0.299, 0.587, 0.114)
_DIRECTIONS = 8
# Of a dab, in pixels: its middle, its standard deviations along and across, how far it is computed, and the
# standard deviation of the blur before that, by which its kernel need not be wide.
_OFFSET, _LONG, _WIDE, _REACH, _BLUR = 0.9, 0.9, 0.45, 1, 0.85
# Variance below which dabs count alike: that of two levels of 255.
_EVEN = 2.5e-4
# Squares of so many pixels, and so many of them, twice, in the mean that contrast is relative to.
_SQUARE, _AROUND = 8, 7


@keras.saving.register_keras_serializable(package="keras_gen")
class Underpainting2D(keras.layers.Layer):
    """Dabs in place of grain, by a Kuwahara filter, and more local contrast, by unsharp masking.

    A pixel's colour becomes that of the dabs beside it, in eight directions, each weighted by the inverse of
    the fourth power of the variance of its brightness: so a dab lies along an edge, not across. Then the
    brightness of each pixel is moved away from that around it, some 50 pixels wide. A network paints this
    more boldly than it does the photograph itself, whose grain it follows.

    It has no weights, and computes in float32 whatever the policy, for variances of small numbers.

    Args:
        contrast: how far brightness is moved, relative to its distance from that around it, at least 0.
        **kwargs: arguments of `keras.layers.Layer`.

    Input and output shape: `(batch, height, width, 3)` in [-1, 1], sides multiples of 8.

    Raises:
        ValueError: a contrast below 0.

    Reference: Artistic Edge and Corner Enhancing Smoothing, 2007, IEEE Transactions on Image Processing 16
    (doi:10.1109/TIP.2007.903912), whose sectors are eighths of a disc; dabs are narrower.
    """

    def __init__(self, contrast: float = 0.7, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not 0 <= contrast < math.inf:
            raise ValueError(f"contrast must be at least 0; received {contrast}.")
        self.contrast = float(contrast)

    def call(self, inputs: Any) -> Any:
        brightness = _luma(inputs)
        around = tf.nn.avg_pool2d(brightness, _SQUARE, _SQUARE, "VALID")
        for _ in range(2):
            around = tf.nn.avg_pool2d(around, _AROUND, 1, "SAME")
        around = tf.image.resize(around, size_of(inputs))
        dabs = _dabs(inputs, brightness - around)
        return tf.clip_by_value(dabs + self.contrast * (_luma(dabs) - around), -1.0, 1.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "contrast": self.contrast}


def _luma(images: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(images, tf.reshape(tf.constant(_LUMA), (1, 1, 3, 1)), 1, "VALID")


def _dabs(images: tf.Tensor, brightness: tf.Tensor) -> tf.Tensor:
    """Each pixel of the colour of the dabs beside it whose brightness varies least.

    Args:
        images: (batch, height, width, 3).
        brightness: up to what hardly changes, so that its squares are small: (batch, height, width, 1).
    """
    planes = tf.concat([images, brightness, tf.square(brightness)], -1)
    border = _REACH + len(_blur()) // 2
    planes = tf.pad(planes, [(0, 0), (border, border), (border, border), (0, 0)], "SYMMETRIC")
    planes = _filtered(_filtered(planes, _blur()[:, None, None]), _blur()[None, :, None])
    # First the weights, then the colours: all at once would take twice the memory.
    mean, square = _parts(_filtered(planes[..., 3:], _kernels()))
    steady = _EVEN / (tf.nn.relu(square - tf.square(mean)) + _EVEN)
    weight = tf.square(tf.square(steady))
    colours = _parts(_filtered(planes[..., :3], _kernels()))
    sums = [tf.reduce_sum(weight * each, -1, keepdims=True) for each in colours]
    return tf.concat(sums, -1) / tf.reduce_sum(weight, -1, keepdims=True)


def _filtered(planes: tf.Tensor, kernels: np.ndarray) -> tf.Tensor:
    """Each plane by each of the kernels (height, width, n), one plane's after the other's.

    A depthwise convolution, whose weights stay in float in files of 8 bits.
    """
    kernels = np.repeat(kernels[:, :, None], planes.shape[-1], axis=2)
    return tf.nn.depthwise_conv2d(planes, tf.constant(kernels), (1, 1, 1, 1), "VALID")


def _parts(planes: tf.Tensor) -> list[tf.Tensor]:
    """What `_filtered` made of each plane, by slices, which delegates of TFLite take."""
    return [planes[..., i : i + _DIRECTIONS] for i in range(0, planes.shape[-1], _DIRECTIONS)]


def _blur() -> np.ndarray:
    """A normal distribution of sum 1, (5,)."""
    weights = np.exp(-np.square(np.arange(-2, 3) / _BLUR) / 2)
    return (weights / weights.sum()).astype(np.float32)


def _kernels() -> np.ndarray:
    """A dab in each direction, of sum 1: (side, side, directions)."""
    down, right = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1]
    angle = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    along = right[..., None] * np.cos(angle) + down[..., None] * np.sin(angle)
    across = down[..., None] * np.cos(angle) - right[..., None] * np.sin(angle)
    dabs = np.exp(-np.square((along - _OFFSET) / _LONG) / 2 - np.square(across / _WIDE) / 2)
    return (dabs / dabs.sum((0, 1))).astype(np.float32)
