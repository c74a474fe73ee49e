"""AutoencoderModel: what models with an encoder, a decoder and a likelihood have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_gen.models.latent_variable import LatentVariableModel
from keras_gen.networks.autoencoder import Autoencoder
from keras_gen.random import RandomStream

_BATCH = 256
_TOLERANCE = 1e-3
# The player `model` is the whole of most.
_RENAMED = {"model_optimizer": "optimizer", "model_correction": "correction"}


class Elbo(NamedTuple):
    """The evidence lower bound of each image, in nats, and its parts: elbo = reconstruction − kl."""

    elbo: np.ndarray
    reconstruction: np.ndarray
    kl: np.ndarray


class AutoencoderModel(LatentVariableModel):
    """A model that encodes images and decodes what it made of them; see `VAE` and `VQVAE`.

    A subclass sets `network`, whose main player is called `model`, and defines `reconstruct` and `elbo`. What
    is said of images goes by the moving average where there is one; training alone does not.
    """

    #: Names of its own arguments, kept in its config.
    options: tuple[str, ...] = ()
    #: Length of what conditions the networks beside images and latent vectors.
    condition_dim = 0

    network: Autoencoder

    @property
    def encoder(self) -> keras.Model:
        """The trained encoder."""
        return self.network.encoder

    @property
    def decoder(self) -> keras.Model:
        """The trained decoder."""
        return self.network.decoder

    @property
    def sampled_network(self):
        return self.network

    def get_compile_config(self):
        """What `compile` was called with."""
        config = super().get_compile_config()
        return None if config is None else {_RENAMED.get(key, key): value for key, value in config.items()}

    # Labels, of which most have none.

    def conditions_of(self, data) -> tf.Tensor | None:
        """What conditions the networks on a batch in training: (batch, condition_dim), or None."""
        return None

    # What the trained model says of images.

    def reconstruct(self, images, labels=None) -> np.ndarray:
        """What the model makes of images: float32 of their shape, in [-1, 1]."""
        raise NotImplementedError(f"{type(self).__name__} must define reconstruct(images, labels)")

    def elbo(self, images, labels=None, *, seed: int = 0) -> Elbo:
        """The evidence lower bound of each image."""
        raise NotImplementedError(f"{type(self).__name__} must define elbo(images, labels)")

    def measures(self, data):
        """Means over images in order: bound, its parts, and the mean squared error of reconstructions."""
        totals, count = np.zeros(4), 0
        for batch in data:
            images, labels = (batch[0], batch[1]) if self.labelled else (batch, None)
            images = np.asarray(images)
            errors = np.square(self.reconstruct(images, labels) - images).mean(axis=(1, 2, 3))
            totals += [part.sum(dtype=np.float64) for part in (*self.elbo(images, labels), errors)]
            count += len(images)
        names = ("elbo", "reconstruction_log_likelihood", "kl", "reconstruction_error")
        return dict(zip(names, (totals / count).tolist(), strict=True))

    def _images(self, images) -> np.ndarray:
        images = np.asarray(images, np.float32)
        if images.shape[1:] != self.image_shape or not len(images):
            raise ValueError(
                f"Images must have the shape (count, {', '.join(map(str, self.image_shape))}); received "
                f"{images.shape}."
            )
        largest = np.abs(images).max()
        if not largest <= 1 + _TOLERANCE:
            raise ValueError(
                f"Images must be in [-1, 1]; the largest magnitude is {largest:g}. For images in 0..255 use "
                "images / 127.5 - 1."
            )
        return images

    def _conditions(self, labels, count: int) -> np.ndarray | None:
        if labels is not None:
            raise ValueError(f"{type(self).__name__} has no labels; ConditionalVAE has.")
        return None

    def _in_batches(self, method: Callable, *arrays, seed: int = 0) -> list[np.ndarray]:
        """Runs method(network, *arrays, stream) on the arrays' rows, in batches of bounded memory."""
        network = self.sampler

        def run(seed, start, *arrays):
            with RandomStream(seed, start).scope() as stream:
                return method(network, *arrays, stream)

        key = (method.__name__, id(network))
        if not hasattr(self, "_compiled_methods"):
            self._compiled_methods: dict[Any, Callable] = {}
        if key not in self._compiled_methods:
            self._compiled_methods[key] = tf.function(run, reduce_retracing=True, autograph=False)
        function, parts = self._compiled_methods[key], []
        for i in range(0, len(arrays[0]), _BATCH):
            rows = [None if array is None else tf.constant(array[i : i + _BATCH]) for array in arrays]
            parts.append(function(tf.constant(seed, tf.int64), tf.constant(i, tf.int64), *rows))
        return [np.concatenate([np.asarray(part) for part in each]) for each in zip(*parts, strict=True)]

    # Saving.

    def get_config(self) -> dict:
        """The arguments that make an equal model, networks included."""
        serialize = keras.saving.serialize_keras_object
        return {
            **{role: serialize(getattr(self, role)) for role in self.roles},
            "latent_dim": self.latent_dim,
            **{option: serialize(getattr(self, option)) for option in self.options},
            "seed": self.seed,
            "name": self.name,
        }
