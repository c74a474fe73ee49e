"""A window of images, whose gradient is fast."""

from __future__ import annotations

import tensorflow as tf


def cut(
    images: tf.Tensor,
    top: int | tf.Tensor,
    left: int | tf.Tensor,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
) -> tf.Tensor:
    """`images[:, top : top + height, left : left + width]`.

    The gradient of that takes forty times as long as the padding that is this one's.

    Args:
        images: (batch, any height, any width, channels).
        top, left, height, width: of the window, in pixels.
    """
    # In full where it is known: TFLite's XNNPACK leaves out slices of "all there is".
    batch, _, _, channels = (-1 if side is None else side for side in images.shape)
    window = tf.slice(images, (0, top, left, 0), (batch, height, width, channels))
    if not window.shape[-1]:  # sizes that are not known yet take the others with them
        window.set_shape((images.shape[0], None, None, images.shape[-1]))
    return window
