"""Curvature over training, in TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_gen.curvature.players import PlayersCurvature, draw, png


class Curvature(keras.callbacks.Callback):
    """Writes what `keras-gen curvature` measures every few epochs: scalars, and the figure.

    Of each player: top_eigenvalue, smallest_eigenvalue, trace, negative_share, null_share and gradient_norm;
    of a game: rotation. A measurement costs some hundred products, of 1 to 2.3 gradients each.

    Args:
        folder: where to; `tensorboard --logdir` takes it or one above.
        batches: a few batches as the model is trained on, always the same ones.
        every: epochs between two measurements.
        **options: of `PlayersCurvature.measure`.

    Raises:
        ValueError: every below one, or no batches.
    """

    def __init__(self, folder: str | os.PathLike[str], batches: Sequence, every: int = 1, **options: Any):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be 1 or more; received {every}.")
        self.folder, self.batches, self.every, self.options = Path(folder), list(batches), every, options
        self._curvature: PlayersCurvature | None = None

    def on_train_begin(self, logs=None):
        """Makes the operators, whose graphs all measurements share."""
        self._curvature = PlayersCurvature(self.model, self.batches)

    def on_epoch_end(self, epoch, logs=None):
        """Measures and writes."""
        if self._curvature is None or int(self.model.epoch.numpy()) % self.every:
            return
        measured = self._curvature.measure(**self.options)
        scalars: dict[str, float] = {}
        for name, player in measured["players"].items():
            found = {
                "top_eigenvalue": player["top_eigenvalues"][0],
                "smallest_eigenvalue": player["smallest"],
                **{key: player[key] for key in ("trace", "negative_share", "null_share", "gradient_norm")},
            }
            scalars |= {f"curvature/{name}_{key}": value for key, value in found.items()}
        if measured["game"] is not None:
            scalars["curvature/rotation"] = measured["game"]["rotation"]
        figure = tf.io.decode_png(png(draw(measured)), channels=3)
        writer = tf.summary.create_file_writer(str(self.folder))
        with writer.as_default(int(self.model.step.numpy())):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
            tf.summary.image("curvature", figure[None])
        writer.close()
