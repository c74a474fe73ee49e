"""Adversarial losses on scores (logits), an object with a part for either player; a VAE's parts per image.

Scores have shape (batch,) or (batch, 1), any range, and are taken as float32; every part is a scalar, the
mean over the batch, to be minimized by its player. Negative log-likelihoods and divergences are functions,
in nats, summed over each image's values: shape (batch,).
"""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from keras_gen.distribute import global_mean

softplus = tf.nn.softplus


def _scores(*values: tf.Tensor) -> list[tf.Tensor]:
    wide = [tf.convert_to_tensor(value) for value in values]
    return [tf.cast(v, tf.float32) if v.dtype in (tf.bfloat16, tf.float16) else v for v in wide]


class AdversarialLoss:
    """What a loss is made of; subclasses give both parts. Two losses are equal when their configs are."""

    def discriminator(self, real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
        """The discriminator's loss, a scalar."""
        raise NotImplementedError(
            f"{type(self).__name__} must define discriminator(real_logits, fake_logits)"
        )

    def generator(self, fake_logits: tf.Tensor, real_logits: tf.Tensor | None = None) -> tf.Tensor:
        """The generator's loss, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} must define generator(fake_logits, real_logits)")

    @property
    def needs_real_logits(self) -> bool:
        """Whether the generator's part compares with the scores of real images."""
        return False

    def get_config(self) -> dict:
        """The arguments that make an equal loss."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> AdversarialLoss:
        """A loss from its config."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), str(self.get_config())))

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({options})"


@keras.saving.register_keras_serializable(package="keras_gen")
class NonSaturating(AdversarialLoss):
    """L_D = −E log σ(D(x)) − E log(1 − σ(D(G(z)))), L_G = −E log σ(D(G(z))).

    Reference: Generative Adversarial Networks, 2014, arXiv:1406.2661.
    """

    def discriminator(self, real_logits, fake_logits):
        real, fake = _scores(real_logits, fake_logits)
        return tf.reduce_mean(softplus(-real)) + tf.reduce_mean(softplus(fake))

    def generator(self, fake_logits, real_logits=None):
        return tf.reduce_mean(softplus(-_scores(fake_logits)[0]))


@keras.saving.register_keras_serializable(package="keras_gen")
class Minimax(NonSaturating):
    """The zero-sum form: the discriminator's part as in `NonSaturating`, L_G = E log(1 − σ(D(G(z)))).

    Reference: Generative Adversarial Networks, 2014, arXiv:1406.2661, equation 1.
    """

    def generator(self, fake_logits, real_logits=None):
        return -tf.reduce_mean(softplus(_scores(fake_logits)[0]))


@keras.saving.register_keras_serializable(package="keras_gen")
class LeastSquares(AdversarialLoss):
    """L_D = ½ E (D(x) − 1)² + ½ E D(G(z))², L_G = ½ E (D(G(z)) − 1)².

    Reference: Least Squares Generative Adversarial Networks, 2016, arXiv:1611.04076.
    """

    def discriminator(self, real_logits, fake_logits):
        real, fake = _scores(real_logits, fake_logits)
        return 0.5 * (tf.reduce_mean(tf.square(real - 1)) + tf.reduce_mean(tf.square(fake)))

    def generator(self, fake_logits, real_logits=None):
        return 0.5 * tf.reduce_mean(tf.square(_scores(fake_logits)[0] - 1))


@keras.saving.register_keras_serializable(package="keras_gen")
class Hinge(AdversarialLoss):
    """L_D = E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))), L_G = −E D(G(z)).

    Reference: Geometric GAN, 2017, arXiv:1705.02894.
    """

    def discriminator(self, real_logits, fake_logits):
        real, fake = _scores(real_logits, fake_logits)
        return tf.reduce_mean(tf.nn.relu(1 - real)) + tf.reduce_mean(tf.nn.relu(1 + fake))

    def generator(self, fake_logits, real_logits=None):
        return -tf.reduce_mean(_scores(fake_logits)[0])


@keras.saving.register_keras_serializable(package="keras_gen")
class Wasserstein(AdversarialLoss):
    """L_D = E D(G(z)) − E D(x), L_G = −E D(G(z)); the tutorial's `log` in it is a slip.

    Reference: Wasserstein GAN, 2017, arXiv:1701.07875.
    """

    def discriminator(self, real_logits, fake_logits):
        real, fake = _scores(real_logits, fake_logits)
        return tf.reduce_mean(fake) - tf.reduce_mean(real)

    def generator(self, fake_logits, real_logits=None):
        return -tf.reduce_mean(_scores(fake_logits)[0])


@keras.saving.register_keras_serializable(package="keras_gen")
class RelativisticAverage(AdversarialLoss):
    """Each score is judged relative to the mean score of the other kind, over the global batch.

    L_D = −E log σ(D(x) − E D(G(z))) − E log σ(E D(x) − D(G(z))); L_G is the same with the roles exchanged.

    Reference: The relativistic discriminator: a key element missing from standard GAN, 2018,
    arXiv:1807.00734.
    """

    def discriminator(self, real_logits, fake_logits):
        real, fake = _scores(real_logits, fake_logits)
        above, below = real - global_mean(fake), fake - global_mean(real)
        return tf.reduce_mean(softplus(-above)) + tf.reduce_mean(softplus(below))

    @property
    def needs_real_logits(self):
        return True

    def generator(self, fake_logits, real_logits=None):
        if real_logits is None:
            raise ValueError(
                "RelativisticAverage.generator also needs real_logits, the scores of real images."
            )
        return self.discriminator(fake_logits, real_logits)


def _sum_per_example(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values, axis=list(range(1, len(values.shape))))


def gaussian_kl(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each example: ½ Σ (μ² + σ² − 1 − log σ²).

    The tutorial's sign of this term is a slip: here it is positive, and added to the loss.

    Args:
        mean: (batch, latent_dim).
        log_variance: of the same shape, the natural logarithm of the variances.

    Returns:
        (batch,), in nats, zero or more.

    Reference: Auto-Encoding Variational Bayes, 2013, arXiv:1312.6114, appendix B.
    """
    mean, log_variance = _scores(mean, log_variance)
    return 0.5 * _sum_per_example(tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance)


def bernoulli_nll(images: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """−Σ x log σ(l) + (1 − x) log(1 − σ(l)) of each image: the cross-entropy of its pixels.

    Args:
        images: (batch, …) in [0, 1], the probability that a pixel is white; this package's images, which are
            in [-1, 1], are `(images + 1) / 2`.
        logits: of the same shape, any range.

    Returns:
        (batch,), in nats.
    """
    images, logits = _scores(images, logits)
    return _sum_per_example(tf.nn.sigmoid_cross_entropy_with_logits(images, logits))


def gaussian_nll(images: tf.Tensor, mean: tf.Tensor, log_variance: tf.Tensor | float = 0.0) -> tf.Tensor:
    """−log N(x; mean, exp(log_variance)) of each image: ½ Σ ((x − μ)² / σ² + log σ² + log 2π).

    Args:
        images: (batch, …), any range.
        mean: of the same shape.
        log_variance: the natural logarithm of the variances, of the same shape or one for all.

    Returns:
        (batch,), in nats of a density over the images' units.
    """
    images, mean = _scores(images, mean)
    log_variance = tf.cast(log_variance, mean.dtype)
    squares = tf.math.squared_difference(images, mean) * tf.exp(-log_variance)
    return 0.5 * _sum_per_example(squares + log_variance + math.log(2 * math.pi))
