"""LatentVariableModel: what every model that makes images of latent vectors has in common."""

from __future__ import annotations

import functools
import inspect
import random
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import optimizers
from keras_gen.distribute import at_least_one, replica_count
from keras_gen.models.base import GenerativeModel
from keras_gen.random import RandomStream, draw


class LatentVariableModel(GenerativeModel):
    """A model whose sampled network makes images of latent vectors, standard normal unless it says otherwise.

    A subclass's constructor takes its networks by the names of `roles`, then `latent_dim`, then options; it
    sets `latent_dim`, `image_shape`, and `evaluated_names`.
    """

    #: Names of the networks, which are the first arguments of the constructor.
    roles: tuple[str, ...] = ()
    #: whether `keras-gen train` keeps a moving average where none is asked for
    gains_by_average: bool = True
    #: Whether training needs (images, labels).
    labelled = False
    #: Recommended settings: what makes each player's optimizer where `compile` is given none.
    recommended_optimizer: Callable[[], keras.optimizers.Optimizer] = functools.partial(optimizers.Adam, 1e-3)
    #: Those of `log_names` that `evaluate` gives.
    evaluated_names: tuple[str, ...] = ()
    #: Two players whose losses pull against each other; None where there is no game.
    rivals: tuple[str, str] | None = None

    latent_dim: int
    image_shape: tuple[int, int, int]

    @classmethod
    def make_networks(
        cls, makers: dict[str, Callable], image_shape: tuple[int, int, int], latent_dim: int, **options: Any
    ) -> dict[str, keras.Model]:
        """The networks that a model of these options takes.

        Args:
            makers: functions of `networks`, one for each of `roles`.
            image_shape: (height, width, channels).
            latent_dim: length of the latent vectors, for those makers that take it.
            **options: the model's own.
        """
        return {role: _made(makers[role], image_shape, latent_dim) for role in cls.roles}

    def measures(self, data: tf.data.Dataset) -> dict[str, float]:
        """What else is worth knowing of the model on images in order, by name; for a run's evaluation."""
        return {}

    # The step.

    def player_losses(self, data, stream: RandomStream) -> dict[str, tf.Tensor]:
        """Each player's loss on a batch as in training, by its name, none of them updated; see `curvature`.

        Args:
            data: images, or (images, labels).
            stream: the random numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} must define player_losses(data, stream)")

    def checked_images(self, data) -> tf.Tensor:
        """`images_of` a batch, checked to be of the networks' shape."""
        images = self.images_of(data)
        if not images.shape.is_compatible_with((None, *self.image_shape)):
            raise ValueError(
                f"The networks are for images of shape {self.image_shape}; received a batch of shape "
                f"{tuple(images.shape)}. Load the data with image_size={self.image_shape[:2]} and "
                f"channels={self.image_shape[2]}, or build the model for that shape."
            )
        return images

    def evaluated_share(self, data) -> tuple[Any, tf.Tensor]:
        """The data of a `test_step`, of one example at least, and how many there are of them in truth."""
        count = tf.shape(tf.nest.flatten(data)[0])[0]
        return tf.nest.map_structure(at_least_one, data), count

    def _evaluated(self) -> tf.Tensor:
        """A step of its own, below zero, for each batch: minus the examples seen so far on all replicas."""
        return -1 - replica_count() * tf.cast(self.trackers[self.evaluated_names[0]].count, tf.int64)

    # Sampling.

    def predict_step(self, data):
        """Images of a batch of latent vectors."""
        latents = data[0] if isinstance(data, (tuple, list)) else data
        return self(at_least_one(latents), training=False)[: tf.shape(latents)[0]]

    def call(self, latents, training=False):
        """Images (batch, height, width, channels) in [-1, 1] of latent vectors (batch, latent_dim)."""
        # Networks of the user's own may end in bfloat16.
        return tf.cast(self.sampler(latents, training=training), tf.float32)

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Draws images.

        Args:
            n: how many.
            seed: the same seed gives the same images; None draws new ones each time.

        Returns:
            float32 (n, height, width, channels) in [-1, 1], of the moving average where `compile` set one.

        Raises:
            ValueError: n below one.
        """
        return self.generate(self.latents(n, seed))

    def latents(self, n: int, seed: int | None = None) -> np.ndarray:
        """The latent vectors that `sample(n, seed)` uses: float32 (n, latent_dim), standard normal.

        Each depends on the seed and its place alone: `latents(2, seed)` begins `latents(9, seed)`.
        """
        return draw("normal", n, self.check_draw(n, seed), (self.latent_dim,))

    @staticmethod
    def check_draw(n: int, seed: int | None) -> int:
        """The seed of a draw of n, drawn itself where None, or a ValueError where that cannot be."""
        if n < 1:
            raise ValueError(f"n must be 1 or more; received {n}.")
        if seed is None:
            return random.SystemRandom().randrange(2**63)
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed must be from 0 to 2**63 - 1, or None; received {seed}.")
        return int(seed)

    def generate(self, latents) -> np.ndarray:
        """Images of given latent vectors (n, latent_dim): float32 (n, height, width, channels) in [-1, 1]."""
        return self._generate(np.asarray(latents, np.float32))

    # Saving.

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """A model from its config."""
        deserialize = functools.partial(keras.saving.deserialize_keras_object, custom_objects=custom_objects)
        return cls(**{key: deserialize(value) for key, value in config.items()})


def _made(maker: Callable, image_shape: tuple[int, int, int], latent_dim: int) -> keras.Model:
    takes = inspect.signature(maker).parameters
    return maker(image_shape, latent_dim) if "latent_dim" in takes else maker(image_shape)


def first_line(error: Exception) -> str:
    """What a network's error says, without Keras's frame around it."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))  # Keras prints in bold
    lines = [line.strip() for line in text.splitlines()]
    return next(line for line in lines if line and not line.startswith("Exception encountered when calling"))
