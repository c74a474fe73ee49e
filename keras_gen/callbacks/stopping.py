"""Ends of training before the last epoch: a signal, or the time that was given."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence

import keras


class TrainingInterrupted(KeyboardInterrupt):
    """Training ended early because a signal asked for it, after the step that it names.

    Args:
        received: the signal.
        step: steps taken since training began.
    """

    def __init__(self, received: signal.Signals, step: int):
        super().__init__(f"Training was interrupted by {received.name} after step {step}.")
        self.received, self.step = received, step


class StopOnSignal(keras.callbacks.Callback):
    """Ends training after the current step when Ctrl-C (SIGINT) or SIGTERM asks for it.

    `fit` then raises `TrainingInterrupted`, a `KeyboardInterrupt`. A second signal ends the process at
    once. It should be the last in the list: where the signal falls at the end of an epoch, the others then
    finish it first.

    Args:
        saves: called in turn before `fit` is left in the middle of an epoch, e.g. `[checkpoint.save]`.
        signals: those to heed.
    """

    def __init__(
        self,
        saves: Sequence[Callable[[], None]] = (),
        signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
    ):
        super().__init__()
        self.saves, self.signals = list(saves), list(signals)
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def on_train_begin(self, logs=None):
        """Begins to listen; only the main thread can."""
        self.received = None
        if threading.current_thread() is threading.main_thread() and not self._before:
            self._before = {wanted: signal.signal(wanted, self._receive) for wanted in self.signals}

    def on_train_batch_end(self, batch, logs=None):
        """Leaves in the middle of an epoch, with a checkpoint."""
        steps = (self.params or {}).get("steps")
        if self.received is None or (steps is not None and batch + 1 >= steps):
            return  # After the last batch the epoch is finished first.
        for save in self.saves:
            save()
        self._leave()

    def on_epoch_end(self, epoch, logs=None):
        """Leaves at the end of an epoch, when the callbacks before this one have done their work."""
        if self.received is not None:
            self._leave()

    def on_train_end(self, logs=None):
        """Stops listening."""
        self.restore()

    def restore(self) -> None:
        """Gives the signals back to those who had them; also to be called where `fit` raised an error."""
        for wanted, handler in self._before.items():
            signal.signal(wanted, handler)  # type: ignore[arg-type]
        self._before = {}

    def _receive(self, number, frame) -> None:
        self.received = signal.Signals(number)
        for wanted in self._before:
            # Not Python's own handler, which would wait for the running operation.
            signal.signal(wanted, signal.SIG_DFL)

    def _leave(self) -> None:
        received, self.received = self.received, None
        self.restore()
        if received is not None:
            raise TrainingInterrupted(received, int(self.model.step.numpy()))


class TimeBudget(keras.callbacks.Callback):
    """Ends training after an epoch where another one would take longer than the time that is left.

    Args:
        seconds: from the beginning of `fit`, what the callbacks do included.
    """

    def __init__(self, seconds: float):
        super().__init__()
        if not seconds > 0:
            raise ValueError(f"seconds must be above zero; received {seconds}.")
        self.seconds = seconds
        self._start = self._epoch_start = 0.0

    def on_train_begin(self, logs=None):
        """The clock starts."""
        self._start = self._epoch_start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Compares the time left with the time that this epoch took."""
        now = time.monotonic()
        # The first epoch also compiles the step; the later ones tell more, and are compared anew.
        if self.seconds - (now - self._start) < now - self._epoch_start:
            self.model.stop_training = True
        self._epoch_start = now
