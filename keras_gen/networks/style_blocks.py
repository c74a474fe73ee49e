"""What paints in both style networks: residual blocks at a quarter and an eighth of the size, and up."""

from __future__ import annotations

from typing import Any

import keras

from keras_gen.layers import Conv2D, DepthwiseConv2D, ReflectionPadding2D
from keras_gen.layers.bilinear_up_sampling import BilinearUpSampling2D
from keras_gen.layers.conditional_instance_normalization import ConditionalInstanceNormalization
from keras_gen.layers.fixed_noise import FixedNoise2D
from keras_gen.layers.resize_convolution import ResizeConvolution2D

#: Residual blocks of a network at a quarter of the size, and those at an eighth.
BLOCKS, COARSE_BLOCKS = 5, 3
#: Pixels of an image to one of the features that the blocks take.
STRIDE = 4
#: Image sides that the networks take are multiples of this, but not the smallest: of one pixel at an eighth
#: of the size nothing can be mirrored.
MULTIPLE = 8
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
    return Conv2D(filters, size, strides, use_bias=False, name=name)(_padded(x, size, strides, name))


def _padded(x: Any, size: int, strides: int, name: str) -> Any:
    """Features, of even sides if halved, mirrored by as many pixels as "same" pads with zeros.

    Of zeros there is a line along the border in every layer. In the last ones these varied four times as much
    as all the rest of a picture: contrast hung on them, and had to be learned again for every size of border.
    """
    if size <= strides:
        return x
    before, after = (size - strides) // 2, (size - strides + 1) // 2
    return ReflectionPadding2D(((before, after), (before, after)), name=f"{name}_padding")(x)


def noised(x: Any) -> Any:
    """Features with channels of noise beside them, from which plain parts of a photograph are painted.

    Args:
        x: features (batch, height / 4, width / 4, channels).
    """
    return FixedNoise2D(NOISE, PERIOD // STRIDE, stride=STRIDE, name="noise")(x)


def resized(x: Any, filters: int, size: int, name: str, **options: Any) -> Any:
    """A convolution at twice the size, of a border that is mirrored, as everywhere here."""
    return ResizeConvolution2D(filters, size, padding="symmetric", name=name, **options)(x)


def residual(x: Any, style: Any, name: str, separable: bool) -> Any:
    """Features with two convolutions of 3x3 of them added, each normalized.

    Args:
        x: features (batch, height, width, channels).
        style: as for `normalized`.
        name: what the names of the layers begin with.
        separable: depthwise and pointwise convolutions: an eighth of the products and weights.
    """
    y, channels = x, x.shape[-1]
    for part, rectified in (("a", True), ("b", False)):
        if separable:
            y = _depthwise(y, f"{name}{part}")
        y = convolution(y, channels, 1 if separable else 3, f"{name}{part}")
        y = normalized(y, style, f"{name}{part}", rectified)
    return keras.layers.Add(name=f"{name}_sum")([x, y])


def _depthwise(x: Any, name: str, strides: int = 1) -> Any:
    name = f"{name}_depthwise"
    return DepthwiseConv2D(3, strides, use_bias=False, name=name)(_padded(x, 3, strides, name))


def coarse(x: Any, style: Any, *, separable: bool, blocks: int) -> Any:
    """Features, and what residual blocks of half their size make of them added: large strokes cost little.

    Args:
        x: features (batch, height, width, channels), of even height and width.
        style, separable: as for `residual`; the ways down and up are light in any case.
        blocks: how many.
    """
    y = convolution(_depthwise(x, "coarse_down", 2), x.shape[-1], 1, "coarse_down")
    y = normalized(y, style, "coarse_down")
    for i in range(1, blocks + 1):
        y = residual(y, style, f"coarse{i}", separable)
    y = normalized(convolution(y, x.shape[-1], 1, "coarse_up"), style, "coarse_up", rectified=False)
    y = BilinearUpSampling2D(name="coarse_resized")(y)
    return keras.layers.Add(name="coarse_added")([x, y])


def painted(x: Any, style: Any, *, width: int, separable: bool, blocks: int, coarse_blocks: int) -> Any:
    """A picture of features: residual blocks, and up by resize and convolution, the last linear.

    Args:
        x: features (batch, height / 4, width / 4, `block_channels(width)`).
        style: (batch, n), as for `normalized`.
        width: channels of the picture's half size are one and a half times as many.
        separable: as for `residual`.
        blocks: how many, at this size.
        coarse_blocks: how many in `coarse`, half way through the others, of which there are some; 0 leaves it
            out.

    Returns:
        (batch, height, width, 3) in (-1, 1).

    Raises:
        ValueError: no blocks.
    """
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1; received {blocks}.")
    for i in range(1, blocks + 1):
        x = residual(x, style, f"block{i}", separable)
        if coarse_blocks and i == (blocks + 1) // 2:
            x = coarse(x, style, separable=separable, blocks=coarse_blocks)
    x = normalized(resized(x, 3 * width // 2, 3, "up1"), style, "up1")
    x = normalized(convolution(x, 3 * width // 2, 3, "detail"), style, "detail")
    # Small at first: a saturated tanh learns slowly.
    faint = keras.initializers.VarianceScaling(0.1, "fan_avg", "uniform")
    x = resized(x, 3, 5, "up2", kernel_initializer=faint)
    return keras.layers.Activation("tanh", dtype="float32", name="outputs")(x)
