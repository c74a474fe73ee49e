"""Batch normalization over the global batch, with float32 statistics."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_gen")
class BatchNormalization(keras.layers.BatchNormalization):
    """Drop-in for `keras.layers.BatchNormalization`, over all replicas by default.

    Keras's synchronized form takes the variance as E(x²) − E(x)², which loses digits; this one reduces the
    mean first and then the squared deviations, as a single process does, so that replicas agree with it.

    Reference: Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift,
    2015, arXiv:1502.03167.
    """

    def __init__(self, *args, synchronized=True, **options):
        super().__init__(*args, synchronized=synchronized, **options)

    def _moments(self, inputs, mask):
        context = tf.distribute.get_replica_context()
        single = context is None or context.num_replicas_in_sync == 1
        if mask is not None or single or not self.synchronized:
            if mask is None:
                return tf.nn.moments(inputs, self._reduction_axes)
            return super()._moments(inputs, mask)
        mean = context.all_reduce("MEAN", tf.reduce_mean(inputs, self._reduction_axes, keepdims=True))
        squares = tf.reduce_mean(tf.math.squared_difference(inputs, mean), self._reduction_axes)
        return tf.reshape(mean, tf.shape(squares)), context.all_reduce("MEAN", squares)
