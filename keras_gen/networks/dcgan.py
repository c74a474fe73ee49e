"""Convolutional generators and discriminators in the manner of DCGAN.

Reference: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks, 2015,
arXiv:1511.06434.
"""

from __future__ import annotations

import math

import keras

from keras_gen import layers

WIDEST = 512


def _check(image_shape: tuple[int, int, int]) -> tuple[int, int]:
    shape = tuple(image_shape)
    if len(shape) != 3 or shape[0] != shape[1] or not 28 <= shape[0] <= 128 or shape[2] not in (1, 3):
        raise ValueError(
            f"The DCGAN networks make square images of 28 to 128 pixels with 1 or 3 channels; received "
            f"image_shape={shape}. Load the data with another image_size or channels, or pass networks of "
            "your own."
        )
    return shape[0], shape[2]


def _doublings(size: int) -> int:
    return int(math.log2(size / 4))


def _crop(images, size: int):
    excess = images.shape[1] - size
    before = (excess // 2, excess - excess // 2)
    return layers.Cropping2D((before, before))(images) if excess else images


def dcgan_generator(
    image_shape: tuple[int, int, int], latent_dim: int = 128, width: int = 64, name: str = "generator"
) -> keras.Model:
    """Up-sampling generator for any square size from 28 to 128.

    Args:
        image_shape: (size, size, channels).
        latent_dim: length of the latent vectors.
        width: filters before the last up-sampling; doubled at each smaller size, up to 512.
        name: the network's name.

    Returns:
        A model from (batch, latent_dim) to (batch, size, size, channels) in [-1, 1].

    Raises:
        ValueError: a shape that is not square, out of range, or of other than 1 or 3 channels.
    """
    size, channels = _check(image_shape)
    doublings = _doublings(size)
    base = -(-size // 2**doublings)
    widths = [min(width * 2 ** (doublings - 1 - i), WIDEST) for i in range(doublings)]
    noise = layers.Input((latent_dim,))
    first = min(2 * widths[0], WIDEST)
    x = layers.Dense(base * base * first, use_bias=False)(noise)
    x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    x = layers.Reshape((base, base, first))(x)
    for filters in widths:
        x = layers.UpSamplingConv2D(filters, 3, use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    x = layers.Conv2D(channels, 3, padding="same")(_crop(x, size))
    return keras.Model(noise, layers.Activation("tanh", dtype="float32")(x), name=name)


def dcgan_discriminator(
    image_shape: tuple[int, int, int], width: int = 64, dropout: float = 0.3, name: str = "discriminator"
) -> keras.Model:
    """Strided discriminator for any square size from 28 to 128; its score has no activation.

    Args:
        image_shape: (size, size, channels).
        width: filters of the first convolution; doubled at each smaller size, up to 512.
        dropout: rate after each convolution but the first; 0 leaves it out.
        name: the network's name.

    Returns:
        A model from (batch, size, size, channels) to (batch, 1), an unbounded float32 score.

    Raises:
        ValueError: a shape that is not square, out of range, or of other than 1 or 3 channels.
    """
    size, _ = _check(image_shape)
    image = x = layers.Input(tuple(image_shape))
    for i in range(_doublings(size) + 1):
        x = layers.Conv2D(min(width * 2**i, WIDEST), 5, strides=2, padding="same")(x)
        x = layers.LeakyReLU(0.2)(x)
        if i and dropout:
            x = layers.Dropout(dropout)(x)
    return keras.Model(image, layers.Dense(1, dtype="float32")(layers.Flatten()(x)), name=name)


def example28_generator(
    image_shape: tuple[int, int, int] = (28, 28, 1), latent_dim: int = 128, name: str = "generator"
) -> keras.Model:
    """The 28x28 generator of the common Keras WGAN-GP example: 4x4x256, three up-samplings, cropped to 28."""
    size, channels = _fixed(image_shape, 28)
    noise = layers.Input((latent_dim,))
    x = layers.Dense(4 * 4 * 256, use_bias=False)(noise)
    x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    x = layers.Reshape((4, 4, 256))(x)
    for filters in (128, 64):
        x = layers.UpSamplingConv2D(filters, 3, use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.UpSamplingConv2D(channels, 3, use_bias=False)(x))
    x = layers.Activation("tanh", dtype="float32")(_crop(x, size))
    return keras.Model(noise, x, name=name)


def example28_discriminator(
    image_shape: tuple[int, int, int] = (28, 28, 1), name: str = "discriminator"
) -> keras.Model:
    """The 28x28 critic of the common Keras WGAN-GP example: padded to 32, 64-128-256-512 filters of 5x5."""
    _fixed(image_shape, 28)
    image = layers.Input(tuple(image_shape))
    x = layers.ZeroPadding2D(2)(image)
    for filters in (64, 128, 256, 512):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 5, strides=2, padding="same")(x))
        if filters in (128, 256):
            x = layers.Dropout(0.3)(x)
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(1, dtype="float32")(x), name=name)


def tutorial32_generator(
    image_shape: tuple[int, int, int] = (32, 32, 3), latent_dim: int = 100, name: str = "generator"
) -> keras.Model:
    """The tutorial's 32x32 generator: 4x4x512, then transposed 5x5 convolutions 256, 128, 64, channels."""
    _, channels = _fixed(image_shape, 32)
    noise = layers.Input((latent_dim,))
    x = layers.Dense(4 * 4 * 512, use_bias=False)(noise)
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.Reshape((4, 4, 512))(x)
    for filters, strides in ((256, 1), (128, 2), (64, 2)):
        x = layers.Conv2DTranspose(filters, 5, strides=strides, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(channels, 5, strides=2, padding="same", use_bias=False)(x)
    return keras.Model(noise, layers.Activation("tanh", dtype="float32")(x), name=name)


def tutorial32_discriminator(
    image_shape: tuple[int, int, int] = (32, 32, 3), name: str = "discriminator"
) -> keras.Model:
    """The tutorial's 32x32 discriminator: 64 and 128 filters of 5x5, stride 2, dropout 0.3, one score."""
    _fixed(image_shape, 32)
    image = x = layers.Input(tuple(image_shape))
    for filters in (64, 128):
        x = layers.Conv2D(filters, 5, strides=2, padding="same")(x)
        x = layers.Dropout(0.3)(layers.LeakyReLU()(x))
    return keras.Model(image, layers.Dense(1, dtype="float32")(layers.Flatten()(x)), name=name)


def _fixed(image_shape: tuple[int, int, int], size: int) -> tuple[int, int]:
    shape = tuple(image_shape)
    if len(shape) != 3 or shape[:2] != (size, size) or shape[2] not in (1, 3):
        raise ValueError(
            f"This preset makes {size}x{size} images with 1 or 3 channels; received image_shape={shape}. "
            "Choose the preset 'dcgan', which fits any square size from 28 to 128."
        )
    return size, shape[2]
