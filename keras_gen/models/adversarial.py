"""AdversarialModel: the alternating step of two players. A variant is a loss, penalties and constraints."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import losses, optimizers, penalties
from keras_gen.curvature import SingularityCorrection
from keras_gen.distribute import replica_count
from keras_gen.models.base import GenerativeModel
from keras_gen.networks import independent_of_batch


@keras.saving.register_keras_serializable(package="keras_gen")
class AdversarialModel(GenerativeModel):
    """A generator and a discriminator, each trained against the other.

    One step takes one batch of real images: `discriminator_steps` updates of the discriminator, each with
    newly drawn fakes (and, where the papers draw new real images for each, the same ones), then one update
    of the generator. A variant is a subclass that chooses a loss, penalties, constraints, and recommended
    settings; the step is never overridden.

    Args:
        generator: a network from (batch, latent_dim) to images (batch, height, width, channels) in [-1, 1];
            functional, sequential or subclassed.
        discriminator: a network from images to scores (batch, 1) or (batch,), without activation.
        latent_dim: length of the latent vectors, standard normal.
        loss: a `losses.AdversarialLoss`.
        penalties: `penalties.Penalty` objects, added to the discriminator's loss by their weights.
        constraints: `keras.constraints.Constraint` objects, applied to every trainable weight of the
            discriminator after each of its updates.
        discriminator_steps: updates of the discriminator for each update of the generator.
        seed: an integer; None draws one.
        name: the model's name.

    Raises:
        ValueError: networks that do not fit each other or latent_dim.
    """

    #: Recommended settings: what makes each player's optimizer where `compile` is given none.
    recommended_optimizer: Callable[[], keras.optimizers.Optimizer] = functools.partial(
        optimizers.Adam, 2e-4, beta_1=0.5
    )
    #: Names of a variant's own arguments, kept in its config in place of loss, penalties and constraints.
    options: tuple[str, ...] | None = None

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        latent_dim: int = 128,
        *,
        loss: losses.AdversarialLoss | None = None,
        penalties: Sequence[penalties.Penalty] = (),
        constraints: Sequence[keras.constraints.Constraint] = (),
        discriminator_steps: int = 1,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, name=name)
        if discriminator_steps < 1:
            raise ValueError(f"discriminator_steps must be 1 or more; received {discriminator_steps}.")
        self.generator, self.discriminator, self.latent_dim = generator, discriminator, int(latent_dim)
        self.loss_function = losses.NonSaturating() if loss is None else loss
        self.penalties, self.constraints = list(penalties), list(constraints)
        names = [penalty.name for penalty in self.penalties]
        if len(set(names)) < len(names):
            raise ValueError(
                f"Each penalty needs a name of its own, by which it is logged; received {names}. Set the "
                "attribute `name` of one."
            )
        self.discriminator_steps = int(discriminator_steps)
        self.image_shape = self._build_networks()
        self._joint_scores = independent_of_batch(discriminator)
        self.evaluated_names = (
            "generator_loss",
            "discriminator_loss",
            "real_score",
            "fake_score",
            *(penalty.name for penalty in self.penalties),
        )
        self.log_names = (*self.evaluated_names, "generator_gradient_norm", "discriminator_gradient_norm")
        self.built = True

    def _build_networks(self) -> tuple[int, int, int]:
        try:
            images = self.generator(tf.zeros((2, self.latent_dim)), training=False)
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                f"The generator does not take latent vectors of shape (batch, {self.latent_dim}); set "
                f"latent_dim to the length that it takes. It said: {_first_line(error)}"
            ) from error
        if not tf.is_tensor(images) or len(images.shape) != 4:
            given = tuple(images.shape) if tf.is_tensor(images) else f"a {type(images).__name__}"
            raise ValueError(
                f"The generator must give images (batch, height, width, channels); it gave {given}."
            )
        try:
            scores = self.discriminator(images, training=False)
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                f"The discriminator does not take the generator's images of shape {tuple(images.shape[1:])}. "
                f"It said: {_first_line(error)}"
            ) from error
        if tuple(scores.shape) not in ((2,), (2, 1)):
            raise ValueError(
                "The discriminator must give one score an image, of shape (batch, 1) or (batch,); for two "
                f"images it gave {tuple(scores.shape)}."
            )
        return tuple(images.shape[1:])

    @property
    def players(self):
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def sampled_network(self):
        return self.generator

    def compile(
        self,
        generator_optimizer: keras.optimizers.Optimizer | str | None = None,
        discriminator_optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        generator_correction: SingularityCorrection | None = None,
        discriminator_correction: SingularityCorrection | None = None,
        **options: Any,
    ) -> None:
        """Sets both optimizers, the paper's where left out.

        Args:
            generator_optimizer: a Keras optimizer.
            discriminator_optimizer: another one.
            generator_correction, discriminator_correction: `curvature.SingularityCorrection`s, which correct
                either player's gradient by its curvature; None leaves it.
            **options: `gradient_clip_norm`, `ema_decay`, `run_eagerly`, `steps_per_execution`,
                `jit_compile`, as in `GenerativeModel.compile`.

        Raises:
            ValueError: one optimizer object for both players, or an option out of range.
        """
        generator_optimizer = generator_optimizer or type(self).recommended_optimizer()
        discriminator_optimizer = discriminator_optimizer or type(self).recommended_optimizer()
        if generator_optimizer is discriminator_optimizer and not isinstance(generator_optimizer, str):
            raise ValueError("Both players got the same optimizer object; each needs one of its own.")
        both = {"generator": generator_optimizer, "discriminator": discriminator_optimizer}
        corrections = {"generator": generator_correction, "discriminator": discriminator_correction}
        super().compile(optimizers=both, corrections=corrections, **options)

    # The step.

    def _scores(self, real: tf.Tensor, fake: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores of real and fake images: in one pass where no layer looks across the batch."""
        if self._joint_scores:
            # In pairs, so that a replica's rows are neighbours in the global batch and draw its numbers.
            both = tf.reshape(tf.stack([real, fake], axis=1), (-1, *self.image_shape))
            real_scores, fake_scores = tf.unstack(
                tf.reshape(self.discriminator(both, training=training), (-1, 2)), axis=1
            )
        else:
            real_scores = self.discriminator(real, training=training)
            fake_scores = self.discriminator(fake, training=training)
        return tf.cast(real_scores, tf.float32), tf.cast(fake_scores, tf.float32)

    def _real(self, data) -> tf.Tensor:
        images = self.images_of(data)
        if not images.shape.is_compatible_with((None, *self.image_shape)):
            raise ValueError(
                f"The networks are for images of shape {self.image_shape}; received a batch of shape "
                f"{tuple(images.shape)}. Load the data with image_size={self.image_shape[:2]} and "
                f"channels={self.image_shape[2]}, or build the model for that shape."
            )
        return images

    def _evaluated(self) -> tf.Tensor:
        """A step of its own, below zero, for each batch: minus the examples seen so far on all replicas."""
        return -1 - replica_count() * tf.cast(self.trackers["generator_loss"].count, tf.int64)

    def _fakes(self, count, stream, training: bool) -> tf.Tensor:
        return tf.cast(
            self.generator(stream.normal(count, (self.latent_dim,)), training=training), tf.float32
        )

    def _discriminator_losses(self, real, fake, stream, training: bool) -> dict[str, tf.Tensor]:
        real_scores, fake_scores = self._scores(real, fake, training)
        discriminator = functools.partial(self.discriminator, training=training)
        extra = {penalty.name: penalty(discriminator, real, fake, stream) for penalty in self.penalties}
        loss = self.loss_function.discriminator(real_scores, fake_scores)
        return {
            "discriminator_loss": loss + sum(p.weight * extra[p.name] for p in self.penalties),
            "real_score": tf.reduce_mean(real_scores),
            "fake_score": tf.reduce_mean(fake_scores),
            **extra,
        }

    def _generator_loss(self, real, fake, training: bool) -> tf.Tensor:
        if self.loss_function.needs_real_logits:
            real_scores, fake_scores = self._scores(real, fake, training)
            return self.loss_function.generator(fake_scores, real_scores)
        return self.loss_function.generator(tf.cast(self.discriminator(fake, training=training), tf.float32))

    def train_step(self, data):
        """One step on a batch of images, or (images, labels); returns the running means."""
        real = self.even_shares(self._real(data))
        count = tf.shape(real)[0]
        with self.random_stream() as stream:
            for _ in range(self.discriminator_steps):
                fake = self._fakes(count, stream, training=True)
                values_of = functools.partial(self._discriminator_losses, real, fake, stream, training=True)
                again = self.repeatable(stream, functools.partial(_entry, values_of, "discriminator_loss"))
                with tf.GradientTape() as tape:
                    values = values_of()
                self.update("discriminator", values["discriminator_loss"], tape, values, again)
                for constraint in self.constraints:
                    for variable in self.discriminator.trainable_variables:
                        variable.assign(constraint(variable.value))
                self.log(**values)

            def generator_loss():
                return self._generator_loss(real, self._fakes(count, stream, training=True), training=True)

            again = self.repeatable(stream, generator_loss)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([variable.value for variable in self.generator.trainable_variables])
                loss = generator_loss()
            self.update("generator", loss, tape, again=again)
            self.log(generator_loss=loss)
        self.finish_step()
        return self.results()

    def test_step(self, data):
        """Losses and penalties on a batch, nothing trained; returns the running means."""
        real = self._real(data)
        count = tf.shape(real)[0]
        with self.random_stream(self._evaluated()) as stream:
            fake = self._fakes(count, stream, training=False)
            values = self._discriminator_losses(real, fake, stream, training=False)
            values["generator_loss"] = self._generator_loss(real, fake, training=False)
        self.log_examples(count, **values)
        return self.results(self.evaluated_names)

    def predict_step(self, data):
        """Images of a batch of latent vectors."""
        latents = data[0] if isinstance(data, (tuple, list)) else data
        return self(latents, training=False)

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
        """The latent vectors that `sample(n, seed)` uses: float32 (n, latent_dim), standard normal."""
        if n < 1:
            raise ValueError(f"n must be 1 or more; received {n}.")
        if seed is not None and seed < 0:
            raise ValueError(f"seed must be 0 or more, or None; received {seed}.")
        return np.random.default_rng(seed).standard_normal((n, self.latent_dim), np.float32)

    def generate(self, latents) -> np.ndarray:
        """Images of given latent vectors (n, latent_dim): float32 (n, height, width, channels) in [-1, 1]."""
        return self._generate(np.asarray(latents, np.float32))

    # Saving.

    def get_config(self) -> dict:
        """The arguments that make an equal model, networks included."""
        config = {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "latent_dim": self.latent_dim,
            "discriminator_steps": self.discriminator_steps,
            "seed": self.seed,
            "name": self.name,
        }
        if self.options is not None:
            return {**config, **{option: getattr(self, option) for option in self.options}}
        serialize = keras.saving.serialize_keras_object
        return {
            **config,
            "loss": serialize(self.loss_function),
            "penalties": [serialize(penalty) for penalty in self.penalties],
            "constraints": [serialize(constraint) for constraint in self.constraints],
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """A model from its config."""
        deserialize = functools.partial(keras.saving.deserialize_keras_object, custom_objects=custom_objects)
        return cls(**{key: deserialize(value) for key, value in config.items()})


def _entry(function: Callable[[], dict[str, tf.Tensor]], name: str) -> tf.Tensor:
    return function()[name]


def _first_line(error: Exception) -> str:
    text = re.sub(r"\x1b\[\d*m", "", str(error))  # Keras prints in bold
    lines = [line.strip() for line in text.splitlines()]
    return next(line for line in lines if line and not line.startswith("Exception encountered when calling"))
