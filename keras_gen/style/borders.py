"""Pictures mirrored beyond their borders, so that a network sees no end of them; as tensors."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.layers.cut import cut
from keras_gen.layers.patterns import size_of
from keras_gen.layers.resize_convolution import ResizeConvolution2D


def missing(size: int | tf.Tensor, multiple: int) -> int | tf.Tensor:
    """Pixels from a size on to a multiple; to two of one above 1, for networks that mirror their features."""
    least = 2 * multiple - size if multiple > 1 else 0
    largest = max if isinstance(size, int) else tf.maximum
    return largest(-size % multiple, least)


def reflected(images: tf.Tensor, multiple: int, margin: int = 0) -> tf.Tensor:
    """Mirrors images beyond their borders: by a margin, and on to a multiple at the bottom and right.

    `numpy.pad(…, mode="reflect")` of any size, also where the margin is wider than the image. Where sizes are
    known and above 1, by operators that delegates of TFLite take: one, or for small images several.

    Args:
        images: (batch, height, width, channels); height and width may be unknown while it is traced.
        multiple: of which the new height and width, without the margins, are multiples: see `missing`.
        margin: pixels on each side.

    Returns:
        (batch, new height, new width, channels).
    """
    images = tf.convert_to_tensor(images)
    sizes = size_of(images)
    sides = [(margin, margin + missing(size, multiple)) for size in sizes]
    if all(isinstance(size, int) and size > 1 for size in sizes):
        # As far as the far border at a time: from there on the mirror image is mirrored by the same rule.
        reach, left = np.array(sizes)[:, None] - 1, np.array(sides)
        while left.any():
            step = np.minimum(left, reach)
            images = tf.pad(images, [(0, 0), *step.tolist(), (0, 0)], mode="REFLECT")
            left -= step
        return images
    for axis, (size, (before, after)) in enumerate(zip(sizes, sides, strict=True), 1):
        images = tf.gather(images, _mirrored(size, before, after), axis=axis)
    return images


def _mirrored(size: int | tf.Tensor, before: int, after: int | tf.Tensor) -> tf.Tensor:
    """The index within the image of each pixel of the padded one: back and forth, ends not repeated."""
    period = tf.maximum(2 * (size - 1), 1)
    place = tf.math.floormod(tf.range(-before, size + after), period)
    return tf.minimum(place, period - place)


def cropped(images: tf.Tensor, like: tf.Tensor, margin: int = 0) -> tf.Tensor:
    """What `reflected` added cut away again, to the height and width of other images."""
    height, width = size_of(like)
    if margin == 0 and tuple(like.shape[1:3]) == tuple(images.shape[1:3]) and None not in images.shape[1:3]:
        return images
    return cut(images, margin, margin, height, width)


def check_mirrored(network: keras.Model, source: Any) -> None:
    """Refuses a style network of an earlier version, which saw zeros beyond borders, and a margin for them.

    Raises:
        ValueError: a layer of it pads so.
    """
    layers = network._flatten_layers()
    if any(isinstance(layer, ResizeConvolution2D) and layer.padding == "same" for layer in layers):
        raise ValueError(
            f"{source} is of an earlier version of keras-gen, whose networks saw zeros beyond borders: "
            "pictures would get a frame. Train it anew with this one."
        )
