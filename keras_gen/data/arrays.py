"""Images that are in memory: what `digits`, `idx:` and `npz:` give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_gen.data.epochs import order
from keras_gen.data.geometry import Geometry
from keras_gen.data.splits import is_training, resolve


class Images(NamedTuple):
    """A data set in memory.

    Attributes:
        images: `(n, height, width, channels)`, uint8, or float32 in [-1, 1]; smaller ones padded.
        sizes: int32 `(n, 2)`, the height and width of each without its padding.
        labels: int64 `(n,)`; zeros where the source has none.
    """

    images: np.ndarray
    sizes: np.ndarray
    labels: np.ndarray


class Stream(NamedTuple):
    """A data set that is read anew each epoch.

    Attributes:
        num_examples: how many there are.
        epoch: from a seed pair and whether to shuffle, a data set of `(image, label)`.
    """

    num_examples: int
    epoch: Callable[[tf.Tensor, bool], tf.data.Dataset]


@dataclass(frozen=True)
class ArraySource:
    """Images of one size in an array."""

    origin: str
    images: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None
    splits: Mapping[str, int]
    training: bool

    @property
    def num_examples(self) -> int:
        return len(self.images)

    @property
    def has_labels(self) -> bool:
        return self.labels is not None

    @property
    def channels(self) -> int:
        """1 or 3: what is left without an alpha channel."""
        return 1 if self.images.shape[-1] < 3 else 3

    def common_size(self) -> tuple[int, int]:
        return self.images.shape[1], self.images.shape[2]

    def stored_bytes(self, geometry: Geometry) -> int:
        height, width = geometry.stored(*self.common_size())
        return len(self.images) * height * width * geometry.channels * self.images.itemsize

    def read(self, geometry: Geometry) -> Images:
        images = geometry.apply_all(self.images)
        sizes = np.tile(np.array(images.shape[1:3], np.int32), (len(images), 1))
        return Images(images, sizes, self._labels())

    def stream(self, geometry: Geometry) -> Stream:
        with tf.device("CPU:0"):
            images, labels = tf.constant(self.images), tf.constant(self._labels())

        def epoch(seed: tf.Tensor, shuffle: bool) -> tf.data.Dataset:
            indices = tf.data.Dataset.from_tensor_slices(order(seed, len(self.images), shuffle))
            return indices.map(
                lambda i: (geometry.apply(images[i]), labels[i]), num_parallel_calls=tf.data.AUTOTUNE
            )

        return Stream(len(self.images), epoch)

    def _labels(self) -> np.ndarray:
        return np.zeros(len(self.images), np.int64) if self.labels is None else self.labels.astype(np.int64)


def select(
    origin: str,
    split: str,
    splits: Mapping[str, int],
    images: Callable[[str], np.ndarray],
    labels: Callable[[str], np.ndarray | None],
) -> ArraySource:
    """The part of a source of arrays that a split expression names.

    Args:
        origin: the data spec, for messages.
        split: see `keras_gen.data.splits`.
        splits: the number of images of each split there is.
        images: from the name of a split, its images `(n, h, w, c)`, uint8 or float32 in [-1, 1]; called only
            for those that are needed.
        labels: from the name of a split, its labels `(n,)`, or None. Called for all: the number of classes is
            that of the source, not of a slice of it.
    """
    runs = resolve(split, splits, origin)
    loaded = {name: images(name) for name in dict.fromkeys(name for name, _, _ in runs)}
    kinds = {(array.shape[1:], array.dtype) for array in loaded.values()}
    if len(kinds) > 1:
        raise ValueError(
            f"{origin} has splits of different kinds ({kinds}), which cannot be joined: choose one split"
        )
    known = {name: labels(name) for name in splits}
    chosen = [known[name] for name, _, _ in runs]
    every = [array for array in known.values() if array is not None]
    classes = int(max(array.max() for array in every)) + 1 if every else 0
    return ArraySource(
        origin,
        np.concatenate([loaded[name][start:stop] for name, start, stop in runs])
        if len(runs) > 1
        else loaded[runs[0][0]][runs[0][1] : runs[0][2]],
        None
        if any(array is None for array in chosen)
        else np.concatenate([known[name][start:stop] for name, start, stop in runs]),  # type: ignore[index]
        tuple(str(i) for i in range(classes)) if classes else None,
        splits,
        is_training(split),
    )


def check_labels(labels: np.ndarray, count: int, origin: str) -> np.ndarray:
    """Labels as int64 `(count,)`, or a ValueError that says what was found."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:  # as in Keras's CIFAR-10
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise ValueError(
            f"{origin} has labels of shape {labels.shape} for {count:,} images: expected ({count},)"
        )
    if not np.issubdtype(labels.dtype, np.integer) or (count and labels.min() < 0):
        raise ValueError(
            f"{origin} has labels of type {labels.dtype}: expected integers from 0 up, one an image"
        )
    return labels.astype(np.int64)
