"""What a decoder's outputs say about an image: the p(x|z) of a variational autoencoder.

A likelihood is a layer, since its variance may be a weight. Images are float32 (batch, height, width,
channels) in [-1, 1]; outputs have the same shape and any range.
"""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from keras_gen.losses import bernoulli_nll, gaussian_nll


class Likelihood(keras.layers.Layer):
    """What a likelihood is made of; subclasses give both parts."""

    def __init__(self, **options):
        super().__init__(**{**options, "dtype": "float32"})
        self.built = True

    def nll(self, images: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """−log p(image | outputs) of each image, shape (batch,), in nats."""
        raise NotImplementedError(f"{type(self).__name__} must define nll(images, outputs)")

    def images(self, outputs: tf.Tensor) -> tf.Tensor:
        """The mean of p(image | outputs), in [-1, 1]."""
        raise NotImplementedError(f"{type(self).__name__} must define images(outputs)")


@keras.saving.register_keras_serializable(package="keras_gen")
class Bernoulli(Likelihood):
    """Each pixel black or white with the probability σ(output) of white; greys count as probabilities."""

    def nll(self, images, outputs):
        return bernoulli_nll(0.5 * (images + 1.0), outputs)

    def images(self, outputs):
        return tf.tanh(0.5 * tf.cast(outputs, tf.float32))  # 2 σ(l) − 1


@keras.saving.register_keras_serializable(package="keras_gen")
class Gaussian(Likelihood):
    """Each pixel normal around the output, all with one variance; a density over pixels in [-1, 1].

    Args:
        variance: in squared units of the images; None learns it together with the networks.
        **options: `name`.

    Raises:
        ValueError: a variance that is not above zero.

    Reference: learned: Simple and Effective VAE Training with Calibrated Decoders, 2020, arXiv:2006.13202.
    """

    def __init__(self, variance: float | None = None, **options):
        super().__init__(**options)
        if variance is not None and not variance > 0:
            raise ValueError(f"variance must be above zero, or None to learn it; received {variance}.")
        self.variance = None if variance is None else float(variance)
        # About that of an image around the data's mean: where learning begins.
        initial = keras.initializers.Constant(math.log(self.variance or 0.25))
        self.log_variance = self.add_weight(
            shape=(), initializer=initial, trainable=variance is None, name="log_variance"
        )

    def nll(self, images, outputs):
        return gaussian_nll(images, outputs, tf.convert_to_tensor(self.log_variance))

    def images(self, outputs):
        return tf.clip_by_value(tf.cast(outputs, tf.float32), -1.0, 1.0)

    def get_config(self):
        return {**super().get_config(), "variance": self.variance}


#: The likelihoods by name.
LIKELIHOODS: dict[str, type[Likelihood]] = {"bernoulli": Bernoulli, "gaussian": Gaussian}


def get(likelihood: str | Likelihood, variance: float | None = None) -> Likelihood:
    """A likelihood by its name, or the object as it is.

    Args:
        likelihood: "bernoulli", "gaussian", or a `Likelihood`.
        variance: of "gaussian".

    Raises:
        ValueError: another name, or a variance for one that has none.
    """
    if not isinstance(likelihood, Likelihood) and likelihood not in LIKELIHOODS:
        raise ValueError(f"likelihood must be one of {', '.join(LIKELIHOODS)}; received {likelihood!r}.")
    if likelihood == "gaussian":
        return Gaussian(variance)
    if variance is not None:
        raise ValueError(f"variance is of the Gaussian likelihood; received {variance} with {likelihood!r}.")
    return LIKELIHOODS[likelihood]() if isinstance(likelihood, str) else likelihood
