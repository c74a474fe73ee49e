"""Styles with patterns, and as many calm ones: each learns to paint in its own way."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_gen.layers.patterns import pattern_strength


def with_calm(weights: tf.Tensor) -> tf.Tensor:
    """What `CalmStyles` makes of weights (batch, styles)."""
    if (strength := pattern_strength()) is None:
        return tf.concat([weights, tf.zeros_like(weights)], -1)
    strength = tf.reshape(tf.cast(strength, weights.dtype), (-1, 1))
    return tf.concat([strength * weights, (1 - strength) * weights], -1)


@keras.saving.register_keras_serializable(package="keras_gen")
class CalmStyles(keras.layers.Layer):
    """The weights of styles, and beside them those of as many calm ones, by an active `PatternStrength`.

    At strength 1, and where none is active, the calm styles weigh nothing; at 0 they take all the weight;
    between, both have their share. What a style's scales and offsets do with noise and textures is of no use
    where these are left out, and the other way round.

    Input shape: `(batch, styles)`; output shape: `(batch, 2 styles)`.
    """

    def call(self, inputs: Any) -> Any:
        return with_calm(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], 2 * input_shape[-1])
