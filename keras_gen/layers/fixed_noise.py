"""Fixed noise beside an image's features, so that a network has something to paint from where it is plain."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.layers.image_origin import origins_differ, tiled


@keras.saving.register_keras_serializable(package="keras_gen")
class FixedNoise2D(keras.layers.Layer):
    """Appends channels of standard normal noise, always the same: a square of it, repeated.

    A convolutional network answers a plain sky by a plain colour, and a painting has strokes there. Noise
    beside the features lets it place them; as it never changes, an image is painted alike each time, and
    where sizes are static it is a constant of the TFLite file. Strokes longer than the network's kernels want
    noise that is smooth over as many pixels: further octaves, each twice as coarse as the one before.

    Args:
        channels: how many are appended for each octave.
        period: side of the square, in pixels of the input.
        stride: pixels of the network's image to one of the input, for `ImageOrigin`.
        octaves: 1 is noise whose pixels are independent.
        seed: the same seed gives the same noise.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, height, width, n)`; output shape: `(batch, height, width, n + octaves * channels)`.

    Raises:
        ValueError: a number below one.

    Reference: Texture Networks: Feed-forward Synthesis of Textures and Stylized Images, 2016,
    arXiv:1603.03417, whose noise, of several sizes too, is drawn anew for each image.
    """

    def __init__(
        self,
        channels: int = 4,
        period: int = 128,
        stride: int = 1,
        octaves: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min(channels, period, stride, octaves) < 1:
            raise ValueError(
                "channels, period, stride and octaves must be 1 or more; received "
                f"{channels}, {period}, {stride} and {octaves}."
            )
        self.channels, self.period, self.stride = int(channels), int(period), int(stride)
        self.octaves, self.seed = int(octaves), int(seed)

    def call(self, inputs: Any) -> Any:
        # The old generator, for its numbers are the same in every version of NumPy.
        draw = np.random.RandomState(self.seed).standard_normal
        squares = [smooth_noise(draw((self.period,) * 2 + (self.channels,)), i) for i in range(self.octaves)]
        noise = tf.constant(np.concatenate(squares, -1)[None], inputs.dtype)
        batch, height, width = tf.unstack(tf.shape(inputs)[:3])
        if origins_differ():
            noise = tf.repeat(noise, batch, axis=0)
        noise = tiled(noise, height, width, self.stride)
        noise = tf.broadcast_to(noise, (batch, height, width, self.octaves * self.channels))
        return tf.concat([inputs, noise], -1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], input_shape[-1] + self.octaves * self.channels)

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("channels", "period", "stride", "octaves", "seed")}
        return {**super().get_config(), **config}


def smooth_noise(noise: np.ndarray, octave: int) -> np.ndarray:
    """White noise (period, period, channels) that repeats, blurred over 2 ** octave pixels; variance 1."""
    if not octave:
        return noise
    frequency = np.fft.fftfreq(len(noise)) * 2**octave
    kept = np.exp(-0.5 * np.square(np.pi * frequency))  # a Gaussian of half that many pixels' deviation
    blurred = np.fft.ifft2(
        np.fft.fft2(noise, axes=(0, 1)) * (kept[:, None] * kept)[..., None], axes=(0, 1)
    ).real
    return blurred / blurred.std((0, 1))
