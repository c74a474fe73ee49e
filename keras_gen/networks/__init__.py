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
from keras_gen.networks.style_coder import small_encoder, style_decoder, vgg_encoder
from keras_gen.networks.transformer_net import transformer_net
from keras_gen.networks.vae import (
    convolutional_encoder,
    dense_decoder,
    dense_encoder,
    feature_discriminator,
    transposed_decoder,
)
from keras_gen.networks.vgg import vgg16, vgg19
from keras_gen.networks.vq_vae import grid_decoder, grid_encoder, transformer_prior


@dataclass(frozen=True)
class Preset:
    """Networks that fit each other, and the latent length that they are known with.

    Args:
        makers: for each role that a model has (`model.roles`), the function that makes its network.
        latent_dim: length of the latent vectors.
        summary: one line for lists.
    """

    makers: dict[str, Callable[..., keras.Model]]
    latent_dim: int
    summary: str


def _pair(generator: Callable, discriminator: Callable) -> dict[str, Callable[..., keras.Model]]:
    return {"generator": generator, "discriminator": discriminator}


PRESETS = {
    "dcgan": Preset(
        _pair(dcgan_generator, dcgan_discriminator), 128, "any square size from 28 to 128, 1 or 3 channels"
    ),
    "dcgan-small": Preset(
        _pair(
            functools.partial(dcgan_generator, width=24),
            functools.partial(dcgan_discriminator, width=24, dropout=0.0),
        ),
        64,
        "as dcgan, three eighths as wide, without dropout: readable digits within minutes on a CPU",
    ),
    "dcgan-28": Preset(
        _pair(example28_generator, example28_discriminator),
        128,
        "28x28, the common Keras WGAN-GP example's layers",
    ),
    "dcgan-32": Preset(
        _pair(tutorial32_generator, tutorial32_discriminator),
        100,
        "32x32, the DCGAN tutorial's transposed convolutions",
    ),
    "mlp": Preset(_pair(mlp_generator, mlp_discriminator), 100, "any size, two hidden layers of 128"),
    "vae": Preset(
        {"encoder": convolutional_encoder, "decoder": transposed_decoder},
        100,
        "any square size from 28 to 128: 5x5 convolutions 32-64-128, and the same transposed",
    ),
    "vae-dense": Preset(
        {"encoder": convolutional_encoder, "decoder": dense_decoder},
        100,
        "as vae, with a decoder of two hidden layers, 256 and 512",
    ),
    "vae-mlp": Preset(
        {"encoder": dense_encoder, "decoder": dense_decoder}, 100, "any size, hidden layers of 512 and 256"
    ),
    "vq-vae": Preset(
        {"encoder": grid_encoder, "decoder": grid_decoder, "prior": transformer_prior},
        64,
        "any square size from 28 to 128: a grid of 7x7 to 13x13 codes, and a small transformer as prior",
    ),
    "vae-gan": Preset(
        {
            "encoder": convolutional_encoder,
            "decoder": transposed_decoder,
            "discriminator": feature_discriminator,
        },
        100,
        "as vae, with a discriminator of the encoder's layers",
    ),
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
    "convolutional_encoder",
    "dcgan_discriminator",
    "dcgan_generator",
    "dense_decoder",
    "dense_encoder",
    "example28_discriminator",
    "example28_generator",
    "feature_discriminator",
    "grid_decoder",
    "grid_encoder",
    "independent_of_batch",
    "mlp_discriminator",
    "mlp_generator",
    "small_encoder",
    "style_decoder",
    "transformer_net",
    "transformer_prior",
    "transposed_decoder",
    "tutorial32_discriminator",
    "tutorial32_generator",
    "vgg16",
    "vgg19",
    "vgg_encoder",
]
