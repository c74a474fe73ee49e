"""Images mirrored beyond their borders, by operators that TFLite's delegates take where that is possible."""

from __future__ import annotations

import tensorflow as tf

from keras_gen.layers.cut import cut

Sides = tuple[tuple[int, int], tuple[int, int]]


def mirrored(
    images: tf.Tensor, padding: Sides, *, symmetric: bool = False, sliced: bool = False
) -> tf.Tensor:
    """`tf.pad` along height and width, by mode "REFLECT" or "SYMMETRIC".

    Args:
        images: (batch, height, width, channels).
        padding: pixels ((top, bottom), (left, right)).
        symmetric: repeats the border pixels, where reflection begins with those beside them.
        sliced: puts borders of one or two pixels beside an image of known size by slices and `concat`:
            TFLite's delegates take these, and no `MIRROR_PAD`. Their gradient is slower than `tf.pad`'s.

    Raises:
        ValueError: more pixels than the image, of known size, has to mirror.
    """
    sizes = tuple(images.shape[1:3])
    for size, sides in zip(sizes, padding, strict=True):
        if size is not None and max(sides) > size - (0 if symmetric else 1):
            raise ValueError(
                f"An image of {size} pixels a side cannot be mirrored {max(sides)} pixels beyond its border: "
                "take a larger image, less padding or a smaller kernel."
            )
    if not sliced or None in sizes or max(max(sides) for sides in padding) > 2:
        mode = "SYMMETRIC" if symmetric else "REFLECT"
        return tf.pad(images, [(0, 0), *padding, (0, 0)], mode)
    beside = 0 if symmetric else 1
    for axis, (size, (before, after)) in enumerate(zip(sizes, padding, strict=True), 1):
        first = [_line(images, axis, beside + i) for i in reversed(range(before))]
        last = [_line(images, axis, size - 1 - beside - i) for i in range(after)]
        if first or last:
            images = tf.concat([*first, images, *last], axis)
    return images


def _line(images: tf.Tensor, axis: int, place: int) -> tf.Tensor:
    """A row or a column."""
    height, width = images.shape[1:3]
    return cut(images, place, 0, 1, width) if axis == 1 else cut(images, 0, place, height, 1)
