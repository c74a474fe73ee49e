"""From a data spec to batches of float32 images in [-1, 1]."""

import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from typing import Literal

import tensorflow as tf

from keras_gen.data.arrays import Images, Stream
from keras_gen.data.epochs import draws, epoch_seeds, order
from keras_gen.data.geometry import Geometry, crop_at, flip_where, to_float
from keras_gen.data.sources import Source, open_source

CACHE_BYTES = 2**30
"""`cache="auto"` keeps a data set in memory up to this size, as uint8 images after resizing: 1 GiB."""

_UNBATCHED = 256  # images converted at a time where none are to be batched


@dataclass(frozen=True)
class Description:
    """What `load` would give.

    Attributes:
        image_shape: `(height, width, channels)` after resizing and conversion.
        num_examples: of the split; of a folder, the files whose header can be read.
        num_classes: None where there are no labels.
        class_names: by label, or None.
        splits: the number of examples of every split there is.
    """

    image_shape: tuple[int, int, int]
    num_examples: int
    num_classes: int | None
    class_names: tuple[str, ...] | None
    splits: Mapping[str, int]


def describe(
    spec: str,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    split: str = "train",
    *,
    data_dir: str | PathLike | None = None,
) -> Description:
    """The shape, number and classes of a data set, without decoding its images.

    Arguments and errors are those of `load`.
    """
    source = open_source(spec, split, data_dir)
    geometry = _geometry(source, image_size, channels, "center")
    names = source.class_names
    return Description(
        (*geometry.size, geometry.channels),
        source.num_examples,
        len(names) if names else None,
        names,
        source.splits,
    )


def load(
    spec: str,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    batch_size: int | None = 64,
    split: str = "train",
    labels: bool = False,
    *,
    shuffle: bool = True,
    seed: int = 0,
    initial_epoch: int = 0,
    crop: Literal["center", "random"] | None = "center",
    flip: bool = False,
    cache: Literal["auto"] | bool = "auto",
    drop_remainder: bool | None = None,
    data_dir: str | PathLike | None = None,
) -> tf.data.Dataset:
    """Images as `model.fit` takes them.

    The order, crops and flips of epoch e are a function of `(seed, e)` alone: each iteration of the data set
    is an epoch and differs from the last; a second process, or a second call, gives the same. Under a
    `tf.distribute` strategy each replica gets its share of these same global batches.

    Args:
        spec: `digits`, `idx:FOLDER`, `folder:PATH`, `npz:FILE` or `tfds:NAME[/CONFIG][:SPLIT]`; see `SPECS`.
        image_size: height and width in pixels, or one number for both. None keeps the size of the source,
            whose images must then all be of one size.
        channels: 1 or 3. Colour becomes grey with the weights of ITU-R BT.601. None keeps what there is;
            alpha is composited on white in any case.
        batch_size: the global batch; None gives single images.
        split: `train`, `test` or what else there is; `all`; or a slice such as `train[:100]`, `train[:10%]`.
        labels: whether to give `(images, labels)`.
        shuffle: whether to permute the examples anew each epoch. The permutation is uniform, but for `tfds:`
            data that do not fit in memory, which pass through a buffer of 10,000 examples.
        seed: for order, crops and flips.
        initial_epoch: the number of the first epoch, for loops of one's own; a model's `fit` sets it itself,
            by the epochs that the model has behind it.
        crop: the image is resized with antialiasing, its aspect kept, until it just covers `image_size`, and
            cropped at the `"center"`, or at `"random"` anew each epoch. None stretches it instead.
        flip: whether to mirror images left and right at random, anew each epoch.
        cache: whether to keep the resized images in memory as uint8; `"auto"` does up to `CACHE_BYTES`.
        drop_remainder: whether to drop a last batch that is not full; by default, where a training split is
            shuffled.
        data_dir: for `tfds:`, the folder of prepared data sets.

    Returns:
        A data set of float32 `(batch, height, width, channels)` in [-1, 1], or of these with int64 `(batch,)`
        labels. It knows its cardinality and prefetches. Where there are fewer examples than `batch_size`, all
        of them make a batch, with a warning.

    Raises:
        FileNotFoundError: what the spec names is not there, or holds no images.
        ValueError: an argument, spec or split that is not known; images of different sizes without
            `image_size`; labels asked of data without any; data that are not images as described.
    """
    _check(batch_size, seed, initial_epoch, crop, cache)
    source = open_source(spec, split, data_dir)
    if labels and not source.has_labels:
        raise ValueError(f"{spec} has no labels: load it with labels=False")
    geometry = _geometry(source, image_size, channels, crop)
    stored = (
        source.read(geometry)
        if cache is True or (cache == "auto" and source.stored_bytes(geometry) <= CACHE_BYTES)
        else source.stream(geometry)
    )
    count = len(stored.images) if isinstance(stored, Images) else stored.num_examples
    if batch_size is not None and count < batch_size:
        images = "1 image" if count == 1 else f"{count} images"
        warnings.warn(
            f"{spec} has only {images}, fewer than batch_size={batch_size}: using {count}",
            stacklevel=2,
        )
        batch_size = count
    if drop_remainder is None:
        drop_remainder = shuffle and source.training
    size, drop = (_UNBATCHED, False) if batch_size is None else (batch_size, drop_remainder)
    make_epoch = (
        _from_memory(stored, geometry, shuffle, flip, size, drop)
        if isinstance(stored, Images)
        else _from_stream(stored, geometry, shuffle, flip, size, drop)
    )

    dataset = epoch_seeds(seed, initial_epoch).flat_map(make_epoch)
    if batch_size is None:
        dataset = dataset.unbatch()
    if not labels:
        dataset = dataset.map(lambda images, _: images)
    length = count if batch_size is None else count // size if drop else -(-count // size)
    options = tf.data.Options()
    options.deterministic = True
    # Every worker makes the same global batches and takes its part of each.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def _from_memory(
    stored: Images, geometry: Geometry, shuffle: bool, flip: bool, batch_size: int, drop: bool
) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Epochs where indices are batched, then each batch is gathered, cropped and converted at once."""
    # Tensors made here are captured by reference; made while an epoch is traced they would be copied into it.
    with tf.device("CPU:0"):
        images, sizes, labels = (tf.constant(array) for array in stored)
    count = len(stored.images)

    def gather(indices: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = _augment(tf.gather(images, indices), tf.gather(sizes, indices), places, geometry, flip)
        return to_float(batch), tf.gather(labels, indices)

    def epoch(key: tf.Tensor) -> tf.data.Dataset:
        plan = tf.data.Dataset.from_tensor_slices((order(key, count, shuffle), draws(key, count)))
        return plan.batch(batch_size, drop_remainder=drop).map(gather, num_parallel_calls=tf.data.AUTOTUNE)

    return epoch


def _from_stream(
    stored: Stream, geometry: Geometry, shuffle: bool, flip: bool, batch_size: int, drop: bool
) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Epochs where each image is read, resized and cropped, then batches are converted."""

    def augment(example: tuple[tf.Tensor, tf.Tensor], places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, label = example
        size = tf.shape(image)[:2]
        return _augment(image[None], size[None], places[None], geometry, flip)[0], label

    def epoch(key: tf.Tensor) -> tf.data.Dataset:
        places = tf.data.Dataset.from_tensor_slices(draws(key, stored.num_examples))
        examples = tf.data.Dataset.zip(stored.epoch(key, shuffle), places).map(augment)
        return examples.batch(batch_size, drop_remainder=drop).map(lambda x, y: (to_float(x), y))

    return epoch


def _augment(
    images: tf.Tensor, sizes: tf.Tensor, places: tf.Tensor, geometry: Geometry, flip: bool
) -> tf.Tensor:
    if geometry.crop == "random":
        images = crop_at(images, sizes, places[:, :2], geometry.size)
    return flip_where(images, places[:, 2] < 0.5) if flip else images


def _geometry(
    source: Source, image_size: int | tuple[int, int] | None, channels: int | None, crop: str | None
) -> Geometry:
    if channels not in (None, 1, 3):
        raise ValueError(
            f"channels is 1 (grey), 3 (colour) or None (as in the source); received {channels!r}"
        )
    return Geometry(
        source.common_size() if image_size is None else _pair(image_size), channels or source.channels, crop
    )


def _pair(image_size: int | tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = image_size if isinstance(image_size, tuple | list) else (image_size, image_size)
        pair = operator.index(height), operator.index(width)
    except (TypeError, ValueError):
        pair = (0, 0)
    if min(pair) < 1:
        raise ValueError(
            f"image_size is a number of pixels, (height, width) or None; received {image_size!r}"
        )
    return pair


def _check(batch_size: int | None, seed: int, initial_epoch: int, crop: object, cache: object) -> None:
    if batch_size is not None and (not isinstance(batch_size, Integral) or batch_size < 1):
        raise ValueError(f"batch_size is 1 or more, or None for single images; received {batch_size!r}")
    if not isinstance(seed, Integral) or not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed is an integer of 64 bits; received {seed!r}")
    if not isinstance(initial_epoch, Integral) or initial_epoch < 0:
        raise ValueError(f"initial_epoch is 0 or more; received {initial_epoch!r}")
    if crop not in ("center", "random", None):
        raise ValueError(f"crop is 'center', 'random' or None (stretch); received {crop!r}")
    if cache not in ("auto", True, False):
        raise ValueError(f"cache is 'auto', True or False; received {cache!r}")
