"""Patterns that repeat over the plane: where in it an image begins, and how strong they are there."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

_origin: ContextVar[Any] = ContextVar("image origin", default=None)
_strength: ContextVar[Any] = ContextVar("pattern strength", default=None)


class ImageOrigin:
    """A block in which images are parts of a larger one: patterns go on from one to the next.

    It acts where the network is called or traced, in the thread that does so.

    Args:
        origin: the part's first row and column in the larger image, int32 (2,), or of each image of a batch,
            (batch, 2); multiples of the strides of the layers that lay patterns. None is the beginning.

    Raises:
        ValueError: an origin of another shape.
    """

    def __init__(self, origin: Any) -> None:
        self.origin = None if origin is None else tf.cast(origin, tf.int32)
        if self.origin is not None and len(self.origin.shape) not in (1, 2):
            raise ValueError(f"origin must be (2,) or (batch, 2); received {tuple(self.origin.shape)}.")

    def __enter__(self) -> ImageOrigin:
        self._before = _origin.set(self.origin)
        return self

    def __exit__(self, *exception: Any) -> None:
        _origin.reset(self._before)


class PatternStrength:
    """A block in which patterns, noise and textures, count for more or less than they were learned to.

    It acts where the network is called or traced, in the thread that does so.

    Args:
        strength: what patterns are multiplied by, or, by a `PatternBlend`, the whole picture with them: a
            number, a scalar, or of each image of a batch, (batch,). None leaves it as it is around the block.
    """

    def __init__(self, strength: Any) -> None:
        self.strength = strength

    def __enter__(self) -> PatternStrength:
        self._before = _strength.set(pattern_strength() if self.strength is None else self.strength)
        return self

    def __exit__(self, *exception: Any) -> None:
        _strength.reset(self._before)


def pattern_strength() -> Any:
    """What an active `PatternStrength` says, None where none does."""
    return _strength.get()


def size_of(images: tf.Tensor) -> list[int | tf.Tensor]:
    """Height and width of images: numbers where they are known while a graph is traced, else scalars."""
    return [tf.shape(images)[i] if images.shape[i] is None else images.shape[i] for i in (1, 2)]


def tiled(squares: tf.Tensor, size: Sequence[int | tf.Tensor], stride: int, beyond: int = 0) -> tf.Tensor:
    """Square patterns repeated over images, from an active `ImageOrigin` on, by an active `PatternStrength`.

    Args:
        squares: (count, period, period, channels), one for each image or one for all.
        size: height and width of the images.
        stride: pixels of the network's image to one of these.
        beyond: how many more rows and columns to make on each side.

    Returns:
        (count, height + 2 beyond, width + 2 beyond, channels); one for each image where those are of each.
    """
    period, origin = squares.shape[1], _origin.get()
    if origin is not None and len(origin.shape) == 2 and squares.shape[0] == 1:
        squares = tf.repeat(squares, tf.shape(origin)[0], axis=0)
    if (strength := pattern_strength()) is not None:
        squares *= tf.reshape(tf.cast(strength, squares.dtype), (-1, 1, 1, 1))
    for axis, side in enumerate(size, 1):
        if origin is None and isinstance(side, int):
            squares = tf.concat(_pieces(squares, axis, beyond, side + beyond), axis)
            continue
        first = 0 if origin is None else origin[..., axis - 1, None] // stride
        places = tf.math.floormod(first + tf.range(-beyond, side + beyond), period)
        squares = tf.gather(squares, places, axis=axis, batch_dims=places.shape.rank - 1)
    return squares


def _pieces(squares: tf.Tensor, axis: int, before: int, stop: int) -> list[tf.Tensor]:
    """A pattern from before its beginning on, in slices: delegates of TFLite take no gather."""
    period, pieces, start = squares.shape[axis], [], -before
    while start < stop:
        place = start % period
        count = min(period - place, stop - start)
        pieces.append(
            squares[:, place : place + count] if axis == 1 else squares[:, :, place : place + count]
        )
        start += count
    return pieces
