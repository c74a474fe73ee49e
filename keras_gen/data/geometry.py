"""From images of any size and number of channels to the size and channels that a model takes."""

import functools
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

# ITU-R BT.601, the weights of JPEG and of Pillow's mode L.
LUMA = (0.299, 0.587, 0.114)
_CHUNK = 512


@dataclass(frozen=True)
class Geometry:
    """The images asked for.

    Attributes:
        size: height and width in pixels.
        channels: 1 or 3.
        crop: `"center"` and `"random"` keep the aspect: the image is resized until it just covers `size`,
            then cropped. None stretches it to `size`.
    """

    size: tuple[int, int]
    channels: int
    crop: str | None = "center"

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size before the crop of an image of this height and width."""
        if self.crop is None:
            return self.size
        scale = max(self.size[0] / height, self.size[1] / width)
        return max(self.size[0], round(height * scale)), max(self.size[1], round(width * scale))

    def resized_tensor(self, height_width: tf.Tensor) -> tf.Tensor:
        """`resized` for a size known only in the graph, int32 `(2,)`."""
        if self.crop is None:
            return tf.constant(self.size)
        scale = tf.reduce_max(tf.constant(self.size, tf.float64) / tf.cast(height_width, tf.float64))
        covering = tf.cast(tf.round(tf.cast(height_width, tf.float64) * scale), tf.int32)
        return tf.maximum(covering, tf.constant(self.size))

    def stored(self, height: int, width: int) -> tuple[int, int]:
        """The size that is kept in the cache: a random crop is drawn anew each epoch, so it comes after."""
        return self.resized(height, width) if self.crop == "random" else self.size

    def apply(self, images: tf.Tensor) -> tf.Tensor:
        """Resizes with antialiasing, converts channels, crops at the centre where that was asked for.

        Args:
            images: `(height, width, channels)`, or a batch of them; uint8, or float32 in [-1, 1].

        Returns:
            The same type and rank; of size `size`, or at least that before a random crop.
        """
        images = convert_channels(images, self.channels)
        height, width = images.shape[-3:-1]
        if height is None or width is None:
            return self._crop_center(resize(images, self.resized_tensor(tf.shape(images)[-3:-1])))
        return self._crop_center(resize(images, self.resized(height, width)))

    def apply_all(self, images: np.ndarray) -> np.ndarray:
        """`apply` on a large array `(n, height, width, channels)`, in pieces."""
        n, height, width, channels = images.shape
        if (height, width) == self.size and channels == self.channels:
            return images
        result = np.empty((n, *self.stored(height, width), self.channels), images.dtype)
        with tf.device("CPU:0"):
            for start in range(0, n, _CHUNK):
                result[start : start + _CHUNK] = self.apply(
                    tf.constant(images[start : start + _CHUNK])
                ).numpy()
        return result

    def _crop_center(self, images: tf.Tensor) -> tf.Tensor:
        if self.crop == "random":
            return images
        height, width = self.size
        top, left = tf.unstack((tf.shape(images)[-3:-1] - self.size) // 2)
        images = images[..., top : top + height, left : left + width, :]
        return tf.ensure_shape(images, (*images.shape[:-3], height, width, self.channels))


def resize(images: tf.Tensor, size: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    """Bicubic resizing with antialiasing (the filter is widened where it shrinks); keeps type and range.

    The same filter as Pillow's `BICUBIC` (Keys, a = -0.5).
    """
    if isinstance(size, tuple) and tuple(images.shape[-3:-1]) == size:
        return images
    if isinstance(size, tuple):
        # The filter is linear and separable: two matrix products, ten times as fast as the operator.
        down, across = _filter(images.shape[-3], size[0]), _filter(images.shape[-2], size[1])
        result = tf.einsum("...hwc,yh->...ywc", tf.cast(images, tf.float32), down)
        result = tf.einsum("...ywc,xw->...yxc", result, across)
    else:
        result = tf.image.resize(images, size, method="bicubic", antialias=True)
    if images.dtype == tf.uint8:
        return to_bytes(result)
    return tf.clip_by_value(result, -1.0, 1.0)  # the cubic filter overshoots


@functools.lru_cache(maxsize=64)
def _filter(source: int, target: int) -> np.ndarray:
    """The weights of source pixels in target pixels, float32 `(target, source)`: resizing of the identity."""
    with tf.init_scope(), tf.device("CPU:0"):
        unit = tf.eye(source)[:, :, None]
        return tf.image.resize(unit, (target, source), method="bicubic", antialias=True)[:, :, 0].numpy()


def convert_channels(images: tf.Tensor, channels: int) -> tf.Tensor:
    """Grey, grey + alpha, RGB or RGBA `(…, 1 to 4)` to 1 or 3 channels; alpha is composited on white.

    Takes and gives uint8, or float32 in [-1, 1].
    """
    present = images.shape[-1]
    if present == channels:
        return images
    bytes_ = images.dtype == tf.uint8
    result = tf.cast(images, tf.float32)
    if present in (2, 4):
        alpha = result[..., -1:] / 255.0 if bytes_ else (result[..., -1:] + 1.0) / 2.0
        result = result[..., :-1] * alpha + (255.0 if bytes_ else 1.0) * (1.0 - alpha)
    if result.shape[-1] > channels:
        result = tf.reduce_sum(result * LUMA, axis=-1, keepdims=True)
    elif result.shape[-1] < channels:
        result = tf.repeat(result, channels, axis=-1)
    return to_bytes(result) if bytes_ else result


def to_bytes(images: tf.Tensor) -> tf.Tensor:
    """Rounds floats in [0, 255] to uint8."""
    return tf.cast(tf.clip_by_value(tf.round(images), 0.0, 255.0), tf.uint8)


def to_float(images: tf.Tensor) -> tf.Tensor:
    """uint8 0 … 255 to float32 in [-1, 1]; floats are there already."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0 if images.dtype == tf.uint8 else images


def crop_at(images: tf.Tensor, sizes: tf.Tensor, places: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Crops each image of a batch at a place of its own.

    Args:
        images: `(batch, height, width, channels)`, padded at the bottom and the right.
        sizes: int32 `(batch, 2)`, the heights and widths without the padding.
        places: float32 `(batch, 2)` in [0, 1): from the top to the bottom, from the left to the right.
        size: the height and width of the result.
    """
    room = sizes - tf.constant(size)
    corners = tf.cast(places * tf.cast(room + 1, tf.float32), tf.int32)
    corners = tf.minimum(corners, room)  # places just under 1 may round up
    images = tf.gather(images, corners[:, :1] + tf.range(size[0]), axis=1, batch_dims=1)
    return tf.gather(images, corners[:, 1:] + tf.range(size[1]), axis=2, batch_dims=1)


def flip_where(images: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Mirrors left and right those images `(batch, h, w, c)` for which `chosen`, bool `(batch,)`, is true."""
    return tf.where(chosen[:, None, None, None], images[:, :, ::-1], images)
