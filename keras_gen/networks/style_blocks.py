"""What paints in both style networks: residual blocks at a quarter of the size, and the way up from there."""

from __future__ import annotations

from typing import Any

import keras

from keras_gen.layers import Conv2D
from keras_gen.layers.conditional_instance_normalization import ConditionalInstanceNormalization
from keras_gen.layers.resize_convolution import ResizeConvolution2D

#: Residual blocks of a network.
BLOCKS = 5
#: Pixels of an image to one of the features that the blocks take.
STRIDE = 4
#: Pixels after which noise and textures repeat.
PERIOD = 512
#: Channels of noise beside the features.
NOISE = 4


def block_channels(width: int) -> int:
    """Channels of the residual blocks, noise among them, by a network's width."""
    return 6 * width


def normalized(x: Any, style: Any, name: str, rectified: bool = True) -> Any:
    """Features with the scale and offset of a style, rectified or not.

    Args:
        x: features (batch, height, width, channels).
        style: what scales and offsets are linear in: (batch, n).
        name: of the layers, "_normalization" and "_relu" after it.
        rectified: whether a ReLU follows.
    """
    x = ConditionalInstanceNormalization(style.shape[-1], name=f"{name}_normalization")([x, style])
    return keras.layers.Activation("relu", name=f"{name}_relu")(x) if rectified else x


def convolution(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
    """A convolution without a bias: the normalization after it would take it away again."""
    return Conv2D(filters, size, strides, padding="same", use_bias=False, name=name)(x)


def painted(x: Any, style: Any, *, width: int, separable: bool, blocks: int) -> Any:
    """A picture of features: residual blocks, and up by resize and convolution, the last linear.

    Args:
        x: features (batch, height / 4, width / 4, `block_channels(width)`).
        style: (batch, n), as for `normalized`.
        width: channels of the picture's half size are one and a half times as many.
        separable: depthwise and pointwise convolutions in the blocks: an eighth of their products and
            weights.
        blocks: how many.

    Returns:
        (batch, height, width, 3) in (-1, 1).
    """
    for i in range(1, blocks + 1):
        y = x
        for part, rectified in (("a", True), ("b", False)):
            name = f"block{i}{part}"
            if separable:
                depthwise = keras.layers.DepthwiseConv2D(
                    3, padding="same", use_bias=False, name=f"{name}_depthwise"
                )
                y = depthwise(y)
            y = convolution(y, block_channels(width), 1 if separable else 3, name)
            y = normalized(y, style, name, rectified)
        x = keras.layers.Add(name=f"block{i}_sum")([x, y])
    x = normalized(ResizeConvolution2D(3 * width // 2, 3, name="up1")(x), style, "up1")
    x = normalized(convolution(x, 3 * width // 2, 3, "detail"), style, "detail")
    # Small at first: a saturated tanh learns slowly.
    faint = keras.initializers.VarianceScaling(0.1, "fan_avg", "uniform")
    x = ResizeConvolution2D(3, 5, kernel_initializer=faint, name="up2")(x)
    return keras.layers.Activation("tanh", dtype="float32", name="outputs")(x)
