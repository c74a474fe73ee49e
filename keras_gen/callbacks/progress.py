"""How far training has come: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import time
from typing import Any

import keras


class Progress(keras.callbacks.Callback):
    """Shows epochs, steps, time left and losses; with `verbose=0` in `fit`, in place of Keras's own.

    On a terminal it is a bar; into a file or a pipe it prints a line after each epoch, and none between.

    Args:
        epochs: the last epoch.
        steps: steps in an epoch.
        console: a `rich.console.Console`; None makes one on standard output.
    """

    def __init__(self, epochs: int, steps: int, console: Any = None):
        super().__init__()
        from rich.console import Console

        self.epochs, self.steps = epochs, steps
        self.console = console or Console()
        self._bar: Any = None
        self._began = self._first_step = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """A new bar."""
        self._began = time.monotonic()
        done = int(self.model.step.numpy()) - int(self.model.epoch.numpy()) * self.steps
        if not self.console.is_terminal:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("epoch {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[logs]}"),
            console=self.console,
            transient=True,
        )
        self._bar.add_task(f"{epoch + 1}/{self.epochs}", total=self.steps, completed=max(done, 0), logs="")
        self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar on."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=1, logs=_losses(logs or {}))

    def on_epoch_end(self, epoch, logs=None):
        """A line that stays."""
        self.close()
        seconds = time.monotonic() - self._began
        self.console.print(
            f"epoch {epoch + 1}/{self.epochs}  {seconds:.0f} s  {_losses(logs or {})}",
            highlight=False,
            soft_wrap=True,
        )

    def close(self) -> None:
        """Takes the bar away; also to be called where `fit` raised an error."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _losses(logs: dict) -> str:
    shown = [name for name in logs if name.endswith(("loss", "elbo", "distance"))]
    return "  ".join(f"{name.replace('_', ' ')} {float(logs[name]):.4g}" for name in shown)
