"""Dropout whose masks are drawn per example from the training step's random stream."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_gen.random import current_stream


@keras.saving.register_keras_serializable(package="keras_gen")
class Dropout(keras.layers.Dropout):
    """Drop-in for `keras.layers.Dropout`: same arguments and config.

    Within a keras-gen train step the masks come from the model's seed and step, so that a run on several
    replicas, or a resumed one, drops what the single, uninterrupted run drops. Elsewhere it is Keras's own.
    """

    def call(self, inputs, training=False):
        stream = current_stream()
        if not training or not 0 < self.rate < 1 or stream is None or self.noise_shape is not None:
            return super().call(inputs, training=training)
        shape = inputs.shape if None not in inputs.shape[1:] else tf.unstack(tf.shape(inputs))
        batch = inputs.shape[0] if inputs.shape[0] is not None else tf.shape(inputs)[0]
        dropped = stream.bernoulli(batch, tuple(shape[1:]), self.rate)
        # A mask of factors: one product forward, and one in each derivative.
        factor = tf.constant(1 / (1 - self.rate), inputs.dtype)
        return inputs * tf.where(dropped, tf.zeros((), inputs.dtype), factor)
