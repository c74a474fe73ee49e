"""Fixed noise beside an image's features, so that a network has something to paint from where it is plain."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.layers.patterns import size_of, tiled


@keras.saving.register_keras_serializable(package="keras_gen")
class FixedNoise2D(keras.layers.Layer):
    """Appends channels of standard normal noise, always the same: a square of it, repeated.

    A convolutional network answers a plain sky by a plain colour, and a painting has strokes there. Noise
    beside the features lets it place them; as it never changes, an image is painted alike each time, and
    where sizes are static it is a constant of the TFLite file.

    Args:
        channels: how many are appended.
        period: side of the square, in pixels of the input.
        stride: pixels of the network's image to one of the input, for `ImageOrigin`.
        seed: the same seed gives the same noise.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, height, width, n)`; output shape: `(batch, height, width, n + channels)`.

    Raises:
        ValueError: a number below one.

    Reference: Texture Networks: Feed-forward Synthesis of Textures and Stylized Images, 2016,
    arXiv:1603.03417, whose noise is drawn anew for each image.
    """

    def __init__(
        self, channels: int = 4, period: int = 128, stride: int = 1, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if min(channels, period, stride) < 1:
            raise ValueError(
                f"channels, period and stride must be 1 or more; received {channels}, {period}, {stride}."
            )
        self.channels, self.period, self.stride, self.seed = (
            int(channels),
            int(period),
            int(stride),
            int(seed),
        )

    def call(self, inputs: Any) -> Any:
        # The old generator, for its numbers are the same in every version of NumPy.
        square = np.random.RandomState(self.seed).standard_normal((self.period, self.period, self.channels))
        noise = tf.constant(square[None], inputs.dtype)
        batch, size = tf.shape(inputs)[0], size_of(inputs)
        noise = tf.broadcast_to(tiled(noise, size, self.stride), (batch, *size, self.channels))
        return tf.concat([inputs, noise], -1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], input_shape[-1] + self.channels)

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("channels", "period", "stride", "seed")}
        return {**super().get_config(), **config}
