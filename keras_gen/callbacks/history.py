"""What training logged, epoch by epoch: as a table, and as a plot."""

from __future__ import annotations

import csv
import io
import os
import time
from pathlib import Path

import keras

from keras_gen import atomic

Row = dict[str, float]
_COUNTS = ("epoch", "step")
_LOSSES = ("loss", "elbo", "reconstruction", "kl")  # all in nats, of a VAE


def read_history(path: str | os.PathLike[str]) -> list[Row]:
    """The rows of a history file; values that were not measured are left out.

    Args:
        path: a file that `History` wrote; none there gives no rows.

    Raises:
        ValueError: the file is no such table.
    """
    path = Path(path)
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
        return [{**row, **{name: int(row[name]) for name in _COUNTS}} for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise ValueError(
            f"{path} is not a history of epochs as keras-gen writes it ({error}): move it away to go on."
        ) from None


class History(keras.callbacks.Callback):
    """Keeps `epoch`, `step` and every log of each epoch in a CSV file.

    When training goes on from a checkpoint, rows that are later than the checkpoint are dropped, since their
    epochs are trained again: no epoch is there twice and none is missing.

    Args:
        path: the file, e.g. `runs/a/history.csv`.
    """

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__()
        self.path = Path(path)
        self.rows: list[Row] = []

    def on_train_begin(self, logs=None):
        """Reads the rows of the epochs that the model has seen."""
        done = int(self.model.epoch.numpy())
        self.rows = [row for row in read_history(self.path) if row["epoch"] <= done]

    def on_epoch_end(self, epoch, logs=None):
        """Adds a row."""
        counts: Row = {"epoch": int(self.model.epoch.numpy()), "step": int(self.model.step.numpy())}
        self.rows.append(counts | {name: float(value) for name, value in (logs or {}).items()})
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        # The whole table each time: it is small, and never half written.
        atomic.write_text(self.path, text.getvalue())


class LossPlot(keras.callbacks.Callback):
    """Draws the losses, scores and distances of a history file over the steps.

    Args:
        history: the file that a `History` earlier in the list of callbacks writes.
        path: the image to write, e.g. `runs/a/losses.png`.
        seconds: least time between two drawings while training; the last epoch is drawn in any case.
    """

    def __init__(self, history: str | os.PathLike[str], path: str | os.PathLike[str], seconds: float = 15.0):
        super().__init__()
        self.history, self.path, self.seconds = Path(history), Path(path), seconds
        self._drawn = -float("inf")

    def on_epoch_end(self, epoch, logs=None):
        """Draws, if the last drawing is old enough."""
        if time.monotonic() - self._drawn >= self.seconds:
            self.draw()

    def on_train_end(self, logs=None):
        """Draws the whole history."""
        self.draw()

    def draw(self) -> None:
        """Draws now; nothing where there is no history yet."""
        rows = read_history(self.history)
        self._drawn = time.monotonic()
        if not rows:
            return
        # The figure by itself, without pyplot: no display, and the caller's figures stay as they are.
        from matplotlib.figure import Figure

        names = list(dict.fromkeys(name for row in rows for name in row if name not in _COUNTS))
        panels = {
            "losses": [name for name in names if name.endswith(_LOSSES)],
            "scores": [name for name in names if name.endswith("score")],
            "penalties, norms and others": [
                name for name in names if not name.endswith((*_LOSSES, "score", "distance"))
            ],
            "Fréchet distance": [name for name in names if name.endswith("distance")],
        }
        panels = {title: group for title, group in panels.items() if group}
        figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
        for axes, (title, group) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            for name in group:
                points = [(row["step"], row[name]) for row in rows if name in row]
                axes.plot(
                    *zip(*points, strict=True),
                    marker="o" if len(points) < 30 else None,
                    markersize=3,
                    label=name,
                )
            axes.set(title=title, xlabel="steps")
            axes.grid(alpha=0.3)
            axes.legend(fontsize="small")
        with atomic.replacing(self.path) as path:
            figure.savefig(path, dpi=120)
