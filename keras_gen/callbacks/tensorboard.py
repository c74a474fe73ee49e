"""TensorBoard logs: scalars and images."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import tensorflow as tf

from keras_gen.image import make_grid


class TensorBoard(keras.callbacks.Callback):
    """Writes each epoch's logs as scalars and a grid of samples, over the steps.

    Keras's own callback knows neither the several optimizers of these models nor their samples.

    Args:
        folder: where to; `tensorboard --logdir` takes it or one above.
        n: images in a grid; 0 for none.
        seed: of the latent vectors.
    """

    def __init__(self, folder: str | os.PathLike[str], n: int = 64, seed: int = 0):
        super().__init__()
        self.folder, self.n, self.seed = Path(folder), n, seed
        self._writer: tf.summary.SummaryWriter | None = None

    def on_epoch_end(self, epoch, logs=None):
        """Writes and flushes, so that a killed process loses nothing."""
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.folder))
        step = int(self.model.step.numpy())
        with self._writer.as_default(step):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, float(value))
            tf.summary.scalar("epoch", int(self.model.epoch.numpy()))
            if self.n:
                tf.summary.image("samples", make_grid(self.model.sample(self.n, self.seed))[None])
        self._writer.flush()

    def on_train_end(self, logs=None):
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
