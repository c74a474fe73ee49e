"""The running means of an epoch that was interrupted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import keras

from keras_gen import atomic


class KeepMeans(keras.callbacks.Callback):
    """Lets the logs of an epoch that was interrupted be those of the whole epoch.

    Keras sets the running means to zero when an epoch begins. `save` keeps them in a file; the next epoch
    that begins at the very same step goes on from there.

    Args:
        path: the file.
    """

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__()
        self.path = Path(path)

    def save(self) -> None:
        """Writes the means of this moment."""
        trackers = self.model.trackers.items()
        means = {name: [float(v.numpy()) for v in tracker.variables] for name, tracker in trackers}
        atomic.write_json(self.path, {"step": int(self.model.step.numpy()), "means": means})

    def on_epoch_begin(self, epoch, logs=None):
        """Restores them; Keras has just reset them."""
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        if kept["step"] == int(self.model.step.numpy()):
            for name, tracker in self.model.trackers.items():
                for variable, value in zip(tracker.variables, kept["means"][name], strict=True):
                    variable.assign(value)

    def on_epoch_end(self, epoch, logs=None):
        """The epoch is whole: there is nothing to keep."""
        self.path.unlink(missing_ok=True)
