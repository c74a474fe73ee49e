"""The last and the best model of a run, as files that `keras.saving.load_model` reads."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import keras

from keras_gen import atomic

LAST, BEST = "last.keras", "best.keras"


class Checkpoint(keras.callbacks.Callback):
    """Writes `last.keras` after each epoch and `best.keras` after the best one, each whole or not at all.

    A `.keras` file holds everything that training goes on from: networks, optimizers, moving average,
    counters and seed.

    Args:
        folder: where to; it is made.
        monitor: the log that is smallest for the best model, e.g. "frechet_distance"; an epoch without it is
            not the best, but for the first. None takes each new model as the best: the losses of two players
            do not tell.
        best: the smallest value of an earlier part of the run.

    Raises:
        OSError: a file cannot be written, e.g. because the disk is full; the files of before are intact.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        monitor: str | None = "frechet_distance",
        best: float = math.inf,
    ):
        super().__init__()
        self.last, self.best_path = Path(folder) / LAST, Path(folder) / BEST
        self.monitor, self.best = monitor, best

    def save(self) -> None:
        """Writes `last.keras` now."""
        with atomic.replacing(self.last) as path:
            self.model.save(path)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the last model, and copies it where it is the best."""
        self.save()
        value = float((logs or {}).get(self.monitor, math.inf))
        improved = value < self.best
        if improved or self.monitor is None or not self.best_path.exists():
            with atomic.replacing(self.best_path) as path:
                shutil.copyfile(self.last, path)
        if improved:
            self.best = value
