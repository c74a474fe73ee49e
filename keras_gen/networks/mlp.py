"""Fully connected generators and discriminators, as in the first GAN tutorials.

Reference: Generative Adversarial Networks, 2014, arXiv:1406.2661.
"""

from __future__ import annotations

import math

import keras

from keras_gen import layers


def mlp_generator(
    image_shape: tuple[int, int, int],
    latent_dim: int = 100,
    widths: tuple[int, ...] = (128, 128),
    name: str = "generator",
) -> keras.Model:
    """Dense generator: latent vector, two hidden layers of 128, image.

    The tutorial ends in a sigmoid for images in [0, 1]; here images are in [-1, 1], so it is tanh, which is
    the same function rescaled.

    Args:
        image_shape: (height, width, channels), any.
        latent_dim: length of the latent vectors.
        widths: sizes of the hidden layers.
        name: the network's name.

    Returns:
        A model from (batch, latent_dim) to (batch, height, width, channels) in [-1, 1].
    """
    noise = x = layers.Input((latent_dim,))
    for width in widths:
        x = layers.LeakyReLU(0.2)(layers.Dense(width)(x))
    x = layers.Reshape(tuple(image_shape))(layers.Dense(math.prod(image_shape))(x))
    return keras.Model(noise, layers.Activation("tanh", dtype="float32")(x), name=name)


def mlp_discriminator(
    image_shape: tuple[int, int, int], widths: tuple[int, ...] = (128, 128), name: str = "discriminator"
) -> keras.Model:
    """Dense discriminator: image, two hidden layers of 128, one score.

    Args:
        image_shape: (height, width, channels), any.
        widths: sizes of the hidden layers.
        name: the network's name.

    Returns:
        A model from (batch, height, width, channels) to (batch, 1), an unbounded float32 score.
    """
    image = layers.Input(tuple(image_shape))
    x = layers.Flatten()(image)
    for width in widths:
        x = layers.LeakyReLU(0.2)(layers.Dense(width)(x))
    return keras.Model(image, layers.Dense(1, dtype="float32")(x), name=name)
