"""Samples, epoch by epoch."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from keras_gen.image import save_grid


class SampleGrid(keras.callbacks.Callback):
    """Writes `samples/epoch-0001.png`, …: the same latent vectors each time, so that they can be compared.

    Args:
        folder: the run folder.
        n: images in a grid.
        seed: of the latent vectors.
        every: epochs between two grids.
    """

    def __init__(self, folder: str | os.PathLike[str], n: int = 64, seed: int = 0, every: int = 1):
        super().__init__()
        if n < 1 or every < 1:
            raise ValueError(f"n and every must be 1 or more; received {n} and {every}.")
        self.folder, self.n, self.seed, self.every = Path(folder) / "samples", n, seed, every

    def set_model(self, model):
        """Takes the model; TypeError where it draws nothing from latent vectors."""
        super().set_model(model)
        if not hasattr(model, "sample"):
            raise TypeError(
                f"SampleGrid shows what a model samples, and {type(model).__name__} does not: leave it out."
            )

    def on_epoch_end(self, epoch, logs=None):
        """Draws and writes the grid."""
        done = int(self.model.epoch.numpy())
        if done % self.every == 0:
            save_grid(self.model.sample(self.n, self.seed), self.folder / f"epoch-{done:04d}.png")
