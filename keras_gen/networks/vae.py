"""Encoders and decoders of variational autoencoders: convolutional, and dense.

An encoder gives two outputs, mean and log-variance; a decoder's outputs are unbounded, and a likelihood makes
them images. Their last layers are float32.

Reference: Auto-Encoding Variational Bayes, 2013, arXiv:1312.6114.
"""

from __future__ import annotations

import math

import keras

from keras_gen import layers

WIDEST = 256


def _sizes(image_shape: tuple[int, int, int]) -> list[int]:
    """The sizes of an image, halved by each convolution until 4 or 5 pixels are left."""
    shape = tuple(image_shape)
    if len(shape) != 3 or shape[0] != shape[1] or not 28 <= shape[0] <= 128:
        raise ValueError(
            f"The convolutional networks are for square images of 28 to 128 pixels; received image_shape="
            f"{shape}. Load the data with another image_size, choose the preset 'vae-mlp', or pass networks "
            "of your own."
        )
    sizes = [shape[0]]
    while sizes[-1] > 5:
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def _widths(sizes: list[int], width: int) -> list[int]:
    return [min(width * 2**i, WIDEST) for i in range(len(sizes) - 1)]


def _posterior(image, x, latent_dim: int, name: str) -> keras.Model:
    x = layers.Flatten()(x)
    outputs = [layers.Dense(latent_dim, dtype="float32", name=part)(x) for part in ("mean", "log_variance")]
    return keras.Model(image, outputs, name=name)


def convolutional_encoder(
    image_shape: tuple[int, int, int], latent_dim: int = 100, width: int = 32, name: str = "encoder"
) -> keras.Model:
    """5x5 convolutions of stride 2, with 32, 64 and 128 filters (more of them above 40 pixels).

    Args:
        image_shape: (size, size, channels), square, 28 to 128.
        latent_dim: length of the latent vectors.
        width: filters of the first convolution; doubled at each smaller size, up to 256.
        name: the network's name.

    Returns:
        A model from (batch, size, size, channels) to mean and log-variance, each (batch, latent_dim).

    Raises:
        ValueError: a shape that is not square or out of range.
    """
    sizes = _sizes(image_shape)
    image = x = layers.Input(tuple(image_shape))
    for filters in _widths(sizes, width):
        x = layers.Conv2D(filters, 5, strides=2, padding="same", activation="relu")(x)
    return _posterior(image, x, latent_dim, name)


def transposed_decoder(
    image_shape: tuple[int, int, int], latent_dim: int = 100, width: int = 32, name: str = "decoder"
) -> keras.Model:
    """The mirror image of `convolutional_encoder`: a dense layer, then 5x5 transposed convolutions.

    Args:
        image_shape: (size, size, channels), square, 28 to 128.
        latent_dim: length of the latent vectors.
        width: as the encoder's.
        name: the network's name.

    Returns:
        A model from (batch, latent_dim) to unbounded outputs (batch, size, size, channels).

    Raises:
        ValueError: a shape that is not square or out of range.
    """
    sizes = _sizes(image_shape)
    *widths, last = _widths(sizes, width)
    noise = layers.Input((latent_dim,))
    x = layers.Dense(sizes[-1] ** 2 * last, activation="relu")(noise)
    x = layers.Reshape((sizes[-1], sizes[-1], last))(x)
    for i in reversed(range(len(sizes) - 1)):
        # Of the two sizes that halve to the last one, the one that the encoder had.
        options = {"strides": 2, "padding": "same", "output_padding": 1 - sizes[i] % 2}
        filters, activation = (widths[i - 1], "relu") if i else (image_shape[-1], None)
        x = layers.Conv2DTranspose(filters, 5, activation=activation, **options)(x)
    return keras.Model(noise, layers.Activation("linear", dtype="float32")(x), name=name)


def dense_encoder(
    image_shape: tuple[int, int, int],
    latent_dim: int = 100,
    widths: tuple[int, ...] = (512, 256),
    name: str = "encoder",
) -> keras.Model:
    """Hidden layers of 512 and 256.

    Args:
        image_shape: (height, width, channels), any.
        latent_dim: length of the latent vectors.
        widths: sizes of the hidden layers.
        name: the network's name.

    Returns:
        A model from (batch, height, width, channels) to mean and log-variance, each (batch, latent_dim).
    """
    image = layers.Input(tuple(image_shape))
    x = layers.Flatten()(image)
    for width in widths:
        x = layers.Dense(width, activation="relu")(x)
    return _posterior(image, x, latent_dim, name)


def dense_decoder(
    image_shape: tuple[int, int, int],
    latent_dim: int = 100,
    widths: tuple[int, ...] = (256, 512),
    name: str = "decoder",
) -> keras.Model:
    """Hidden layers of 256 and 512.

    Args:
        image_shape: (height, width, channels), any.
        latent_dim: length of the latent vectors.
        widths: sizes of the hidden layers.
        name: the network's name.

    Returns:
        A model from (batch, latent_dim) to unbounded outputs (batch, height, width, channels).
    """
    noise = x = layers.Input((latent_dim,))
    for width in widths:
        x = layers.Dense(width, activation="relu")(x)
    x = layers.Reshape(tuple(image_shape))(layers.Dense(math.prod(image_shape))(x))
    return keras.Model(noise, layers.Activation("linear", dtype="float32")(x), name=name)


def feature_discriminator(
    image_shape: tuple[int, int, int], width: int = 32, name: str = "discriminator"
) -> keras.Model:
    """5x5 convolutions of stride 2 for a VAE-GAN: a score, and the features that images are compared in.

    Args:
        image_shape: (size, size, channels), square, 28 to 128.
        width: filters of the first convolution; doubled at each smaller size, up to 256.
        name: the network's name.

    Returns:
        A model from (batch, size, size, channels) to a score (batch, 1) and features (batch, …), the last
        convolution's outputs normalized over each image, both float32.

    Raises:
        ValueError: a shape that is not square or out of range.
    """
    sizes = _sizes(image_shape)
    image = x = layers.Input(tuple(image_shape))
    for filters in _widths(sizes, width):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 5, strides=2, padding="same")(x))
    # Features in which images are compared need a scale; of each image its own, where the paper has batches'.
    features = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, dtype="float32")(x)
    return keras.Model(image, [layers.Dense(1, dtype="float32")(layers.Flatten()(x)), features], name=name)
