"""VAE: an encoder and a decoder trained by the evidence lower bound."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_gen import likelihoods
from keras_gen.curvature import SingularityCorrection
from keras_gen.distribute import global_variance
from keras_gen.losses import gaussian_kl
from keras_gen.models.autoencoder import AutoencoderModel, Elbo
from keras_gen.models.latent_variable import first_line
from keras_gen.networks.autoencoder import Autoencoder
from keras_gen.random import RandomStream

_MOST_WEIGHTED = 1000  # images whose log-likelihood `measures` takes, at 128 decodings each
_YOUNG = 100  # steps before which an inactive posterior is no news
_ACTIVE = 0.01  # variance of a unit's posterior means over the data, as in Burda et al.


class LogLikelihood(NamedTuple):
    """log p(x) of each image in nats, and −log₂ p(x) by the number of its values."""

    nats: np.ndarray
    bits_per_dimension: np.ndarray


@keras.saving.register_keras_serializable(package="keras_gen")
class VAE(AutoencoderModel):
    """A variational autoencoder; Adam 1e-3.

    The tutorial trains with Adam 2e-4.

    One player, `model`, is trained: encoder and decoder (and a learned variance) together. `compile`'s
    `ema_decay` averages both, and everything below but training then uses the average.

    Args:
        encoder: a network from images (batch, height, width, channels) to mean and log-variance, two outputs
            of shape (batch, latent_dim).
        decoder: a network from (batch, latent_dim) to unbounded outputs (batch, height, width, channels):
            logits for the Bernoulli likelihood, means for the Gaussian.
        latent_dim: length of the latent vectors, standard normal.
        likelihood: "bernoulli", "gaussian", or a `likelihoods.Likelihood`.
        variance: of the Gaussian, in squared units of images in [-1, 1]; None learns it.
        seed: an integer; None draws one.
        name: the model's name.

    Raises:
        ValueError: networks that do not fit each other or latent_dim, or an unknown likelihood.

    Reference: Auto-Encoding Variational Bayes, 2013, arXiv:1312.6114.
    """

    roles: tuple[str, ...] = ("encoder", "decoder")
    options: tuple[str, ...] = ("likelihood", "variance")
    evaluated_names: tuple[str, ...] = ("loss", "negative_elbo", "reconstruction", "kl", "active_units")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: int = 100,
        *,
        likelihood: str | likelihoods.Likelihood = "bernoulli",
        variance: float | None = None,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, name=name)
        self.latent_dim, self.likelihood, self.variance = int(latent_dim), likelihood, variance
        self.network = Autoencoder(
            encoder, decoder, likelihoods.get(likelihood, variance), name="autoencoder"
        )
        self.image_shape = self._build_networks()
        self.log_names = (*self.evaluated_names, "model_gradient_norm")
        self.built = True

    def _build_networks(self) -> tuple[int, int, int]:
        try:
            outputs = self.network.decoder(tf.zeros((2, self.latent_dim + self.condition_dim)))
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                f"The decoder does not take latent vectors of shape (batch, "
                f"{self.latent_dim + self.condition_dim}); set latent_dim to the length that it takes. "
                f"It said: {first_line(error)}"
            ) from error
        if not tf.is_tensor(outputs) or len(outputs.shape) != 4:
            given = tuple(outputs.shape) if tf.is_tensor(outputs) else f"a {type(outputs).__name__}"
            raise ValueError(
                f"The decoder must give outputs (batch, height, width, channels); it gave {given}."
            )
        height, width, channels = outputs.shape[1:]
        try:
            posterior = self.network.encoder(tf.zeros((2, height, width, channels + self.condition_dim)))
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                f"The encoder does not take images of shape "
                f"{(height, width, channels + self.condition_dim)}, which the decoder is for. "
                f"It said: {first_line(error)}"
            ) from error
        shapes = [tuple(part.shape) for part in posterior] if isinstance(posterior, (list, tuple)) else []
        if shapes != [(2, self.latent_dim)] * 2:
            raise ValueError(
                f"The encoder must give mean and log-variance, two outputs of shape (batch, "
                f"{self.latent_dim}); for two images it gave {shapes or tuple(posterior.shape)}."
            )
        return height, width, channels

    @property
    def players(self):
        return {"model": self.network}

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        correction: SingularityCorrection | None = None,
        **options: Any,
    ) -> None:
        """Sets the optimizer, the recommended one where left out.

        Args:
            optimizer: a Keras optimizer.
            correction: a `curvature.SingularityCorrection`, which corrects the gradient by the loss's
                curvature; None leaves it.
            **options: `gradient_clip_norm`, `ema_decay`, `run_eagerly`, `steps_per_execution`,
                `jit_compile`, as in `GenerativeModel.compile`.

        Raises:
            ValueError: an option out of range.
        """
        super().compile(
            optimizers={"model": optimizer or type(self).recommended_optimizer()},
            corrections={"model": correction},
            **options,
        )

    # The step.

    def kl_term(self, kl: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The divergence's part of the loss, given its mean over this replica's images, and what to log."""
        return kl, {}

    def _posterior(self, network, images, conditions, training=False) -> tuple[tf.Tensor, tf.Tensor]:
        if conditions is not None:
            planes = tf.ones_like(images[..., :1]) * conditions[:, None, None, :]
            images = tf.concat([images, planes], axis=-1)
        mean, log_variance = network.encoder(images, training=training)
        return tf.cast(mean, tf.float32), tf.cast(log_variance, tf.float32)

    def _outputs(self, network, latents, conditions, training=False) -> tf.Tensor:
        inputs = latents if conditions is None else tf.concat([latents, conditions], axis=-1)
        return tf.cast(network.decoder(inputs, training=training), tf.float32)

    def _terms(self, network, images, conditions, stream: RandomStream, training=False):
        """Posterior means, and nll and KL of each image by one draw of its latent vector."""
        mean, log_variance = self._posterior(network, images, conditions, training)
        noise = stream.normal(tf.shape(mean)[0], (self.latent_dim,))
        outputs = self._outputs(network, mean + tf.exp(0.5 * log_variance) * noise, conditions, training)
        return mean, network.likelihood.nll(images, outputs), gaussian_kl(mean, log_variance)

    def _bound(self, network, data, images, stream, training: bool) -> tuple[dict, dict]:
        conditions = self.conditions_of(data)
        mean, nll, kl = self._terms(network, images, conditions, stream, training)
        nll, kl = tf.reduce_mean(nll), tf.reduce_mean(kl)
        term, more = self.kl_term(kl)
        values = {"loss": nll + term, "negative_elbo": nll + kl, "reconstruction": nll, "kl": kl}
        return {**values, "active_units": self.count_active(mean)}, more

    @staticmethod
    def count_active(mean: tf.Tensor) -> tf.Tensor:
        """The number of units whose posterior means vary over the global batch; see `active_units`."""
        active = global_variance(tf.stop_gradient(mean)) > _ACTIVE
        return tf.reduce_sum(tf.cast(active, tf.float32))

    def player_losses(self, data, stream):
        """The loss on a batch, of the one player."""
        images = self.checked_images(data)
        return {"model": self._bound(self.network, data, images, stream, training=True)[0]["loss"]}

    def train_step(self, data):
        """One step on a batch of images, or (images, labels); returns the running means."""
        images = self.even_shares(self.checked_images(data))
        with self.random_stream() as stream:

            def bound():
                return self._bound(self.network, data, images, stream, training=True)

            again = self.repeatable(stream, lambda: bound()[0]["loss"])
            with tf.GradientTape() as tape:
                values, more = bound()
            self.update("model", values["loss"], tape, values, again)
        self.log(**values, **more)
        self.finish_step()
        return self.results()

    def test_step(self, data):
        """The parts of the bound on a batch, by the moving average where there is one; nothing trained."""
        data, count = self.evaluated_share(data)
        images = self.checked_images(data)
        with self.random_stream(self._evaluated()) as stream:
            values, _ = self._bound(self.sampler, data, images, stream, training=False)
        self.log_examples(count, **values)
        return self.results(self.evaluated_names)

    def finish_epoch(self, logs):
        """Warns of a posterior that has collapsed; not of one that has hardly been trained."""
        step = int(self.step.numpy())
        if step >= _YOUNG and logs.get("active_units", 1.0) < 0.5:
            warnings.warn(
                f"The posterior has collapsed: after {step} steps none of the {self.latent_dim} latent units "
                "is active, so that images do not depend on them. Try BetaVAE with beta of 1 or less and "
                "annealing='warm-up' or 'cyclical', a lower learning rate, a Gaussian likelihood of a "
                "smaller variance, or a smaller decoder.",
                stacklevel=2,
            )

    # What the trained model says of images; all by the moving average where there is one.

    def encode(self, images, labels=None) -> tuple[np.ndarray, np.ndarray]:
        """The posterior q(z|x) of each image.

        Args:
            images: float32 (count, height, width, channels) in [-1, 1].
            labels: integers (count,), for a model of labels.

        Returns:
            Mean and log-variance, each float32 (count, latent_dim).

        Raises:
            ValueError: images of another shape or range, or labels out of place.
        """

        def encode(network, images, conditions, stream):
            return self._posterior(network, images, conditions)

        images = self._images(images)
        mean, log_variance = self._in_batches(encode, images, self._conditions(labels, len(images)))
        return mean, log_variance

    def decode(self, latents, labels=None) -> np.ndarray:
        """Images (count, height, width, channels) in [-1, 1] of latent vectors (count, latent_dim)."""
        return self.generate(latents, labels)

    def generate(self, latents, labels=None) -> np.ndarray:
        """The same as `decode`, by the name that all models have."""
        latents = np.asarray(latents, np.float32)
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(
                f"Latent vectors must have the shape (count, {self.latent_dim}); received {latents.shape}."
            )
        conditions = self._conditions(labels, len(latents))
        return self._generate(latents if conditions is None else np.concatenate([latents, conditions], 1))

    def reconstruct(self, images, labels=None) -> np.ndarray:
        """`decode` of the posterior means: float32 of the images' shape, in [-1, 1]."""
        return self.decode(self.encode(images, labels)[0], labels)

    def impute(self, images, known, labels=None, *, rounds: int = 20) -> np.ndarray:
        """Fills in missing pixels: round by round, they become those of the reconstruction.

        Args:
            images: float32 (count, height, width, channels) in [-1, 1]; missing pixels may hold anything.
            known: booleans of a shape that broadcasts to the images', false where a pixel is missing.
            labels: as in `encode`.
            rounds: reconstructions.

        Returns:
            Images of the same shape, known pixels as they were.

        Reference: Stochastic Backpropagation and Approximate Inference in Deep Generative Models, 2014,
        arXiv:1401.4082, appendix F.
        """
        images = np.asarray(images, np.float32)
        known = np.broadcast_to(np.asarray(known, bool), images.shape)
        filled = np.where(known, images, 0.0).astype(np.float32)
        for _ in range(rounds):
            filled = np.where(known, images, self.reconstruct(filled, labels))
        return filled

    def elbo(self, images, labels=None, *, seed: int = 0) -> Elbo:
        """The evidence lower bound of each image, by one draw of its latent vector.

        Args:
            images: float32 (count, height, width, channels) in [-1, 1].
            labels: as in `encode`.
            seed: of the draws.

        Returns:
            `Elbo(elbo, reconstruction, kl)`, each float32 (count,), in nats: elbo = reconstruction − kl,
            where reconstruction is log p(x|z) and kl the divergence of the posterior from the prior.
        """

        def elbo(network, images, conditions, stream):
            _, nll, kl = self._terms(network, images, conditions, stream)
            return -nll - kl, -nll, kl

        images = self._images(images)
        conditions = self._conditions(labels, len(images))
        return Elbo(*self._in_batches(elbo, images, conditions, seed=seed))

    def log_likelihood(self, images, labels=None, *, samples: int = 128, seed: int = 0) -> LogLikelihood:
        """log p(x) of each image from below, by importance weighting: log 1/K Σ p(x|z) p(z) / q(z|x).

        Args:
            images: float32 (count, height, width, channels) in [-1, 1].
            labels: as in `encode`.
            samples: K, the latent vectors that are drawn for each image; more give a tighter bound.
            seed: of the draws.

        Returns:
            `LogLikelihood(nats, bits_per_dimension)`, each float32 (count,). A Gaussian likelihood is a
            density over [-1, 1]: 7 bits more per dimension make it that of pixels of 8 bits.

        Raises:
            ValueError: samples below one, or images of another shape or range.

        Reference: Importance Weighted Autoencoders, 2015, arXiv:1509.00519.
        """
        if samples < 1:
            raise ValueError(f"samples must be 1 or more; received {samples}.")

        def log_weight(network, images, conditions, stream):
            mean, log_variance = self._posterior(network, images, conditions)
            noise = stream.normal(tf.shape(mean)[0], (self.latent_dim,))
            latents = mean + tf.exp(0.5 * log_variance) * noise
            outputs = self._outputs(network, latents, conditions)
            # log p(z) − log q(z|x); the normalizing constants cancel.
            ratio = 0.5 * tf.reduce_sum(tf.square(noise) + log_variance - tf.square(latents), -1)
            return (ratio - network.likelihood.nll(images, outputs),)

        images = self._images(images)
        conditions = self._conditions(labels, len(images))
        total = np.full(len(images), -np.inf)
        for i in range(samples):
            draw = (seed * 1_000_003 + i) % 2**62
            total = np.logaddexp(total, self._in_batches(log_weight, images, conditions, seed=draw)[0])
        nats = (total - math.log(samples)).astype(np.float32)
        return LogLikelihood(nats, -nats / (math.log(2) * math.prod(self.image_shape)))

    def measures(self, data):
        """Means over images in order: bound and its parts, log-likelihood, errors, and the active units."""
        measured = super().measures(data)
        means: list[np.ndarray] = []
        nats: list[np.ndarray] = []
        bits: list[np.ndarray] = []
        for batch in data:
            images, labels = (batch[0], batch[1]) if self.labelled else (batch, None)
            means.append(self.encode(images, labels)[0])
            room = max(_MOST_WEIGHTED - sum(map(len, nats)), 0)
            if room:
                rest = None if labels is None else labels[:room]
                found = self.log_likelihood(images[:room], rest)
                nats.append(found.nats)
                bits.append(found.bits_per_dimension)
        active = np.concatenate(means).var(axis=0) > _ACTIVE
        return {
            **measured,
            "log_likelihood": float(np.concatenate(nats).mean()),
            "bits_per_dimension": float(np.concatenate(bits).mean()),
            "log_likelihood_images": sum(map(len, nats)),
            "active_units": int(active.sum()),
        }

    def active_units(self, images, labels=None) -> np.ndarray:
        """Which latent units say something of the images: booleans (latent_dim,).

        A unit is active where the variance of its posterior means over the images is above 0.01.

        Reference: Importance Weighted Autoencoders, 2015, arXiv:1509.00519.
        """
        return self.encode(images, labels)[0].var(axis=0) > _ACTIVE
