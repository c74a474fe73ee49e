"""VQVAE: an autoencoder whose latent variables are a grid of codes, with an autoregressive prior."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_gen import likelihoods
from keras_gen.curvature import SingularityCorrection
from keras_gen.layers import VectorQuantizer, straight_through
from keras_gen.models.autoencoder import AutoencoderModel, Elbo
from keras_gen.models.latent_variable import first_line
from keras_gen.networks.autoencoder import Autoencoder
from keras_gen.networks.vq_vae import grid_sizes
from keras_gen.random import draw


@keras.saving.register_keras_serializable(package="keras_gen")
class VQVAE(AutoencoderModel):
    """A vector-quantized autoencoder, and a prior of its codes; both Adam 1e-3.

    Two players: `model`, encoder and decoder, by reconstruction + commitment ‖z − sg(e)‖²; and `prior`, by
    the cross-entropy of the codes. The paper fits the prior afterwards; here each step trains both, so that
    `sample` works after one plain `fit`. No gradient passes from one to the other.

    `latents` gives grids of codes, integers (count, rows, columns), drawn from the prior; `encode` gives
    those of images. The bound that is logged is log p(x|codes) + log p(codes): the posterior is one grid,
    so its divergence from the prior is −log p(codes).

    Args:
        encoder: a network from images to vectors (batch, rows, columns, latent_dim).
        decoder: a network from such vectors to unbounded outputs (batch, height, width, channels).
        prior: a network from the codes before each place, integers (batch, rows × columns) that begin with
            num_codes, to logits (batch, rows × columns, num_codes); see `networks.transformer_prior`.
        latent_dim: length of the vectors.
        num_codes: number of codes.
        commitment: weight of the commitment loss.
        decay: of the codebook's moving means.
        likelihood, variance: as in `VAE`.
        seed: an integer; None draws one.
        name: the model's name.

    Raises:
        ValueError: networks that do not fit each other, latent_dim or num_codes.

    Reference: Neural Discrete Representation Learning, 2017, arXiv:1711.00937.
    """

    roles = ("encoder", "decoder", "prior")
    # An average smears what codes meant before they were restarted.
    gains_by_average = False
    options = ("num_codes", "commitment", "decay", "likelihood", "variance")
    evaluated_names = ("loss", "prior_loss", "negative_elbo", "reconstruction", "kl", "commitment")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        prior: keras.Model,
        latent_dim: int = 64,
        *,
        num_codes: int = 256,
        commitment: float = 0.25,
        decay: float = 0.99,
        likelihood: str | likelihoods.Likelihood = "bernoulli",
        variance: float | None = None,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, name=name)
        if not commitment >= 0:
            raise ValueError(f"commitment must be zero or more; received {commitment}.")
        self.latent_dim, self.num_codes = int(latent_dim), int(num_codes)
        self.commitment, self.decay = float(commitment), float(decay)
        self.likelihood, self.variance = likelihood, variance
        parts = (encoder, decoder, likelihoods.get(likelihood, variance))
        quantizer = VectorQuantizer(num_codes, latent_dim, decay, name="quantizer")
        self.autoencoder = Autoencoder(*parts, name="autoencoder")  # what `model` trains
        self.network = Autoencoder(*parts, quantizer=quantizer, prior=prior, name="network")
        self.grid_shape, self.image_shape = self._build_networks()
        self.log_names = (
            *self.evaluated_names,
            "perplexity",
            "model_gradient_norm",
            "prior_gradient_norm",
        )
        self.built = True

    @classmethod
    def make_networks(cls, makers, image_shape, latent_dim, **options):
        """Networks for a grid of codes."""
        return {
            "encoder": makers["encoder"](image_shape, latent_dim),
            "decoder": makers["decoder"](image_shape, latent_dim),
            "prior": makers["prior"](grid_sizes(image_shape)[-1] ** 2, options["num_codes"]),
        }

    def _build_networks(self) -> tuple[tuple[int, int], tuple[int, int, int]]:
        network = self.network
        shape = getattr(network.encoder, "input_shape", None)
        if not isinstance(shape, tuple) or len(shape) != 4:
            raise ValueError(
                "The encoder must have been built for images: call it on a batch of them once, before it is "
                "given to VQVAE."
            )
        image_shape = tuple(shape[1:])
        try:
            vectors = network.encoder(tf.zeros((2, *image_shape)))
            outputs = network.decoder(vectors)
            length = vectors.shape[1] * vectors.shape[2]
            logits = network.prior(tf.zeros((2, length), tf.int32))
        except (ValueError, IndexError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                f"The networks do not fit each other: encoder, decoder and prior must agree on the grid of "
                f"vectors. They said: {first_line(error)}"
            ) from error
        found = tuple(vectors.shape[3:]), tuple(outputs.shape[1:]), tuple(logits.shape[1:])
        if found != ((self.latent_dim,), image_shape, (length, self.num_codes)):
            raise ValueError(
                f"The encoder must give vectors of length latent_dim={self.latent_dim}, the decoder outputs "
                f"of the images' shape {image_shape}, the prior logits (batch, {length}, "
                f"{self.num_codes}); they gave {found[0]}, {found[1]} and {found[2]}."
            )
        return tuple(vectors.shape[1:3]), image_shape

    @property
    def prior(self) -> keras.Model:
        """The trained prior."""
        return self.network.prior

    @property
    def players(self):
        return {"model": self.autoencoder, "prior": self.network.prior}

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        prior_optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        correction: SingularityCorrection | None = None,
        prior_correction: SingularityCorrection | None = None,
        **options,
    ) -> None:
        """Sets both optimizers, the recommended ones where left out.

        Args:
            optimizer: a Keras optimizer, for encoder and decoder.
            prior_optimizer: another one.
            correction: a `curvature.SingularityCorrection` of encoder and decoder, by the curvature of their
                loss while each code stays chosen, as the straight-through gradient has it; None leaves it.
            prior_correction: another one, of the prior.
            **options: as in `GenerativeModel.compile`.

        Raises:
            ValueError: one optimizer object for both, or an option out of range.
        """
        optimizer = optimizer or type(self).recommended_optimizer()
        prior_optimizer = prior_optimizer or type(self).recommended_optimizer()
        if optimizer is prior_optimizer and not isinstance(optimizer, str):
            raise ValueError("Both players got the same optimizer object; each needs one of its own.")
        super().compile(
            optimizers={"model": optimizer, "prior": prior_optimizer},
            corrections={"model": correction, "prior": prior_correction},
            **options,
        )

    # The step.

    def _before(self, codes: tf.Tensor) -> tf.Tensor:
        """The code before each place of sequences (batch, length); before the first, num_codes."""
        return tf.pad(codes[:, :-1], [[0, 0], [1, 0]], constant_values=self.num_codes)

    def _vectors(self, network, images, training=False) -> tuple[tf.Tensor, tf.Tensor]:
        vectors = tf.cast(network.encoder(images, training=training), tf.float32)
        return vectors, network.quantizer(tf.stop_gradient(vectors))

    def _reconstruction(self, network, images, vectors, codes, training=False) -> tuple[tf.Tensor, tf.Tensor]:
        """nll and ‖z − sg(e)‖² of each image."""
        nearest = tf.stop_gradient(network.quantizer.look_up(codes))
        outputs = network.decoder(straight_through(vectors, nearest), training=training)
        distance = tf.reduce_sum(tf.math.squared_difference(vectors, nearest), axis=(1, 2, 3))
        return network.likelihood.nll(images, tf.cast(outputs, tf.float32)), distance

    def _code_nll(self, network, codes, training=False) -> tf.Tensor:
        """−log p(codes) of each image, in nats."""
        codes = tf.reshape(codes, (-1, self.grid_shape[0] * self.grid_shape[1]))
        logits = tf.cast(network.prior(self._before(codes), training=training), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=codes, logits=logits)
        return tf.reduce_sum(losses, axis=1)

    @staticmethod
    def _values(nll, distance, code_nll, commitment) -> dict[str, tf.Tensor]:
        return {
            "loss": nll + commitment * distance,
            "prior_loss": code_nll,
            "negative_elbo": nll + code_nll,
            "reconstruction": nll,
            "kl": code_nll,
            "commitment": distance,
        }

    def player_losses(self, data, stream):
        """Both players' losses on a batch, each image's codes taken as chosen."""
        images = self.checked_images(data)
        vectors, codes = self._vectors(self.network, images, training=True)
        parts = self._reconstruction(self.network, images, vectors, codes, training=True)
        nll, distance = (tf.reduce_mean(part) for part in parts)
        code_nll = tf.reduce_mean(self._code_nll(self.network, codes, training=True))
        return {"model": nll + self.commitment * distance, "prior": code_nll}

    def train_step(self, data):
        """One step of both players on a batch of images; returns the running means."""
        images = self.even_shares(self.checked_images(data))
        with self.random_stream() as stream:

            def reconstruction(chosen=None):
                vectors, codes = self._vectors(self.network, images, training=True)
                codes = codes if chosen is None else chosen
                parts = self._reconstruction(self.network, images, vectors, codes, training=True)
                nll, distance = (tf.reduce_mean(part) for part in parts)
                return nll + self.commitment * distance, nll, distance, vectors, codes

            def code_loss():
                return tf.reduce_mean(self._code_nll(self.network, codes, training=True))

            again = self.repeatable(stream, lambda: reconstruction(codes)[0])
            with tf.GradientTape() as tape:
                loss, nll, distance, vectors, codes = reconstruction()
            prior_again = self.repeatable(stream, code_loss)
            with tf.GradientTape() as prior_tape:
                code_nll = code_loss()
            values = self._values(nll, distance, code_nll, self.commitment)
            self.update("model", loss, tape, values, again)
            self.update("prior", code_nll, prior_tape, again=prior_again)
            perplexity = self.network.quantizer.update(vectors, codes, stream)
        self.log(**values, perplexity=perplexity)
        self.finish_step()
        return self.results()

    def test_step(self, data):
        """The parts of the bound on a batch, by the moving average where there is one; nothing trained."""
        data, count = self.evaluated_share(data)
        images = self.checked_images(data)
        vectors, codes = self._vectors(self.sampler, images)
        parts = (
            *self._reconstruction(self.sampler, images, vectors, codes),
            self._code_nll(self.sampler, codes),
        )
        nll, distance, code_nll = (tf.reduce_mean(part) for part in parts)
        values = self._values(nll, distance, code_nll, self.commitment)
        self.log_examples(count, **values)
        return self.results(self.evaluated_names)

    # Images and codes.

    def encode(self, images, labels=None) -> np.ndarray:
        """The codes of images (count, height, width, channels) in [-1, 1]: int32 (count, rows, columns)."""

        def encode(network, images, stream):
            return (self._vectors(network, images)[1],)

        self._conditions(labels, len(images))
        return self._in_batches(encode, self._images(images))[0]

    def call(self, codes, training=False):
        """Images in [-1, 1] of codes (batch, rows, columns)."""
        network = self.sampler
        vectors = network.quantizer.look_up(tf.cast(codes, tf.int32))
        return network.likelihood.images(network.decoder(vectors, training=training))

    def decode(self, codes, labels=None) -> np.ndarray:
        """Images (count, height, width, channels) in [-1, 1] of codes, integers (count, rows, columns).

        Raises:
            ValueError: codes of another shape, or out of range.
        """
        self._conditions(labels, len(codes))
        codes = np.asarray(codes)
        if codes.shape[1:] != self.grid_shape or codes.dtype.kind not in "iu":
            raise ValueError(
                f"Codes must be integers (count, {self.grid_shape[0]}, {self.grid_shape[1]}), as latents() "
                f"and encode() give them; received {codes.dtype} {codes.shape}."
            )
        if codes.min() < 0 or codes.max() >= self.num_codes:
            raise ValueError(f"Codes must be from 0 to {self.num_codes - 1}; received up to {codes.max()}.")

        def decode(network, codes, stream):
            return (self(codes),)

        return self._in_batches(decode, codes.astype(np.int32))[0]

    def generate(self, latents) -> np.ndarray:
        """The same as `decode`, by the name that all models have."""
        return self.decode(latents)

    def latents(self, n: int, seed: int | None = None) -> np.ndarray:
        """Codes drawn from the prior, place by place: int32 (n, rows, columns)."""
        length = self.grid_shape[0] * self.grid_shape[1]
        noise = draw("uniform", n, self.check_draw(n, seed), (length,))

        def codes(network, noise, stream):
            return (self.codes_of(network, noise),)

        return self._in_batches(codes, noise)[0]

    def codes_of(self, network: Autoencoder, noise: tf.Tensor) -> tf.Tensor:
        """Codes (batch, rows, columns) of uniform numbers (batch, rows × columns), one for each place."""
        length = noise.shape[1]

        def place(i, codes):
            logits = tf.cast(network.prior(self._before(codes)), tf.float32)[:, i]
            below = tf.cumsum(tf.nn.softmax(logits), axis=1) < noise[:, i, None]
            code = tf.reduce_sum(tf.cast(below, tf.int32), axis=1)
            code = tf.minimum(code, self.num_codes - 1)  # the sum may end a rounding below one
            return i + 1, tf.where(tf.range(length) == i, code[:, None], codes)

        start = tf.zeros(tf.shape(noise), tf.int32)
        _, codes = tf.while_loop(lambda i, codes: i < length, place, (0, start))
        return tf.reshape(codes, (-1, *self.grid_shape))

    def reconstruct(self, images, labels=None) -> np.ndarray:
        """`decode` of the images' codes: float32 of their shape, in [-1, 1]."""
        return self.decode(self.encode(images, labels))

    def elbo(self, images, labels=None, *, seed: int = 0) -> Elbo:
        """The bound of each image: log p(x|codes) + log p(codes), where −log p(codes) is named kl.

        Args:
            images: float32 (count, height, width, channels) in [-1, 1].
            labels: None; for the same call as other models'.
            seed: of no effect, since nothing is drawn.

        Returns:
            `Elbo(elbo, reconstruction, kl)`, each float32 (count,), in nats.
        """

        def elbo(network, images, stream):
            vectors, codes = self._vectors(network, images)
            nll = self._reconstruction(network, images, vectors, codes)[0]
            kl = self._code_nll(network, codes)
            return -nll - kl, -nll, kl

        self._conditions(labels, len(images))
        return Elbo(*self._in_batches(elbo, self._images(images)))
