"""Fréchet distance of samples, epoch by epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.metrics.frechet import frechet_distance

_MOST_REAL = 10_000


class FrechetDistance(keras.callbacks.Callback):
    """Adds `frechet_distance` to an epoch's logs, for the callbacks after it in the list.

    The number compares only with others of the same feature space and the same numbers of images: it is for
    following one run and choosing its best epoch.

    Args:
        images: float32 (count, height, width, channels) in [-1, 1], or a data set of batches of such images,
            with labels or without; of more than 10,000 the first ones are used.
        feature_extractor: a Keras model from images to (batch, features), such as those of
            `keras_gen.metrics`.
        n: how many samples are drawn, at least two; always from the same latent vectors.
        seed: of these.
        every: epochs between two measurements.
    """

    def __init__(
        self, images: Any, feature_extractor: keras.Model, n: int = 1000, seed: int = 0, every: int = 1
    ):
        super().__init__()
        if n < 2 or every < 1:
            raise ValueError(f"n must be 2 or more and every 1 or more; received {n} and {every}.")
        self.feature_extractor, self.n, self.seed, self.every = feature_extractor, n, seed, every
        self._images: Any = images
        self._real: np.ndarray | None = None

    def on_train_begin(self, logs=None):
        """Takes the features of the real images, once."""
        if self._real is None:
            self._real = self._real_features()
            self._images = None

    def on_epoch_end(self, epoch, logs=None):
        """Measures the distance of new samples."""
        if logs is not None and int(self.model.epoch.numpy()) % self.every == 0:
            fake = self._features(self.model.sample(self.n, self.seed))
            logs["frechet_distance"] = frechet_distance(self._real, fake)

    def _real_features(self) -> np.ndarray:
        if not isinstance(self._images, tf.data.Dataset):
            return self._features(np.asarray(self._images[:_MOST_REAL], np.float32))
        parts: list[np.ndarray] = []
        for batch in self._images:
            images = batch[0] if isinstance(batch, tuple) else batch
            parts.append(self._features(images))
            if sum(map(len, parts)) >= _MOST_REAL:
                break
        return np.concatenate(parts)[:_MOST_REAL]

    def _features(self, images) -> np.ndarray:
        return self.feature_extractor.predict(images, batch_size=256, verbose=0)
