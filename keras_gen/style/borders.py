"""Pictures mirrored beyond their borders, so that a network sees no end of them; as tensors."""

from __future__ import annotations

import tensorflow as tf

MARGIN = 16  # pixels reflected beyond the border, where a network's own padding is seen


def reflected(images: tf.Tensor, multiple: int, margin: int = MARGIN) -> tf.Tensor:
    """Mirrors images beyond their borders: by a margin, and on to a multiple at the bottom and right.

    `numpy.pad(…, mode="reflect")` of any size, also where the margin is wider than the image. Where the size
    is known and not smaller, it is one operator that TFLite has.

    Args:
        images: (batch, height, width, channels); height and width may be unknown while it is traced.
        multiple: of which the new height and width, without the margins, are multiples.
        margin: pixels on each side.

    Returns:
        (batch, new height, new width, channels).
    """
    sizes = [
        dynamic if static is None else static
        for static, dynamic in zip(images.shape[1:3], tf.unstack(tf.shape(images)[1:3]), strict=True)
    ]
    sides = [(margin, margin + -size % multiple) for size in sizes]
    if all(isinstance(size, int) and max(side) < size for size, side in zip(sizes, sides, strict=True)):
        return tf.pad(images, [(0, 0), *sides, (0, 0)], mode="REFLECT")
    for axis, (size, (before, after)) in enumerate(zip(sizes, sides, strict=True), 1):
        images = tf.gather(images, _mirrored(size, before, after), axis=axis)
    return images


def _mirrored(size: int | tf.Tensor, before: int, after: int | tf.Tensor) -> tf.Tensor:
    """The index within the image of each pixel of the padded one: back and forth, ends not repeated."""
    period = tf.maximum(2 * (size - 1), 1)
    place = tf.math.floormod(tf.range(-before, size + after), period)
    return tf.minimum(place, period - place)


def cropped(images: tf.Tensor, like: tf.Tensor, margin: int = MARGIN) -> tf.Tensor:
    """What `reflected` added cut away again, to the height and width of other images."""
    height, width = (
        dynamic if static is None else static
        for static, dynamic in zip(like.shape[1:3], tf.unstack(tf.shape(like)[1:3]), strict=True)
    )
    return images[:, margin : margin + height, margin : margin + width]
