"""AdversarialModel: the alternating step of two players. A variant is a loss, penalties and constraints."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_gen import losses, optimizers, penalties
from keras_gen.curvature import SingularityCorrection
from keras_gen.models.latent_variable import LatentVariableModel, first_line
from keras_gen.networks import independent_of_batch


@keras.saving.register_keras_serializable(package="keras_gen")
class AdversarialModel(LatentVariableModel):
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

    roles = ("generator", "discriminator")
    rivals = roles
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
        for role, network in (("generator", generator), ("discriminator", discriminator)):
            if not isinstance(network, keras.layers.Layer):
                raise TypeError(
                    f"The {role} must be a Keras model, e.g. of keras_gen.networks; received {network!r}."
                )
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
            takes_images = len(getattr(self.generator, "input_shape", ())) == 4
            advice = (
                "it takes images: are generator and discriminator swapped"
                if takes_images
                else "set latent_dim to the length that it takes"
            )
            raise ValueError(
                f"The generator does not take latent vectors of shape (batch, {self.latent_dim}); {advice}. "
                f"It said: {first_line(error)}"
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
                f"It said: {first_line(error)}"
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

    def player_losses(self, data, stream):
        """Both players' losses on a batch, penalties included, by one set of fakes."""
        real = self.checked_images(data)
        fake = self._fakes(tf.shape(real)[0], stream, training=True)
        values = self._discriminator_losses(real, fake, stream, training=True)
        return {
            "generator": self._generator_loss(real, fake, training=True),
            "discriminator": values["discriminator_loss"],
        }

    def train_step(self, data):
        """One step on a batch of images, or (images, labels); returns the running means."""
        real = self.even_shares(self.checked_images(data))
        count = tf.shape(real)[0]
        with self.random_stream() as stream:
            for _ in range(self.discriminator_steps):
                fake = self._fakes(count, stream, training=True)
                judge = functools.partial(self._discriminator_losses, real, fake, stream, training=True)
                again = self.repeatable(stream, functools.partial(_loss_of, judge))
                with tf.GradientTape() as tape:
                    values = judge()
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
        data, count = self.evaluated_share(data)
        real = self.checked_images(data)
        with self.random_stream(self._evaluated()) as stream:
            fake = self._fakes(tf.shape(real)[0], stream, training=False)
            values = self._discriminator_losses(real, fake, stream, training=False)
            values["generator_loss"] = self._generator_loss(real, fake, training=False)
        self.log_examples(count, **values)
        return self.results(self.evaluated_names)

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


def _loss_of(judge: Callable[[], dict[str, tf.Tensor]]) -> tf.Tensor:
    return judge()["discriminator_loss"]
