"""ConditionalVAE: images of a class that is asked for."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_gen.models import checks
from keras_gen.models.vae import VAE


@keras.saving.register_keras_serializable(package="keras_gen")
class ConditionalVAE(VAE):
    """A VAE of p(x|z, class): both networks get the class, one-hot, beside their input.

    It is trained on (images, labels). `encode`, `decode`, `reconstruct`, `elbo` and `log_likelihood` take
    labels, integers (count,), as their second argument.

    Args:
        encoder: as in `VAE`, of images with num_classes further channels, constant over the image.
        decoder: as in `VAE`, of vectors of length latent_dim + num_classes: latents, then class.
        latent_dim: length of the latent vectors.
        num_classes: number of classes, two or more.
        **settings: `likelihood`, `variance`, `seed`, `name`.

    Raises:
        ValueError: fewer than two classes, or what `VAE` refuses.

    Reference: Learning Structured Output Representation using Deep Conditional Generative Models, NeurIPS
    2015; Semi-Supervised Learning with Deep Generative Models, 2014, arXiv:1406.5298.
    """

    options = ("num_classes", *VAE.options)
    labelled = True

    def __init__(self, encoder, decoder, latent_dim=100, *, num_classes: int, **settings):
        if num_classes < 2:
            raise ValueError(f"num_classes must be 2 or more; received {num_classes}.")
        self.num_classes = self.condition_dim = int(num_classes)
        super().__init__(encoder, decoder, latent_dim, **settings)

    @classmethod
    def make_networks(cls, makers, image_shape, latent_dim, **options):
        """Networks whose inputs are longer by the classes."""
        (height, width, channels), num_classes = image_shape, options["num_classes"]
        return {
            "encoder": makers["encoder"]((height, width, channels + num_classes), latent_dim),
            "decoder": makers["decoder"](image_shape, latent_dim + num_classes),
        }

    def conditions_of(self, data):
        """The labels of a batch of (images, labels), one-hot float32, checked to be of a class."""
        if not isinstance(data, (tuple, list)) or len(data) < 2:
            raise ValueError(
                f"{type(self).__name__} is trained on (images, labels); received images alone. Load the data "
                "with labels=True."
            )
        labels = tf.reshape(tf.cast(data[1], tf.int64), [-1])
        valid = tf.reduce_all((labels >= 0) & (labels < self.num_classes))
        check = tf.debugging.Assert(valid, [checks.LABEL, tf.reduce_max(labels), self.step.value])
        with tf.control_dependencies([check] if check is not None else []):
            return tf.one_hot(labels, self.num_classes)

    def _conditions(self, labels, count):
        if labels is None:
            raise ValueError("ConditionalVAE needs labels, an integer for each row.")
        labels = np.broadcast_to(np.asarray(labels), (count,))
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(f"labels must be integers from 0 to {self.num_classes - 1}; received {labels}.")
        return np.eye(self.num_classes, dtype=np.float32)[labels]

    def sample(self, n: int, seed: int | None = None, labels=None) -> np.ndarray:
        """Draws images.

        Args:
            n: how many.
            seed: the same seed gives the same images; None draws new ones each time.
            labels: the classes, integers (n,) or one for all; None takes each class in turn.

        Returns:
            float32 (n, height, width, channels) in [-1, 1].
        """
        return self.generate(self.latents(n, seed), labels)

    def generate(self, latents, labels=None) -> np.ndarray:
        """Images of latent vectors (count, latent_dim) and labels; None takes each class in turn."""
        return super().generate(
            latents, np.arange(len(latents)) % self.num_classes if labels is None else labels
        )
