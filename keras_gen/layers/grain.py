"""Grain over a picture, within a bound."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_gen.layers.patterns import pattern_strength

#: The most that grain changes a pixel, of values in [-1, 1]: 16 of 255 levels.
MOST = 0.125


@keras.saving.register_keras_serializable(package="keras_gen")
class GrainAdded(keras.layers.Layer):
    """Pictures with grain, as strong as an active `PatternStrength` says; at 0 they are as they were.

    Args:
        most: what grain changes a pixel by at most, of values in [-1, 1].
        **kwargs: arguments of `keras.layers.Layer`.

    Inputs: pictures (batch, height, width, 3) in [-1, 1], and grain of that shape, in any range, which goes
    through `tanh`. Output: of that shape, in [-1, 1].

    Raises:
        ValueError: a bound that is not above 0.
    """

    def __init__(self, most: float = MOST, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not most > 0:
            raise ValueError(f"most must be above 0; received {most}.")
        self.most = float(most)

    def call(self, inputs: Any) -> Any:
        pictures, grain = inputs
        strength = pattern_strength()
        if isinstance(strength, (int, float)) and strength == 0:
            return pictures  # so that what grain is made of need not be computed, nor be in a file
        grain = self.most * tf.tanh(grain)
        if strength is not None:
            grain *= tf.reshape(tf.cast(strength, grain.dtype), (-1, 1, 1, 1))
        return tf.clip_by_value(pictures + grain, -1.0, 1.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "most": self.most}
