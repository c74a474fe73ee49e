"""A picture that is being optimized, as it comes along."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from keras_gen.image import save_image


class Preview(keras.callbacks.Callback):
    """Writes `previews/step-00010.png`, …: the model's `image` every so many steps, and at the end.

    Args:
        folder: where the folder of previews is to be.
        every: steps between two pictures.
    """

    def __init__(self, folder: str | os.PathLike[str], every: int = 10):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be 1 or more; received {every}.")
        self.folder, self.every = Path(folder) / "previews", every

    def on_train_batch_end(self, batch, logs=None):
        """Writes the picture, if its turn has come."""
        if int(self.model.step.numpy()) % self.every == 0:
            self._write()

    def on_train_end(self, logs=None):
        """Writes the last picture."""
        if int(self.model.step.numpy()) % self.every:
            self._write()

    def _write(self) -> None:
        path = self.folder / f"step-{int(self.model.step.numpy()):05d}.png"
        save_image(self.model.image, path)
