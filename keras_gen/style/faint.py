"""Pictures of images that show hardly anything, which normalizations would enlarge: left faint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

_LEVEL = 2 / 255  # of 255, in [-1, 1]
_HALF = math.atanh(0.5)  # of a variance of one level
_ALL = 0.998  # of contrast: the rest is not seen


def evened(picture: np.ndarray, image: np.ndarray, texture: float) -> np.ndarray:
    """What a network painted, without patterns nearer to its mean colour the less the image has to show.

    Normalizations enlarge whatever varies, be it noise or the rounding of numbers, until it is a picture: a
    film's black would flicker in all colours. Of an image with a standard deviation of a level of 255 half
    of the contrast is left, of one of a single colour none, and of a faint photograph all.

    Args:
        picture: (height, width, 3), in bytes or floats in [-1, 1].
        image: what it was painted of, of the same shape and type.
        texture: how strong patterns are: from 0 to 1.
    """
    if texture:
        return picture
    # Of large images so many pixels are enough.
    seen = image[:: max(1, image.shape[0] // 256), :: max(1, image.shape[1] // 256)].astype(np.float64)
    variance = seen.var((0, 1)).mean() / (1 if image.dtype == np.uint8 else _LEVEL**2)
    share = math.tanh(_HALF * variance)
    if share > _ALL:
        return picture
    mean = picture.mean((0, 1), dtype=np.float64)
    mixed = mean + share * (picture - mean)
    return (np.round(mixed) if picture.dtype == np.uint8 else mixed).astype(picture.dtype)


def evened_batch(pictures: tf.Tensor, images: tf.Tensor, texture: Any) -> tf.Tensor:
    """The same of a batch, in a graph, by operators that delegates of TFLite take in 8 bits as well.

    Args:
        pictures: (batch, height, width, 3) in [-1, 1].
        images: what they were painted of, of the same shape.
        texture: how strong patterns are: a number, or a tensor of one, or of one for each image.
    """
    fixed = isinstance(texture, (int, float))
    if fixed and texture:
        return pictures
    differences = images - tf.reduce_mean(images, (1, 2), keepdims=True)
    variance = tf.reduce_mean(tf.square(differences), (1, 2, 3), keepdims=True)
    share = tf.tanh(_HALF / _LEVEL**2 * variance)
    if not fixed:
        share = tf.where(tf.reshape(texture, (-1, 1, 1, 1)) == 0, share, 1.0)
    mean = tf.reduce_mean(pictures, (1, 2), keepdims=True)
    return mean + share * (pictures - mean)
