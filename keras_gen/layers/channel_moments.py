"""Mean and standard deviation of each channel over space: what AdaIN takes for a style."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_gen.layers.instance_statistics import spatial_moments


@keras.saving.register_keras_serializable(package="keras_gen")
class ChannelMoments(keras.layers.Layer):
    """The mean of each channel of each sample over space, and after these the standard deviations.

    Within an `InstanceStatistics` block they are those that it gives, of a `joint` one one sample's.

    Args:
        epsilon: positive number added to the variance.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, height, width, channels)`; output shape: `(batch, 2 channels)`, float32.

    Raises:
        ValueError: epsilon not positive.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(f"epsilon must be above zero; received {epsilon}.")
        self.epsilon = float(epsilon)

    def call(self, inputs: Any) -> Any:
        mean, variance = spatial_moments(ops.cast(inputs, "float32"))
        channels = inputs.shape[-1]
        parts = [ops.reshape(part, (-1, channels)) for part in (mean, ops.sqrt(variance + self.epsilon))]
        return ops.concatenate(parts, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0], 2 * input_shape[-1]

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
