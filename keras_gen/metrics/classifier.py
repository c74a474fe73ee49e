"""Features by a small classifier that is trained on the data set itself, once, and kept in a cache."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import atomic

NUM_FEATURES = 64
STEPS = 1200
_BATCH_SIZE = 128
_LARGEST_SIDE = 32  # larger images are reduced to it, so that training takes seconds at any size
_MOST_IMAGES = 20_000
_RECIPE = 1  # counts changes of the network or its training: old caches do not answer for new recipes


@contextlib.contextmanager
def float32_policy() -> Iterator[None]:
    """Makes new layers and models float32, as feature extractors must be, whatever the global policy."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


@float32_policy()
def classifier_features(
    images: Any,
    labels: Any = None,
    *,
    fingerprint: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    steps: int = STEPS,
) -> keras.Model:
    """Feature extractor that is the penultimate layer of a small classifier of this very data.

    The classifier (see `train_classifier`) is trained at the first call, in about 15 seconds on two cores,
    and read from the cache afterwards. Its name, "classifier-28x28x1-" and eight digits made from its
    weights, names the feature space: distances compare exactly where names are equal. Retraining on the same
    machine gives the same weights, on another kind of machine other ones.

    Args:
        images: (count, height, width, channels) float in [-1, 1], or a `tf.data.Dataset` of (images, labels),
            batched or not. Of more than 20,000 images the first ones are used.
        labels: (count,) whole numbers; None with a data set.
        fingerprint: Name of the data, such as "digits:train", under which to cache; the caller vouches that
            it means the same images each time, and they are not even read when the cache has it. None takes a
            digest of the images and labels in any order; data sets that augment or drop a random remainder
            never have the same one twice.
        cache_dir: Folder of the cache; None means `default_cache_dir()`.
        steps: Training steps of 128 images.

    Returns:
        A Keras model from images (batch, height, width, channels) in [-1, 1] to (batch, 64), not trainable.

    Raises:
        ValueError: Wrong shapes or values, or fewer than two classes.
        RuntimeError: Called within the scope of a `tf.distribute` strategy.
    """
    shape = _image_shape(images, labels)
    loaded = None
    if fingerprint is None:
        loaded = _load(images, labels, shape)
        key = _digest(*loaded)
    else:
        key = hashlib.sha256(fingerprint.encode()).hexdigest()
    key = hashlib.sha256(repr((_RECIPE, steps, shape, key)).encode()).hexdigest()[:32]
    folder = default_cache_dir() if cache_dir is None else Path(cache_dir)
    path = folder / "classifiers" / f"{key}.keras"

    extractor = _read(path, shape)
    if extractor is None:
        classifier = _train(*(loaded or _load(images, labels, shape)), shape, steps)
        extractor = _cut(classifier, shape)
        _write(extractor, path)
    extractor.trainable = False
    return extractor


@float32_policy()
def train_classifier(images: Any, labels: Any = None, *, steps: int = STEPS) -> keras.Model:
    """Trains the small convolutional classifier whose features `classifier_features` gives.

    Three strided convolutions and a dense layer of 64 units, on images of at most 32×32 pixels (larger ones
    are reduced), shifted at random by up to two pixels; Adam with a cosine schedule. Float32 under every
    precision policy; seeds are its own, so the caller's random numbers stay as they are.

    Args:
        images: As for `classifier_features`.
        labels: As for `classifier_features`.
        steps: Training steps of 128 images.

    Returns:
        A Keras model from images (batch, height, width, channels) in [-1, 1] to (batch, classes) logits,
        classes in ascending order of their labels; its layer "features" has 64 outputs.

    Raises:
        ValueError: Wrong shapes or values, or fewer than two classes.
        RuntimeError: Called within the scope of a `tf.distribute` strategy.
    """
    shape = _image_shape(images, labels)
    return _train(*_load(images, labels, shape), shape, steps)


def default_cache_dir() -> Path:
    """The folder for what is computed once: KERAS_GEN_CACHE, else keras-gen in XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("KERAS_GEN_CACHE"):
        return Path(chosen).expanduser()
    user = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored; expanduser leaves ~ alone where there is no home.
    base = Path(user) if Path(user).is_absolute() else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111
    return base / "keras-gen"


def is_labelled(images: Any, labels: Any) -> bool:
    """Whether the data holds labels: given beside the images, or as second element of a data set."""
    if isinstance(images, tf.data.Dataset):
        return isinstance(images.element_spec, tuple) and len(images.element_spec) == 2
    return images is not None and labels is not None


def _image_shape(images: Any, labels: Any) -> tuple[int, int, int]:
    if not is_labelled(images, labels):
        raise ValueError(
            "A classifier needs labels: received none; give an array of them beside the images, or a data "
            "set of (images, labels) such as keras_gen.data.load(..., labels=True)."
        )
    if isinstance(images, tf.data.Dataset):
        received = tuple(images.element_spec[0].shape)
        shape = received[-3:]
    else:
        received = tuple(np.shape(images))
        shape = received[1:]
        if len(received) == 4 and np.shape(labels) != received[:1]:
            raise ValueError(
                f"labels must have shape ({received[0]},), one per image, received {np.shape(labels)}."
            )
    if len(received) not in (3, 4) or len(shape) != 3 or not all(shape):
        raise ValueError(f"images must have shape (count, height, width, channels), received {received}.")
    return shape


def _load(images: Any, labels: Any, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Reduced images and their labels, at most `_MOST_IMAGES`, in an order that depends on them alone."""
    if not isinstance(images, tf.data.Dataset):
        images, labels = images[:_MOST_IMAGES], np.asarray(labels[:_MOST_IMAGES])
        images = tf.data.Dataset.from_tensor_slices((np.asarray(images, "float32"), labels))
    if images.element_spec[0].shape.rank == 4:
        images = images.unbatch()
    reduce = _reduction(shape)
    parts = [
        (_check(np.asarray(reduce(batch))), label.numpy())
        for batch, label in images.take(_MOST_IMAGES).batch(256)
    ]
    if not parts:
        raise ValueError("images must hold at least one image, received none.")
    pixels, kinds = (np.concatenate(side) for side in zip(*parts, strict=True))
    if kinds.ndim != 1 or kinds.dtype.kind not in "iu" or len(np.unique(kinds)) < 2:
        raise ValueError(
            "labels must be whole numbers of shape (count,) and of at least two classes, received shape "
            f"{kinds.shape}, type {kinds.dtype} and {len(np.unique(kinds))} different values."
        )
    pairs = zip(pixels, kinds, strict=True)
    digests = [hashlib.sha256(image.tobytes() + b"%d" % kind).digest() for image, kind in pairs]
    order = sorted(range(len(digests)), key=digests.__getitem__)
    return pixels[order], kinds[order]


def _check(images: np.ndarray) -> np.ndarray:
    if not np.abs(images).max() <= 1.01:
        raise ValueError(
            f"images must lie in [-1, 1], received values from {images.min():g} to {images.max():g}; "
            "scale bytes by x / 127.5 - 1."
        )
    return images


def _digest(images: np.ndarray, labels: np.ndarray) -> str:
    return hashlib.sha256(images.tobytes() + repr(labels.tolist()).encode()).hexdigest()


def _reduction(shape: tuple[int, int, int]) -> keras.Layer:
    height, width = (min(side, _LARGEST_SIDE) for side in shape[:2])
    if (height, width) == shape[:2]:
        return keras.layers.Identity(name="reduction")
    return keras.layers.Resizing(height, width, antialias=True, name="reduction")


def _train(images: np.ndarray, labels: np.ndarray, shape: tuple[int, int, int], steps: int) -> keras.Model:
    if tf.distribute.has_strategy():
        raise RuntimeError("The classifier trains on one device: call it outside strategy.scope().")
    classes, targets = np.unique(labels, return_inverse=True)
    network = _network(images.shape[1:], len(classes))
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps))
    optimizer.build(network.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(jit_compile=False)
    def step(batch: tf.Tensor, expected: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(expected, network(batch, training=True))
        optimizer.apply(tape.gradient(value, network.trainable_variables), network.trainable_variables)

    random = np.random.default_rng(0)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    height, width = images.shape[1:3]
    for _ in range(steps):
        chosen = random.integers(0, len(images), _BATCH_SIZE)
        rows = random.integers(0, 5, (_BATCH_SIZE, 1, 1)) + np.arange(height)[:, None]
        columns = random.integers(0, 5, (_BATCH_SIZE, 1, 1)) + np.arange(width)
        step(padded[chosen[:, None, None], rows, columns], targets[chosen])

    inputs = keras.Input(shape)
    return keras.Model(inputs, network(_reduction(shape)(inputs)), name="classifier")


def _network(shape: tuple[int, ...], classes: int) -> keras.Sequential:
    seeds = itertools.count(1)

    def arguments() -> dict[str, Any]:
        # Seeds of its own, whatever the caller's random state.
        return {"kernel_initializer": keras.initializers.HeNormal(next(seeds))}

    def convolution(filters: int, size: int) -> keras.Layer:
        return keras.layers.Conv2D(filters, size, 2, "same", activation="relu", **arguments())

    return keras.Sequential(
        [
            keras.Input(shape),
            convolution(32, 5),
            convolution(64, 3),
            convolution(64, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(NUM_FEATURES, activation="relu", name="features", **arguments()),
            keras.layers.Dense(classes, name="logits", **arguments()),
        ],
        name="network",
    )


def _cut(classifier: keras.Model, shape: tuple[int, int, int]) -> keras.Model:
    """The classifier without its last layer, under a name made from its weights."""
    x = inputs = keras.Input(shape)
    x = _reduction(shape)(x)
    for layer in classifier.get_layer("network").layers[:-1]:
        x = layer(x)
    digest = hashlib.sha256(b"".join(np.asarray(w).tobytes() for w in classifier.get_weights())).hexdigest()
    return keras.Model(inputs, x, name=f"classifier-{'x'.join(map(str, shape))}-{digest[:8]}")


def _read(path: Path, shape: tuple[int, int, int]) -> keras.Model | None:
    """The cached extractor; None where there is none, or, with a warning, where it cannot be used."""
    try:
        if not path.is_file():
            return None
        extractor = keras.saving.load_model(path, compile=False)
        if extractor.input_shape != (None, *shape) or extractor.output_shape != (None, NUM_FEATURES):
            raise ValueError(f"it maps {extractor.input_shape} to {extractor.output_shape}")
    except Exception as error:  # a damaged archive fails in many ways, and each is mended by training again
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        warnings.warn(
            f"The cached classifier {path} is damaged and is trained again ({reason}).", stacklevel=3
        )
        return None
    return extractor


def _write(extractor: keras.Model, path: Path) -> None:
    try:
        with atomic.replacing(path) as temporary:
            extractor.save(temporary)
    except OSError as error:
        warnings.warn(
            f"The classifier could not be cached in {path.parent} and will be trained again next time "
            f"({error}); set KERAS_GEN_CACHE to a writable folder.",
            stacklevel=3,
        )
