"""Any data set of tensorflow-datasets that has images."""

import re
import socket
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.data.arrays import Images, Stream
from keras_gen.data.epochs import buffer_seed
from keras_gen.data.geometry import Geometry, to_bytes
from keras_gen.data.splits import TRAINING, is_training, resolve, suggest

# How many encoded images are shuffled at a time where they do not fit in memory; tensorflow-datasets has
# shuffled them once when it wrote them.
SHUFFLE_BUFFER = 10_000
_BATCH = 256
_NAME = re.compile(
    r"(?P<name>[^:\[\]]+)(?P<version>:(?:\d+|\*)\.(?:\d+|\*)\.(?:\d+|\*))?(?::(?P<split>[^\d*].*))?"
)


@dataclass(frozen=True)
class NamedSource:
    """A prepared tensorflow-datasets builder, its image feature and, where it has one, its label feature."""

    origin: str
    builder: Any
    image: str
    label: str | None
    split: str
    num_examples: int
    class_names: tuple[str, ...] | None
    splits: Mapping[str, int]
    training: bool

    @property
    def has_labels(self) -> bool:
        return self.label is not None

    @property
    def channels(self) -> int:
        return 1 if self._shape()[2] in (1, 2) else 3

    def common_size(self) -> tuple[int, int]:
        height, width, _ = self._shape()
        if height is None or width is None:
            raise ValueError(f"{self.origin} has images of different sizes: pass image_size")
        return height, width

    def stored_bytes(self, geometry: Geometry) -> int:
        height, width, _ = self._shape()
        if height and width:
            height, width = geometry.stored(height, width)
            pixels = height * width
        else:  # unknown before decoding; images to be cropped at random are taken to be twice as long as wide
            pixels = geometry.size[0] * geometry.size[1] * (2 if geometry.crop == "random" else 1)
        return self.num_examples * pixels * geometry.channels

    def read(self, geometry: Geometry) -> Images:
        examples = self._encoded().map(self._decode(geometry), num_parallel_calls=tf.data.AUTOTUNE)
        sized = examples.map(lambda image, label: (image, tf.shape(image)[:2], label))
        batches = list(sized.padded_batch(_BATCH).as_numpy_iterator())
        height, width = np.max([images.shape[1:3] for images, _, _ in batches], axis=0)
        result = np.zeros(
            (sum(len(images) for images, _, _ in batches), height, width, geometry.channels), np.uint8
        )
        start = 0
        for images, _, _ in batches:
            result[start : start + len(images), : images.shape[1], : images.shape[2]] = images
            start += len(images)
        return Images(
            result,
            np.concatenate([sizes for _, sizes, _ in batches]),
            np.concatenate([labels for _, _, labels in batches]),
        )

    def stream(self, geometry: Geometry) -> Stream:
        encoded, decode = self._encoded(), self._decode(geometry)

        def epoch(seed: tf.Tensor, shuffle: bool) -> tf.data.Dataset:
            examples = encoded
            if shuffle:
                buffer = min(SHUFFLE_BUFFER, self.num_examples)
                examples = encoded.shuffle(buffer, seed=buffer_seed(seed), reshuffle_each_iteration=False)
            return examples.map(decode, num_parallel_calls=tf.data.AUTOTUNE)

        return Stream(self.num_examples, epoch)

    def _shape(self) -> tuple[int | None, int | None, int | None]:
        return self.builder.info.features[self.image].shape

    def _encoded(self) -> tf.data.Dataset:
        """`(encoded image, label)`, in the order of the files."""
        import tensorflow_datasets as tfds

        wanted = {self.image: True} | ({self.label: True} if self.label else {})
        decoders = tfds.decode.PartialDecoding(wanted, decoders={self.image: tfds.decode.SkipDecoding()})
        examples = self.builder.as_dataset(split=self.split, decoders=decoders, shuffle_files=False)
        label = self.label
        return examples.map(
            lambda x: (x[self.image], tf.cast(x[label], tf.int64) if label else tf.constant(0, tf.int64))
        )

    def _decode(self, geometry: Geometry) -> Any:
        feature = self.builder.info.features[self.image]
        height, width, channels = self._shape()

        def decode(encoded: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            type_ = tf.as_dtype(feature.np_dtype)
            image = tf.io.decode_image(encoded, channels or 3, type_, expand_animations=False)
            image = tf.ensure_shape(image, (height, width, channels or 3))
            if type_ == tf.uint16:
                image = to_bytes(tf.cast(image, tf.float32) / 257.0)
            return geometry.apply(image), label

        return decode


def open_named(argument: str, split: str, origin: str, data_dir: str | None) -> NamedSource:
    """`NAME[/CONFIG][:VERSION][:SPLIT]`; a split in the spec goes before the argument `split`.

    What is not in `data_dir` (by default `~/tensorflow_datasets`, or `TFDS_DATA_DIR`) is downloaded.

    Raises:
        FileNotFoundError: it is not there and cannot be downloaded.
        ValueError: an unknown name, configuration or split, or no image of 8 or 16 bits in its features.
    """
    match = _NAME.fullmatch(argument)
    if match is None:
        raise ValueError(
            f"{origin} is malformed: expected tfds:NAME[/CONFIG][:SPLIT], such as tfds:mnist:train"
        )
    builder = _builder(match["name"] + (match["version"] or ""), origin, data_dir)
    image, label = _features(builder, origin)
    _prepare(builder, origin)
    splits = {name: info.num_examples for name, info in builder.info.splits.items()}
    splits = dict(sorted(splits.items(), key=lambda item: not item[0].startswith(TRAINING)))
    runs = resolve(match["split"] or split, splits, origin)
    label_feature = builder.info.features[label] if label else None
    return NamedSource(
        origin=origin,
        builder=builder,
        image=image,
        label=label,
        split="+".join(f"{name}[{start}:{stop}]" for name, start, stop in runs),
        num_examples=sum(stop - start for _, start, stop in runs),
        class_names=tuple(label_feature.names) if label_feature is not None else None,
        splits=splits,
        training=is_training(match["split"] or split),
    )


def _builder(name: str, origin: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError as error:
        bare = re.split("[/:]", name)[0]
        near = suggest(bare, tfds.list_builders(with_community_datasets=False))
        raise ValueError(
            f"{origin}: tensorflow-datasets has no data set {bare!r}{near}, "
            f"and there is none in {data_dir or 'the default data_dir'}"
        ) from error
    except Exception as error:
        raise ValueError(f"{origin} cannot be opened by tensorflow-datasets: {_first_line(error)}") from error


def _prepare(builder: Any, origin: str) -> None:
    if builder.is_prepared():
        return
    from tensorflow_datasets.core.download import downloader

    online = _is_online()
    retries = downloader.MAX_RETRIES
    try:
        # Data sets that are generated need no network. Those that do would try for minutes.
        downloader.MAX_RETRIES = retries if online else 0
        builder.download_and_prepare()
    except Exception as error:
        offline = not online and isinstance(error, OSError)
        reason = "there is no network" if offline else _first_line(error)
        raise FileNotFoundError(
            f"{origin} is not in {builder.data_dir} and could not be downloaded ({reason}): "
            "connect to the network once, or give the data_dir that holds it"
        ) from error
    finally:
        downloader.MAX_RETRIES = retries


def _is_online() -> bool:
    if urllib.request.getproxies():
        return True
    try:
        return bool(socket.getaddrinfo("storage.googleapis.com", 443))
    except OSError:
        return False


def _features(builder: Any, origin: str) -> tuple[str, str | None]:
    """The keys of the image and, where there is one, of the class label."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    items = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    supervised = [key for key in builder.info.supervised_keys or () if isinstance(key, str)]
    # What the data set calls its input and target comes first, then the usual names, then any other.
    keys = list(dict.fromkeys(key for key in [*supervised, "image", "label", *items] if key in items))
    readable = (np.uint8, np.uint16)
    images = [k for k in keys if type(items[k]) is tfds.features.Image and items[k].np_dtype in readable]
    labels = [k for k in keys if isinstance(items[k], tfds.features.ClassLabel)]
    if not images:
        raise ValueError(
            f"{origin} has no image of 8 or 16 bits; its features are {', '.join(items) or features}"
        )
    return images[0], labels[0] if labels else None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
