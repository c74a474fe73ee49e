"""Two networks that paint the same: one with patterns, one without, for calm pictures."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_gen.layers.patterns import PatternStrength, pattern_strength


@keras.saving.register_keras_serializable(package="keras_gen")
class PatternBlend(keras.layers.Layer):
    """The pictures of one of two networks, by an active `PatternStrength`, or a blend of both.

    At strength 1, and where none is active, they are those of the network with patterns; at 0 those of the
    other; between, each has its share. Of a strength that is a number only what counts is computed. What
    a network does with noise and textures is of no use where these are left out, and the other way round: by
    the same kernels neither would be as good.

    Args:
        patterned: a network whose layers lay patterns.
        calm: one without, of the same inputs and outputs.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, patterned: keras.Model, calm: keras.Model, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # each network has a precision of its own
        self.patterned, self.calm = patterned, calm
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        strength = pattern_strength()
        number = 1.0 if strength is None else strength if isinstance(strength, (int, float)) else None
        if number == 0:
            return self.calm(inputs, training=training)
        with PatternStrength(1.0):
            patterned = self.patterned(inputs, training=training)
        if number == 1:
            return patterned
        share = tf.reshape(tf.cast(strength, patterned.dtype), (-1, 1, 1, 1))
        return share * patterned + (1 - share) * self.calm(inputs, training=training)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        return self.calm.compute_output_spec(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.calm.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        networks = {"patterned": self.patterned, "calm": self.calm}
        serialized = {name: keras.saving.serialize_keras_object(each) for name, each in networks.items()}
        return {**super().get_config(), **serialized}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PatternBlend:
        """A layer of equal networks."""
        networks = {
            name: keras.saving.deserialize_keras_object(config[name]) for name in ("patterned", "calm")
        }
        return cls(**{**config, **networks})
