"""Up-sampling by interpolation, of images of any size."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_gen")
class UpSampling2D(keras.layers.UpSampling2D):
    """Keras's layer, also in graphs that do not know the size of the images.

    There Keras 3's own interpolates by a Python condition on the size, and raises.

    Args, input and output shape: those of `keras.layers.UpSampling2D`.

    Raises:
        ValueError: channels that come first.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.data_format != "channels_last":
            raise ValueError(f"data_format must be channels_last; received {self.data_format}.")

    def call(self, inputs: Any) -> Any:
        known, given = inputs.shape[1:3], tf.shape(inputs)[1:3]
        size = [factor * (given[i] if known[i] is None else known[i]) for i, factor in enumerate(self.size)]
        return tf.cast(tf.image.resize(inputs, size, self.interpolation), inputs.dtype)
