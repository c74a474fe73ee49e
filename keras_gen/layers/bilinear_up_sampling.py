"""Bilinear up-sampling by two of images whose size need not be known while they are traced."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_gen.layers.patterns import size_of


@keras.saving.register_keras_serializable(package="keras_gen")
class BilinearUpSampling2D(keras.layers.Layer):
    """Twice the height and width, bilinearly, pixels' middles kept in place.

    `keras.layers.UpSampling2D(2, interpolation="bilinear")`, which cannot be traced for any size of images.
    One built-in operator in TFLite.

    Input shape: `(batch, height, width, channels)`; output shape: `(batch, 2 height, 2 width, channels)`.
    """

    def call(self, inputs: Any) -> Any:
        resized = tf.image.resize(inputs, [2 * side for side in size_of(inputs)])
        return tf.cast(resized, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        return batch, height and 2 * height, width and 2 * width, channels
