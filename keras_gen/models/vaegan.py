"""VAEGAN: a VAE whose images are compared in a discriminator's features, its decoder a GAN's generator."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from keras_gen import losses, optimizers
from keras_gen.curvature import SingularityCorrection
from keras_gen.models.latent_variable import first_line
from keras_gen.models.vae import VAE


@keras.saving.register_keras_serializable(package="keras_gen")
class VAEGAN(VAE):
    """A VAE and a GAN that share the decoder; Adam 1e-3, the discriminator's 2e-4, β₁ 0.5.

    Three players, all updated from one pass: the encoder by KL + similarity, the decoder by
    `similarity_weight` similarity + the non-saturating loss of reconstructions and samples, the discriminator
    by its own loss against both. Similarity is ½ ‖f(x) − f(x̃)‖² in the discriminator's features f.

    `elbo` and `log_likelihood` are those of the Bernoulli likelihood in pixels, for measuring alone.

    Args:
        encoder, decoder: as in `VAE`.
        discriminator: a network from images to scores (batch, 1) and features (batch, …), two outputs; see
            `networks.feature_discriminator`.
        latent_dim: length of the latent vectors.
        similarity_weight: the paper's γ.
        seed: an integer; None draws one.
        name: the model's name.

    Raises:
        ValueError: networks that do not fit each other or latent_dim.

    Reference: Autoencoding beyond pixels using a learned similarity metric, 2015, arXiv:1512.09300.
    """

    roles = ("encoder", "decoder", "discriminator")
    rivals = ("decoder", "discriminator")
    options = ("similarity_weight",)
    recommended_optimizer = functools.partial(optimizers.Adam, 1e-3, beta_1=0.5)
    evaluated_names = (
        "encoder_loss",
        "decoder_loss",
        "discriminator_loss",
        "similarity",
        "negative_elbo",
        "reconstruction",
        "kl",
        "active_units",
    )

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        discriminator: keras.Model,
        latent_dim: int = 100,
        *,
        similarity_weight: float = 0.01,
        seed: int | None = None,
        name: str | None = None,
    ):
        if not similarity_weight >= 0:
            raise ValueError(f"similarity_weight must be zero or more; received {similarity_weight}.")
        super().__init__(encoder, decoder, latent_dim, seed=seed, name=name)
        self.discriminator, self.similarity_weight = discriminator, float(similarity_weight)
        self._build_discriminator()
        self.log_names = (*self.evaluated_names, *(f"{player}_gradient_norm" for player in self.players))

    def _build_discriminator(self) -> None:
        try:
            outputs = self.discriminator(tf.zeros((2, *self.image_shape)))
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                f"The discriminator does not take images of shape {self.image_shape}. "
                f"It said: {first_line(error)}"
            ) from error
        pair = isinstance(outputs, (list, tuple)) and len(outputs) == 2
        if not pair or tuple(outputs[0].shape) not in ((2,), (2, 1)):
            raise ValueError(
                "The discriminator must give two outputs: a score an image, of shape (batch, 1) or (batch,), "
                "and features, such as the outputs of one of its convolutions."
            )

    @property
    def players(self):
        return {"encoder": self.encoder, "decoder": self.decoder, "discriminator": self.discriminator}

    def compile(  # type: ignore[override]
        self,
        encoder_optimizer: keras.optimizers.Optimizer | str | None = None,
        decoder_optimizer: keras.optimizers.Optimizer | str | None = None,
        discriminator_optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        encoder_correction: SingularityCorrection | None = None,
        decoder_correction: SingularityCorrection | None = None,
        discriminator_correction: SingularityCorrection | None = None,
        **options: Any,
    ) -> None:
        """Sets the three optimizers, the recommended ones where left out.

        Args:
            encoder_optimizer, decoder_optimizer, discriminator_optimizer: Keras optimizers.
            encoder_correction, decoder_correction, discriminator_correction:
                `curvature.SingularityCorrection`s, which correct a player's gradient by its curvature; None
                leaves it.
            **options: as in `GenerativeModel.compile`.

        Raises:
            ValueError: one optimizer object for two players, or an option out of range.
        """
        # At the others' rate the discriminator tells the decoder's blurs apart before they become images.
        judge = discriminator_optimizer or optimizers.Adam(2e-4, beta_1=0.5)
        given = (encoder_optimizer, decoder_optimizer, judge)
        chosen = [optimizer or type(self).recommended_optimizer() for optimizer in given]
        if len({id(optimizer) for optimizer in chosen if not isinstance(optimizer, str)}) < sum(
            not isinstance(optimizer, str) for optimizer in chosen
        ):
            raise ValueError("Two players got the same optimizer object; each needs one of its own.")
        # Not the compile of VAE, which is for its one player.
        corrections = (encoder_correction, decoder_correction, discriminator_correction)
        super(VAE, self).compile(
            optimizers=dict(zip(self.players, chosen, strict=True)),
            corrections=dict(zip(self.players, corrections, strict=True)),
            **options,
        )

    def _judged(self, images, training) -> tuple[tf.Tensor, tf.Tensor]:
        scores, features = self.discriminator(images, training=training)
        return tf.cast(scores, tf.float32), tf.cast(features, tf.float32)

    def _decoded(self, network, posterior, stream, training) -> tuple[tf.Tensor, tf.Tensor]:
        """Outputs of latent vectors drawn from the posterior, and of as many from the prior."""
        mean, log_variance = posterior
        count = tf.shape(mean)[0]
        latents = mean + tf.exp(0.5 * log_variance) * stream.normal(count, (self.latent_dim,))
        outputs = self._outputs(network, latents, None, training)
        return outputs, self._outputs(network, stream.normal(count, (self.latent_dim,)), None, training)

    def _values(self, network, images, posterior, decoded, training) -> dict[str, tf.Tensor]:
        (mean, log_variance), (outputs, drawn) = posterior, decoded
        count = tf.shape(images)[0]
        # In one pass, so that batch normalization measures all three by the same statistics.
        made = [network.likelihood.images(each) for each in (outputs, drawn)]
        judged = self._judged(tf.concat([images, *made], 0), training)
        (real_scores, scores, drawn_scores), (real_features, features, _) = (
            tf.split(part, 3) for part in judged
        )

        squares = tf.math.squared_difference(real_features, features)
        similarity = 0.5 * tf.reduce_sum(squares) / tf.cast(tf.maximum(count, 1), tf.float32)
        kl = tf.reduce_mean(losses.gaussian_kl(mean, log_variance))
        nll = tf.reduce_mean(network.likelihood.nll(images, outputs))
        fake = tf.concat([tf.reshape(scores, [-1]), tf.reshape(drawn_scores, [-1])], 0)
        gan = losses.NonSaturating()
        return {
            "encoder_loss": kl + similarity,
            "decoder_loss": self.similarity_weight * similarity + gan.generator(fake),
            "discriminator_loss": gan.discriminator(real_scores, fake),
            "similarity": similarity,
            "negative_elbo": nll + kl,
            "reconstruction": nll,
            "kl": kl,
            "active_units": self.count_active(mean),
        }

    def _bound(self, network, data, images, stream, training):
        posterior = self._posterior(network, images, None, training)
        decoded = self._decoded(network, posterior, stream, training)
        return self._values(network, images, posterior, decoded, training), {}

    def player_losses(self, data, stream):
        """The three players' losses on a batch."""
        images = self.checked_images(data)
        values, _ = self._bound(self.network, data, images, stream, training=True)
        return {player: values[f"{player}_loss"] for player in self.players}

    def train_step(self, data):
        """One step of the three players on a batch of images; returns the running means."""
        images = self.even_shares(self.checked_images(data))
        with self.random_stream() as stream:
            # A player's loss again takes from this pass what the players updated before it made.
            again = {}

            def whole():
                return self._bound(self.network, data, images, stream, training=True)[0]["encoder_loss"]

            def from_posterior():
                decoded = self._decoded(self.network, posterior, stream, training=True)
                values = self._values(self.network, images, posterior, decoded, training=True)
                return values["decoder_loss"]

            def from_decoded():
                values = self._values(self.network, images, posterior, decoded, training=True)
                return values["discriminator_loss"]

            again["encoder"] = self.repeatable(stream, whole)
            with tf.GradientTape(persistent=True) as tape:
                posterior = self._posterior(self.network, images, None, training=True)
                again["decoder"] = self.repeatable(stream, from_posterior)
                decoded = self._decoded(self.network, posterior, stream, training=True)
                again["discriminator"] = self.repeatable(stream, from_decoded)
                values = self._values(self.network, images, posterior, decoded, training=True)
            for player in self.players:
                self.update(player, values[f"{player}_loss"], tape, values, again[player])
            del tape
        self.log(**values)
        self.finish_step()
        return self.results()
