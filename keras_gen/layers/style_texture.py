"""A texture of each style, learned, from which a network paints where the photograph is plain."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.layers.patterns import size_of, tiled

_GAIN = 10.0  # of textures by their weights
_NOTHING = 1e-12  # beside a texture's mean square: what is nothing stays nothing


class _Strokes(keras.constraints.Constraint):
    """Takes from textures long waves along both axes, their mean too, and makes all their parts as strong.

    Args:
        period, channels: of the textures.
        longest: the longest wave to stay, in pixels; None leaves all.
        even: the standard deviation of a part in pixels; None leaves them.
    """

    def __init__(self, period: int, channels: int, longest: int | None, even: float | None):
        self.shape = (-1, period, period, channels)
        places = np.arange(period)
        distances = np.subtract.outer(places, places)
        self.long = self.near = None
        if longest is not None:
            # The projection onto long waves along one axis: of a matrix of cosines, for phases are free.
            waves = np.arange(1, (period - 1) // longest + 1)
            cosines = 1 + 2 * np.cos(2 * np.pi * distances[..., None] / period * waves).sum(-1)
            self.long = (cosines / period).astype(np.float32)
        if even is not None:
            around = (distances + period // 2) % period - period // 2
            near = np.exp(-0.5 * (around / even) ** 2)
            self.near = (near / near.sum(1, keepdims=True)).astype(np.float32)

    def __call__(self, w: Any) -> Any:
        textures = tf.reshape(tf.convert_to_tensor(w), self.shape)
        if self.long is not None:
            textures -= _along_both(self.long, textures)
        if self.near is not None:
            squares = tf.reduce_mean(tf.square(textures), -1, keepdims=True)
            overall = tf.reduce_mean(squares, (1, 2), keepdims=True)
            textures *= tf.sqrt((overall + _NOTHING) / (_along_both(self.near, squares) + _NOTHING))
        return tf.reshape(textures, (-1, *w.shape[1:]))


def _along_both(matrix: np.ndarray, textures: tf.Tensor) -> tf.Tensor:
    """A symmetric matrix (period, period) applied along both axes of (styles, period, period, channels)."""
    return tf.einsum("ij,njkc,kl->nilc", matrix, textures, matrix)


@keras.saving.register_keras_serializable(package="keras_gen")
class StyleTexture2D(keras.layers.Layer):
    """Channels that each style has learned, the same for every photograph: a square, repeated.

    A convolutional network of few weights cannot make long strokes from a plain sky, and hardly from noise.
    This is a learned constant, as a StyleGAN's synthesis begins with, one for each style or the blend of them
    by weights: where strokes go, how they lie and what colours they have, as far as nothing in the photograph
    says otherwise.

    Args:
        styles: number of styles.
        channels: of the texture.
        period: side of the square in the pixels that are learned; each is two by two, smoothly, of the input.
        stride: pixels of the network's image to one of the input, for `ImageOrigin`, whose origins are to be
            multiples of twice as many.
        longest: the longest wave that training leaves in the square, in pixels that are learned: strokes and
            hatching, but no patches of colour, which would lie in the same places of every photograph,
            whatever is there. None leaves all.
        even: all parts of the square are made as strong by training, a part being a Gaussian of this standard
            deviation, in pixels that are learned. Else single marks outgrow the rest, and stand in the same
            places of every photograph like stamps. None leaves them.
        **kwargs: arguments of `keras.layers.Layer`.

    Inputs: two tensors, `(batch, height, width, n)` for its size, and the weights of the styles
    `(batch, styles)`. Output shape: `(batch, height, width, channels)`.

    Raises:
        ValueError: a number below one, or inputs of other shapes.

    Reference: A Style-Based Generator Architecture for Generative Adversarial Networks, 2018,
    arXiv:1812.04948, for the learned constant; Texture Networks: Feed-forward Synthesis of Textures and
    Stylized Images, 2016, arXiv:1603.03417, whose place for textures is noise.
    """

    def __init__(
        self,
        styles: int,
        channels: int = 6,
        period: int = 64,
        stride: int = 1,
        longest: int | None = None,
        even: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if min(styles, channels, period, stride) < 1:
            raise ValueError(
                "styles, channels, period and stride must be 1 or more; received "
                f"{styles}, {channels}, {period} and {stride}."
            )
        if longest is not None and longest < 2:
            raise ValueError(f"longest must be None, or 2, the shortest wave, or more; received {longest}.")
        if even is not None and not even > 0:
            raise ValueError(f"even must be None or above 0; received {even}.")
        self.styles, self.channels = int(styles), int(channels)
        self.period, self.stride = int(period), int(stride)
        self.longest = None if longest is None else int(longest)
        self.even = None if even is None else float(even)

    def build(self, input_shape: Any) -> None:
        shapes = list(input_shape)
        if len(shapes) != 2 or len(shapes[0]) != 4 or tuple(shapes[1])[1:] != (self.styles,):
            raise ValueError(
                "StyleTexture2D takes [images (batch, height, width, channels), weights "
                f"(batch, {self.styles})]; received {shapes}."
            )
        # A table with a row for each style, which is what optimizers of matrices leave to Adam.
        self.textures = self.add_weight(
            name="embeddings",
            shape=(self.styles, self.period**2 * self.channels),
            initializer="zeros",
            constraint=_Strokes(self.period, self.channels, self.longest, self.even),
            autocast=False,
        )

    def call(self, inputs: Any) -> Any:
        images, weights = inputs
        height, width = size_of(images)
        # Adam moves all weights alike, but a texture is all to be learned, each pixel from few crops.
        table = _GAIN * tf.cast(self.textures, tf.float32)
        squares = tf.matmul(tf.cast(weights, tf.float32), table)
        squares = tf.reshape(squares, (-1, self.period, self.period, self.channels))
        # A row and column more on each side, for the doubling looks across the border.
        half = [(side + 1) // 2 for side in (height, width)]
        texture = tiled(squares, half, 2 * self.stride, beyond=1)
        texture = tf.image.resize(texture, [2 * (side + 2) for side in half])
        return tf.cast(texture[:, 2 : 2 + height, 2 : 2 + width], self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], self.channels)

    def get_config(self) -> dict[str, Any]:
        names = ("styles", "channels", "period", "stride", "longest", "even")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
