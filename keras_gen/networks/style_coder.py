"""Encoder and decoder of arbitrary style transfer, between which the statistics are exchanged."""

from __future__ import annotations

import keras

from keras_gen.layers import Activation, Conv2D, ReflectionPadding2D
from keras_gen.layers.channel_moments import ChannelMoments
from keras_gen.networks.style_blocks import (
    BLOCKS,
    COARSE_BLOCKS,
    NOISE,
    block_channels,
    noised,
    normalized,
    painted,
    resized,
)
from keras_gen.networks.vgg import vgg


def vgg_encoder(tap: str = "relu4_1", *, network: str = "vgg16", backbone: str = "auto") -> keras.Model:
    """The paper's encoder, frozen: VGG up to a tap, from images (batch, height, width, 3) to its features."""
    model = vgg(network, [tap], padding="reflect", backbone=backbone)
    encoder = keras.Model(model.input, model.output[tap], name="encoder")
    encoder.trainable = False
    return encoder


def small_encoder(width: int = 16) -> keras.Model:
    """An encoder for phones, trained with the decoder: to an eighth of the size, and 8 width channels.

    Args:
        width: channels of the first layer.
    """
    images = x = keras.Input((None, None, 3), name="images")
    for i, filters in enumerate((width, 2 * width, 4 * width), 1):
        # As "same" pads even sides, but for zeros, of which pictures would show a line along their border.
        x = ReflectionPadding2D(((0, 1), (0, 1)), name=f"down{i}_padding")(x)
        x = Conv2D(filters, 3, 2, name=f"down{i}")(x)
        x = Activation("relu", name=f"down{i}_relu")(x)
    x = ReflectionPadding2D(1, name="features_padding")(x)
    x = Conv2D(8 * width, 3, activation="relu", name="features")(x)
    return keras.Model(images, x, name="encoder")


def style_decoder(
    channels: int = 512,
    *,
    width: int = 16,
    separable: bool = False,
    blocks: int = BLOCKS,
    coarse_blocks: int = COARSE_BLOCKS,
    code: int = 32,
) -> keras.Model:
    """From features at an eighth of the size to images: one layer up, and from there as `transformer_net`.

    The paper's, VGG's blocks mirrored, has no normalization, and paints by the exchanged statistics as far as
    they come through its layers. Here all layers know them: of the features' channel means and standard
    deviations, which after the exchange are the painting's, a few numbers are made, and of these the scale
    and offset of each normalization, as a style network learns them for a style. Noise, which repeats after
    `PERIOD` pixels, and borders, which are mirrored, are as in `transformer_net`.

    Args:
        channels: of the features.
        width: 6 times as many channels in the residual blocks.
        separable: depthwise and pointwise convolutions in the residual blocks.
        blocks: number of residual blocks at a quarter of the size.
        coarse_blocks: number of those at an eighth.
        code: how many numbers a style is.

    Returns:
        A network from features (batch, height / 8, width / 8, channels) to images in (-1, 1).

    Reference: Exploring the structure of a real-time, arbitrary neural artistic stylization network, 2017,
    arXiv:1705.06830, for normalizations by numbers that are predicted from a painting.
    """
    features = keras.Input((None, None, channels), name="features")
    statistics = ChannelMoments(dtype="float32", name="statistics")(features)
    # Up to their common scale, in which encoders differ.
    x = keras.layers.LayerNormalization(dtype="float32", name="statistics_normalization")(statistics)
    # As a blend of as many styles of equal weights, so that scales begin at some 1.
    near = keras.initializers.RandomNormal(stddev=(2 * channels) ** -0.5 / code)
    equal = keras.initializers.Constant(1 / code)
    style = keras.layers.Dense(
        code, kernel_initializer=near, bias_initializer=equal, dtype="float32", name="code"
    )(x)
    x = resized(features, block_channels(width) - NOISE, 3, "up0", use_bias=False)
    x = normalized(x, style, "up0")
    x = noised(x)
    outputs = painted(x, style, width=width, separable=separable, blocks=blocks, coarse_blocks=coarse_blocks)
    return keras.Model(features, outputs, name="decoder")
