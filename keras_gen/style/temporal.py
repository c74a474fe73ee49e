"""The temporal loss: what moves along with the scene, and slight noise, must not change the painting."""

from __future__ import annotations

import tensorflow as tf

from keras_gen.image import dense_image_warp
from keras_gen.random import RandomStream
from keras_gen.style.borders import cropped, reflected

# Pixels: at most, of a whole picture, further than a border is seen in it; deviation of a grid's points.
_SHIFT, _BEND = 32, 1.5
_SHARE = 8  # of an image's side that is a small one's shift
_GRID = 4  # points in a row
_NOISE = 0.02  # deviation, of pixels in [-1, 1]


def random_flow(stream: RandomStream, images: tf.Tensor) -> tf.Tensor:
    """Smooth motion for each image: a shift of at most 32 pixels each way, and a bend of some 1.5.

    Of small images the shift is an eighth of the shorter side at most.

    Args:
        stream: of random numbers.
        images: (batch, height, width, channels).

    Returns:
        float32 (batch, height, width, 2), for `dense_image_warp`.
    """
    count, height, width = (tf.shape(images)[axis] for axis in range(3))
    furthest = tf.minimum(float(_SHIFT), tf.cast(tf.minimum(height, width), tf.float32) / _SHARE)
    shift = furthest * (2 * stream.uniform(count, (1, 1, 2)) - 1)
    bend = tf.image.resize(_BEND * stream.normal(count, (_GRID, _GRID, 2)), (height, width))
    return tf.ensure_shape(shift + bend, (*images.shape[:3], 2))


def moved(stream: RandomStream, images: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """The images along the flow, with noise as of a camera, in [-1, 1]."""
    shape = [tf.shape(images)[axis] for axis in range(1, 4)]
    noise = _NOISE * stream.normal(tf.shape(images)[0], tuple(shape))
    # From beyond a border comes what is mirrored there: streaks of its pixels are in no photograph.
    wide = dense_image_warp(*(reflected(each, 1, _SHIFT) for each in (images, flow)))
    return tf.clip_by_value(cropped(wide, images, _SHIFT) + noise, -1.0, 1.0)


def temporal_losses(before: tf.Tensor, after: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """The mean squared difference of a frame from the one before, moved along the flow, where both are seen.

    Args:
        before: paintings of images, float32 (batch, height, width, 3).
        after: paintings of the `moved` images, of the same shape.
        flow: along which these were moved.

    Returns:
        float32 (batch,).
    """
    height, width = tf.shape(before)[1], tf.shape(before)[2]
    rows = tf.cast(tf.range(height), tf.float32)[:, None] - flow[..., 0]
    columns = tf.cast(tf.range(width), tf.float32) - flow[..., 1]
    last = tf.cast(tf.stack([height, width]), tf.float32) - 1.0
    seen = (rows >= 0) & (rows <= last[0]) & (columns >= 0) & (columns <= last[1])
    squares = tf.reduce_mean(tf.square(after - dense_image_warp(before, flow)), -1)
    return tf.math.divide_no_nan(
        tf.reduce_sum(tf.where(seen, squares, 0.0), (1, 2)), tf.reduce_sum(tf.cast(seen, tf.float32), (1, 2))
    )
