"""Gradient penalties on a discriminator: functions of images, and objects that a model is given.

Images are float32 (batch, height, width, channels) in [-1, 1]; norms are Euclidean over all of an image's
values, in units of score per unit of image; every penalty is a float32 scalar, the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_gen import moments
from keras_gen.random import RandomStream

Discriminator = Callable[[tf.Tensor], tf.Tensor]


def interpolate(
    real: tf.Tensor, fake: tf.Tensor, alpha: tf.Tensor | None = None, seed: int | None = None
) -> tf.Tensor:
    """Points on the lines from real to fake images: real + alpha (fake − real).

    Args:
        real: (batch, height, width, channels).
        fake: of the same shape.
        alpha: numbers in [0, 1] of shape (batch, 1, 1, 1); drawn uniformly where left out.
        seed: for the draw; None draws anew each time.

    Returns:
        Images of the same shape.
    """
    if alpha is None:
        shape = tf.concat([tf.shape(real)[:1], tf.ones([len(real.shape) - 1], tf.int32)], 0)
        alpha = tf.random.uniform(shape, dtype=real.dtype, seed=seed)
    return real + alpha * (fake - real)


def squared_gradient_norms(discriminator: Discriminator, images: tf.Tensor) -> tf.Tensor:
    """‖∇ₓ D(x)‖² of each image, shape (batch,), float32; differentiable by the discriminator's weights."""
    images = tf.convert_to_tensor(images)
    with moments.twice_differentiable(), tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        # The sum: each image's gradient is its own score's alone.
        scores = tf.reduce_sum(tf.cast(discriminator(images), images.dtype))
    gradient = tape.gradient(scores, images)
    if gradient is None:
        raise ValueError(
            "The discriminator's score does not depend on its images: there is no gradient to limit."
        )
    gradient = tf.cast(gradient, tf.float32)
    return tf.reduce_sum(tf.square(gradient), axis=list(range(1, len(images.shape))))


def gradient_penalty(
    discriminator: Discriminator, images: tf.Tensor, target: float = 1.0, one_sided: bool = False
) -> tf.Tensor:
    """E (‖∇D(x̂)‖ − target)², two-sided; one-sided, only norms above the target count.

    Args:
        discriminator: a callable from images to scores.
        images: the points at which to limit the slope, as a rule `interpolate(real, fake)`.
        target: the norm aimed at; 0 gives the zero-centred penalty.
        one_sided: whether to leave norms below the target alone.

    Returns:
        A float32 scalar.

    Raises:
        ValueError: a discriminator whose score does not depend on the images.

    Reference: Improved Training of Wasserstein GANs, 2017, arXiv:1704.00028; one-sided: On the regularization
    of Wasserstein GANs, 2017, arXiv:1709.08894.
    """
    squares = squared_gradient_norms(discriminator, images)
    if target == 0:
        return tf.reduce_mean(squares)
    # At a zero gradient the norm has no derivative: one that is tiny instead keeps the step finite.
    excess = tf.sqrt(squares + 1e-12) - target
    return tf.reduce_mean(tf.square(tf.nn.relu(excess) if one_sided else excess))


def r1(discriminator: Discriminator, real: tf.Tensor) -> tf.Tensor:
    """E ‖∇D(x)‖² on real images, without the paper's factor γ/2, which is the weight.

    Reference: Which Training Methods for GANs do actually Converge?, 2018, arXiv:1801.04406.
    """
    return tf.reduce_mean(squared_gradient_norms(discriminator, real))


def r2(discriminator: Discriminator, fake: tf.Tensor) -> tf.Tensor:
    """E ‖∇D(G(z))‖² on generated images; see :func:`r1`."""
    return r1(discriminator, fake)


class Penalty:
    """A term of the discriminator's loss: `weight` times what calling the object gives.

    Args:
        weight: the factor in the loss.
    """

    name = "penalty"

    def __init__(self, weight: float):
        if not weight >= 0:
            raise ValueError(f"A penalty's weight must be zero or more; received weight={weight}.")
        self.weight = float(weight)

    def __call__(
        self, discriminator: Discriminator, real: tf.Tensor, fake: tf.Tensor, stream: RandomStream
    ) -> tf.Tensor:
        """The unweighted penalty, a float32 scalar."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__")

    def get_config(self) -> dict:
        """The arguments that make an equal penalty."""
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config: dict) -> Penalty:
        """A penalty from its config."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_gen")
class GradientPenalty(Penalty):
    """`gradient_penalty` on points drawn between real and fake images; weight 10 as in the paper."""

    name = "gradient_penalty"

    def __init__(self, weight: float = 10.0, target: float = 1.0, one_sided: bool = False):
        super().__init__(weight)
        self.target, self.one_sided = float(target), bool(one_sided)

    def __call__(self, discriminator, real, fake, stream):
        alpha = stream.uniform(tf.shape(real)[0], (1,) * (len(real.shape) - 1))
        return gradient_penalty(discriminator, interpolate(real, fake, alpha), self.target, self.one_sided)

    def get_config(self):
        return {**super().get_config(), "target": self.target, "one_sided": self.one_sided}


@keras.saving.register_keras_serializable(package="keras_gen")
class R1(Penalty):
    """`r1` on the real images; the weight is γ/2, 5 for the paper's γ = 10."""

    name = "r1"

    def __init__(self, weight: float = 5.0):
        super().__init__(weight)

    def __call__(self, discriminator, real, fake, stream):
        return r1(discriminator, real)


@keras.saving.register_keras_serializable(package="keras_gen")
class R2(R1):
    """`r2` on the generated images; the weight is γ/2."""

    name = "r2"

    def __call__(self, discriminator, real, fake, stream):
        return r2(discriminator, fake)
