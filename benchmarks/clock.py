"""The time at which each step of `fit` ends."""

from __future__ import annotations

import time

import keras


class Clock(keras.callbacks.Callback):
    """Reads a log after each step, as a progress bar does, and then the time; see `ends`, in seconds."""

    ends: list[float]

    def on_train_begin(self, logs=None):
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        float(next(iter(logs.values())))
        self.ends.append(time.perf_counter())
