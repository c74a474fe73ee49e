"""Networks, by the names under which `build` and the command line know them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras

from keras_gen.networks.dcgan import (
    dcgan_discriminator,
    dcgan_generator,
    example28_discriminator,
    example28_generator,
    tutorial32_discriminator,
    tutorial32_generator,
)
from keras_gen.networks.mlp import mlp_discriminator, mlp_generator


@dataclass(frozen=True)
class Preset:
    """A pair of networks that fit each other, and the latent length that they are known with."""

    generator: Callable[..., keras.Model]
    discriminator: Callable[..., keras.Model]
    latent_dim: int
    summary: str


PRESETS = {
    "dcgan": Preset(
        dcgan_generator, dcgan_discriminator, 128, "any square size from 28 to 128, 1 or 3 channels"
    ),
    "dcgan-small": Preset(
        functools.partial(dcgan_generator, width=24),
        functools.partial(dcgan_discriminator, width=24, dropout=0.0),
        64,
        "as dcgan, three eighths as wide, without dropout: readable digits within minutes on a CPU",
    ),
    "dcgan-28": Preset(
        example28_generator, example28_discriminator, 128, "28x28, the common Keras WGAN-GP example's layers"
    ),
    "dcgan-32": Preset(
        tutorial32_generator,
        tutorial32_discriminator,
        100,
        "32x32, the DCGAN tutorial's transposed convolutions",
    ),
    "mlp": Preset(mlp_generator, mlp_discriminator, 100, "any size, two hidden layers of 128"),
}


def independent_of_batch(network: keras.layers.Layer) -> bool:
    """Whether each example's output is sure not to depend on the others of its batch in training.

    Sure means: nothing but Keras's and this package's own layers, none a normalization over the batch, and
    no bare operation between them, such as `keras.ops.mean` in a functional model.
    """
    for layer in network._flatten_layers(include_self=True, recursive=True):
        if not all(isinstance(node, keras.layers.Layer) for node in getattr(layer, "operations", ())):
            return False
        known = type(layer).__module__.split(".")[0] in ("keras", "keras_gen")
        if not known or isinstance(layer, (keras.layers.BatchNormalization, keras.layers.Lambda)):
            return False
    return True


__all__ = [
    "PRESETS",
    "Preset",
    "dcgan_discriminator",
    "dcgan_generator",
    "example28_discriminator",
    "example28_generator",
    "independent_of_batch",
    "mlp_discriminator",
    "mlp_generator",
    "tutorial32_discriminator",
    "tutorial32_generator",
]
