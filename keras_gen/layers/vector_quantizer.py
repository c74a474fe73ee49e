"""A codebook: each vector becomes the nearest of a learned set."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_gen.distribute import replica_count, sum_over_replicas
from keras_gen.random import RandomStream


def straight_through(inputs: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """The outputs, with the derivative of the inputs: a step without a derivative is passed through.

    Reference: Estimating or Propagating Gradients Through Stochastic Neurons, 2013, arXiv:1308.3432.
    """
    return inputs + tf.stop_gradient(outputs - inputs)


@keras.saving.register_keras_serializable(package="keras_gen")
class VectorQuantizer(keras.layers.Layer):
    """The codebook of a VQ-VAE, which follows the vectors that choose each code; no gradient trains it.

    Each code is the moving mean of the vectors nearest to it. A code that few choose any more is dead, and
    begins anew at a random vector of the batch; at the first update all do.

    Args:
        num_codes: number of codes.
        code_dim: their length.
        decay: of the moving means, in [0, 1).
        dead_below: the share of an equal part of all vectors below which a code is dead.
        **options: `name`.

    Reference: Neural Discrete Representation Learning, 2017, arXiv:1711.00937, appendix A.1; dead codes:
    Jukebox, 2020, arXiv:2005.00341.
    """

    def __init__(
        self, num_codes: int, code_dim: int, decay: float = 0.99, dead_below: float = 0.03, **options
    ):
        super().__init__(**{**options, "dtype": "float32", "trainable": False})
        if num_codes < 2 or code_dim < 1 or not 0 <= decay < 1:
            raise ValueError(
                "num_codes must be 2 or more, code_dim 1 or more, and decay in [0, 1); received "
                f"{num_codes}, {code_dim} and {decay}."
            )
        self.num_codes, self.code_dim = int(num_codes), int(code_dim)
        self.decay, self.dead_below = float(decay), float(dead_below)
        # Equal on all replicas, since each update is made of sums over all of them.
        kept = {"trainable": False, "aggregation": "only_first_replica"}
        shape = (self.num_codes, self.code_dim)
        self.codebook = self.add_weight(shape=shape, initializer="zeros", name="codebook", **kept)
        self.sums = self.add_weight(shape=shape, initializer="zeros", name="sums", **kept)
        self.counts = self.add_weight(shape=shape[:1], initializer="zeros", name="counts", **kept)
        self.built = True

    def call(self, inputs):
        """The nearest code to each of the vectors (…, code_dim): int32 (…)."""
        codebook = tf.convert_to_tensor(self.codebook)
        vectors = tf.reshape(tf.cast(inputs, tf.float32), (-1, self.code_dim))
        # ‖v − c‖² without ‖v‖², which is the same for all codes.
        distances = tf.reduce_sum(tf.square(codebook), 1) - 2.0 * tf.matmul(
            vectors, codebook, transpose_b=True
        )
        return tf.reshape(tf.argmin(distances, 1, output_type=tf.int32), tf.shape(inputs)[:-1])

    def look_up(self, codes: tf.Tensor) -> tf.Tensor:
        """The vectors (…, code_dim) of codes (…)."""
        return tf.gather(tf.convert_to_tensor(self.codebook), codes)

    def update(self, vectors: tf.Tensor, codes: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """Moves the codebook towards the vectors that chose each code, over all replicas.

        Args:
            vectors: (batch, …, code_dim), as many on each replica.
            codes: (batch, …), what calling the layer gave for them.
            stream: decides where dead codes begin anew.

        Returns:
            The perplexity of the codes' use in this batch, from 1 (one for all) to num_codes (all alike).
        """
        vectors = tf.cast(vectors, tf.float32)
        positions = tf.reshape(vectors, (tf.shape(vectors)[0], -1, self.code_dim))
        order = tf.reshape(stream.uniform(tf.shape(positions)[0], (tf.shape(positions)[1],)), [-1])
        vectors = tf.reshape(vectors, (-1, self.code_dim))
        chosen = tf.one_hot(tf.reshape(codes, [-1]), self.num_codes)
        counts = tf.reduce_sum(chosen, 0)
        sums = tf.matmul(chosen, vectors, transpose_a=True)
        counts, sums = sum_over_replicas([counts, sums])
        total = tf.reduce_sum(counts)
        use = counts / total

        fair = total / self.num_codes
        new_counts = self.decay * tf.convert_to_tensor(self.counts) + (1.0 - self.decay) * counts
        new_sums = self.decay * tf.convert_to_tensor(self.sums) + (1.0 - self.decay) * sums
        first = tf.reduce_sum(tf.convert_to_tensor(self.counts)) == 0
        dead = (first | (new_counts < self.dead_below * fair))[:, None]
        new_sums = tf.where(dead, fair * self._drawn(vectors, order), new_sums)
        new_counts = tf.where(dead[:, 0], fair, new_counts)
        self.counts.assign(new_counts)
        self.sums.assign(new_sums)
        self.codebook.assign(new_sums / new_counts[:, None])
        return tf.exp(-tf.reduce_sum(use * tf.math.log(tf.maximum(use, 1e-12))))

    def _drawn(self, vectors: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
        """As many vectors of the global batch as there are codes: those of the smallest random numbers."""
        if replica_count() > 1:
            context = tf.distribute.get_replica_context()
            vectors, order = context.all_gather([vectors, order], axis=0)
        ranked = tf.argsort(order)
        return tf.gather(vectors, tf.gather(ranked, tf.range(self.num_codes) % tf.shape(ranked)[0]))

    def get_config(self):
        config = {**super().get_config(), "num_codes": self.num_codes, "code_dim": self.code_dim}
        return {**config, "decay": self.decay, "dead_below": self.dead_below}
