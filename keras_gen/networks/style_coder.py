"""Encoder and decoder of arbitrary style transfer, between which the statistics are exchanged."""

from __future__ import annotations

import keras

from keras_gen.layers import Activation, Conv2D, ReflectionPadding2D, ResizeConvolution2D
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


def style_decoder(channels: int = 512, *, width: int = 64) -> keras.Model:
    """From features at an eighth of the size to images: the paper's decoder, mirrored from VGG's blocks.

    Args:
        channels: of the features.
        width: channels before the last layer; twice and four times as many at a half and a quarter.

    Returns:
        A network from features (batch, height / 8, width / 8, channels) to images in (-1, 1).
    """
    features = x = keras.Input((None, None, channels), name="features")
    for i, filters in enumerate((4 * width, 2 * width, width), 1):
        x = ReflectionPadding2D(1, name=f"mix{i}_padding")(x)
        x = Conv2D(filters, 3, activation="relu", name=f"mix{i}")(x)
        x = ResizeConvolution2D(filters, 3, name=f"up{i}")(x)
        x = Activation("relu", name=f"up{i}_relu")(x)
    x = ReflectionPadding2D(1, name="colour_padding")(x)
    x = Conv2D(3, 3, name="colour")(x)
    outputs = Activation("tanh", dtype="float32", name="outputs")(x)
    return keras.Model(features, outputs, name="decoder")
