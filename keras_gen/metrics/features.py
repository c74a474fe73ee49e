"""Feature spaces in which sets of images are compared, and the choice among them.

Every extractor is a Keras model from images in [-1, 1] to (batch, features) whose `name` names the space.
Numbers of different spaces do not compare, so a distance is reported together with that name.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gen.metrics.classifier import classifier_features, float32_policy, is_labelled

_LARGEST_SIDE = 32
_SECONDS_WITHOUT_ANSWER = 10.0


def feature_extractor(
    image_shape: tuple[int, int, int],
    images: Any = None,
    labels: Any = None,
    *,
    fingerprint: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> keras.Model:
    """The best feature space that can be had for these images.

    1. Grey 28×28 images with labels: `classifier_features`, since Inception knows photographs, not digits.
    2. Otherwise `inception_features`, where its weights are on this machine or can be downloaded.
    3. Otherwise, with a warning, `classifier_features` if there are labels, or else `projection_features`.

    Args:
        image_shape: (height, width, channels) with 1 or 3 channels.
        images: (count, *image_shape) float in [-1, 1], or a `tf.data.Dataset` of (images, labels); None where
            there is no data.
        labels: (count,) whole numbers, or None.
        fingerprint: See `classifier_features`.
        cache_dir: See `classifier_features`.

    Returns:
        A Keras model; its `name` is to be reported with every number computed from its features.

    Raises:
        ValueError: Wrong shapes, or images outside [-1, 1].
    """
    shape = _check_shape(image_shape)
    labelled = is_labelled(images, labels)

    def classifier() -> keras.Model:
        extractor = classifier_features(images, labels, fingerprint=fingerprint, cache_dir=cache_dir)
        if extractor.input_shape[1:] != shape:
            raise ValueError(f"image_shape is {shape}, but the images have {extractor.input_shape[1:]}.")
        return extractor

    if labelled and shape == (28, 28, 1):
        return classifier()
    try:
        return inception_features(shape)
    except OSError as error:
        extractor = classifier() if labelled else projection_features(shape)
        warnings.warn(
            "The weights of Inception v3 are not on this machine and could not be downloaded "
            f"({error.__cause__}). Going on with {extractor.name}.",
            stacklevel=2,
        )
        return extractor


@float32_policy()
def inception_features(
    image_shape: tuple[int, int, int], weights: str | os.PathLike[str] | None = "imagenet"
) -> keras.Model:
    """The 2048 pooled features of Inception v3: images to 299×299, grey repeated to three channels.

    The weights are those of `keras.applications`, not the ones of the original FID code: numbers do not
    compare with published ones, nor with pytorch-fid's.

    Args:
        image_shape: (height, width, channels) with 1 or 3 channels.
        weights: "imagenet" (read from Keras's cache or downloaded, 88 MB), the path of such a file, or None
            for random weights.

    Returns:
        A Keras model "inception-v3" (or "inception-v3-random", "inception-v3-FILE") from images in [-1, 1]
        (batch, height, width, channels) to (batch, 2048), not trainable.

    Raises:
        OSError: The weights are neither here nor to be downloaded.
        ValueError: Wrong shape, or a file that holds other weights.

    Reference:
        Rethinking the Inception Architecture for Computer Vision (2015), arXiv:1512.00567.
    """
    shape = _check_shape(image_shape)
    source = weights if weights in (None, "imagenet") else Path(weights)
    if isinstance(source, Path) and not source.is_file():
        raise FileNotFoundError(f"There is no file {source} with weights of Inception v3.")
    with _impatient_sockets():
        try:
            network = keras.applications.InceptionV3(
                include_top=False, weights=source, input_shape=(299, 299, 3), pooling="avg"
            )
        except Exception as error:
            if isinstance(source, Path):
                raise ValueError(
                    f"{source} does not hold weights of Inception v3 without its top: {error}"
                ) from error
            raise OSError(
                "The weights of Inception v3 are not on this machine and could not be downloaded "
                f"({error}); give the path of the file as weights=, or use "
                "classifier_features (labelled images) or projection_features (any images)."
            ) from error
    inputs = keras.Input(shape)
    x = keras.layers.Resizing(299, 299, antialias=True)(inputs)
    x = x if shape[2] == 3 else keras.layers.Concatenate()([x, x, x])
    kind = f"-{source.stem}" if isinstance(source, Path) else "" if source else "-random"
    extractor = keras.Model(inputs, network(x, training=False), name=f"inception-v3{kind}")
    extractor.trainable = False
    return extractor


@float32_policy()
def projection_features(image_shape: tuple[int, int, int], num_features: int = 64) -> keras.Model:
    """Pixels, reduced to at most 32×32, on a fixed random orthonormal basis: the fallback without labels.

    It depends on the image shape alone, so its numbers compare between data sets, machines and days, but as a
    linear map it sees only colour, brightness and coarse layout.

    Args:
        image_shape: (height, width, channels) with 1 or 3 channels.
        num_features: Size of the basis, at most the number of (reduced) pixel values.

    Returns:
        A Keras model such as "projection-64x64x3-64" from images (batch, height, width, channels) to
        (batch, num_features), not trainable.

    Raises:
        ValueError: Wrong shape or `num_features`.

    Reference:
        Extensions of Lipschitz mappings into a Hilbert space, Johnson and Lindenstrauss (1984).
    """
    shape = _check_shape(image_shape)
    height, width = (min(side, _LARGEST_SIDE) for side in shape[:2])
    values = math.prod((height, width, shape[2]))
    if not 1 <= num_features <= values:
        raise ValueError(
            f"num_features must lie between 1 and {values} for {shape}, received {num_features}."
        )
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((values, num_features)))[0]
    inputs = keras.Input(shape)
    x = keras.layers.Resizing(height, width, antialias=True)(inputs)
    x = keras.layers.Flatten()(x)
    projection = keras.layers.Dense(num_features, use_bias=False, kernel_initializer="zeros")
    name = f"projection-{'x'.join(map(str, shape))}-{num_features}"
    extractor = keras.Model(inputs, projection(x), name=name)
    projection.set_weights([basis])
    extractor.trainable = False
    return extractor


def _check_shape(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    shape = tuple(image_shape)
    if (
        len(shape) != 3
        or shape[2] not in (1, 3)
        or not all(isinstance(side, int) and side > 0 for side in shape)
    ):
        raise ValueError(f"image_shape must be (height, width, 1 or 3), received {image_shape}.")
    return shape


@contextlib.contextmanager
def _impatient_sockets() -> Iterator[None]:
    """Limits the wait for an answer: Keras downloads without one, and a silent network would hang us."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS_WITHOUT_ANSWER)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
