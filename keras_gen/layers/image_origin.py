"""Patterns that repeat over the plane, and where in it an image begins."""

from __future__ import annotations

import threading
from typing import Any

import tensorflow as tf

_thread = threading.local()


class ImageOrigin:
    """A block in which images are parts of a larger one: patterns go on from one to the next.

    It acts where the network is called or traced, in the thread that does so.

    Args:
        origin: the part's first row and column in the larger image, int32 (2,), or of each image of a batch,
            (batch, 2); multiples of the strides of the layers that lay patterns. None is the beginning.
    """

    def __init__(self, origin: Any) -> None:
        self.origin = None if origin is None else tf.cast(origin, tf.int32)

    def __enter__(self) -> ImageOrigin:
        self._outer = getattr(_thread, "origin", None)
        _thread.origin = self.origin
        return self

    def __exit__(self, *exception: Any) -> None:
        _thread.origin = self._outer


def origins_differ() -> bool:
    """Whether each image of a batch has an origin of its own."""
    origin = getattr(_thread, "origin", None)
    return origin is not None and len(origin.shape) == 2


def tiled(squares: tf.Tensor, height: Any, width: Any, stride: int, before: int = 0) -> tf.Tensor:
    """Square patterns repeated over images, from where an active `ImageOrigin` says that they begin.

    Args:
        squares: (count, period, period, channels), one for each image where `origins_differ`.
        height, width: of the images, numbers or scalars.
        stride: pixels of the network's image to one of these.
        before: how many more rows and columns, above and left of the beginning.

    Returns:
        (count, before + height, before + width, channels).
    """
    period, origin = squares.shape[1], getattr(_thread, "origin", None)
    first = tf.zeros((2,), tf.int32) if origin is None else origin // stride
    for axis, side in ((0, height), (1, width)):
        places = (first[..., axis, None] + tf.range(-before, side)) % period
        squares = tf.gather(squares, places, axis=axis + 1, batch_dims=places.shape.rank - 1)
    return squares
