"""Photographs to train style transfer on: crops at many sizes, some in other light and colours."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from keras_gen import data
from keras_gen.data.epochs import epoch_seeds
from keras_gen.pictures import is_named
from keras_gen.style.perceptual import TONE

_LARGER = 2.0  # photographs are read at this many times the side of a crop,
_CLOSER, _FARTHER = 1.2, 3.0  # and windows of them, from and to so many times it, become crops
_RECOLOURED = 0.5  # of the crops


def photographs(content: str, crop: int, batch_size: int, seed: int) -> tf.data.Dataset:
    """Batches of crops of photographs, in an order of its own in each epoch.

    A network that sees some hundred photographs, always alike, paints others worse. So crops show from 0.6 of
    a photograph's shorter side to one and a half of it, reflected beyond its border. (Photographs are read at
    twice the size of a crop, so less than half of one would be enlarged, and what is painted is mostly
    sharp.) Of a small photograph, too, some crops are as sharp as a large one is when it has been reduced.
    They may be mirrored, and half of them have another contrast, brightness, saturation and tint.

    Args:
        content: a data spec, or a folder of pictures.
        crop: side in pixels, at least 16.
        batch_size: crops a batch, all there are if there are fewer; the last, smaller one is left out.
        seed: of order, crops and colours.

    Returns:
        Batches of float32 (batch, crop, crop, 3) in [-1, 1].

    Raises:
        FileNotFoundError, ValueError: as `data.load`, or a crop of less than 16 pixels.
    """
    if crop < TONE:
        raise ValueError(f"crop must be at least {TONE} pixels; received {crop}.")
    side = round(crop * _LARGER)
    batches = data.load(
        spec_of(content),
        batch_size=batch_size,
        image_size=(side, side),
        channels=3,
        crop="random",
        flip=True,
        drop_remainder=True,
        seed=seed,
    )

    def cut(image, state):
        draws = tf.random.stateless_uniform((4,), state)
        window = tf.cast(crop * _CLOSER * (_FARTHER / _CLOSER) ** draws[0], tf.int32)
        margin = tf.maximum(0, (window - side + 1) // 2)
        image = tf.pad(image, [[margin, margin], [margin, margin], [0, 0]], "REFLECT")
        room = tf.cast(side + 2 * margin - window + 1, tf.float32)
        top, left = tf.unstack(tf.cast(draws[1:3] * room, tf.int32))
        image = image[top : top + window, left : left + window]
        image = tf.image.resize(image, (crop, crop), "bicubic", antialias=True)
        image = tf.where(draws[3] < _RECOLOURED, recoloured(image, state + 1), image)
        return tf.clip_by_value(image, -1, 1)

    def cut_all(i, batch, key):
        places = i * batch_size + tf.range(tf.shape(batch, tf.int64)[0])
        states = tf.map_fn(lambda place: tf.random.experimental.stateless_fold_in(key, place), places)
        return tf.map_fn(lambda one: cut(*one), (batch, states), fn_output_signature=tf.float32)

    # Each batch with the number of its epoch, so that all epochs differ and a resumed one does not.
    keys = epoch_seeds(seed).flat_map(lambda key: tf.data.Dataset.from_tensors(key).repeat())
    numbered = tf.data.Dataset.zip(tf.data.Dataset.range(len(batches)), batches, keys)
    numbered = numbered.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return numbered.map(cut_all, num_parallel_calls=tf.data.AUTOTUNE)


def spec_of(content: str) -> str:
    """The data spec of photographs: a folder's, or what is one already.

    Raises:
        ValueError: one photograph's file.
    """
    if Path(content).is_file() and is_named(content):
        raise ValueError(f"{content} is one photograph: put it in a folder with others, and name that.")
    return f"folder:{content}" if Path(content).is_dir() else content


def recoloured(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A picture of another saturation, tint, contrast and brightness.

    Args:
        image: (height, width, 3) in [-1, 1].
        seed: two integers.

    Returns:
        A picture of that shape, which may leave [-1, 1] a little.
    """
    draws = tf.random.stateless_uniform((6,), seed)
    saturation, contrast = 1.5 * draws[0], 0.4 + 0.9 * draws[1]
    grey = tf.image.rgb_to_grayscale(image)
    image = (grey + saturation * (image - grey)) * contrast * (0.8 + 0.4 * draws[3:])
    # What a low contrast leaves free is room for brightness.
    return image + (2 * draws[2] - 1) * tf.maximum(1 - contrast, 0.1)
