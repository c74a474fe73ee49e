"""Random numbers drawn per example, statelessly, from a seed and the global step.

Each replica draws the numbers of the whole global batch and keeps its own rows, so that two replicas see what
one would have seen, and a resumed run what the uninterrupted one would have.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

_current = threading.local()


def _replicas() -> tuple[int, tf.Tensor | int]:
    context = tf.distribute.get_replica_context()
    if context is None:
        return 1, 0
    return context.num_replicas_in_sync, context.replica_id_in_sync_group


class RandomStream:
    """A sequence of draws for one training step; the n-th draw depends on seed, step, and n alone.

    Args:
        seed: an integer, or a scalar int64 tensor.
        step: the global step, an integer, a scalar integer tensor, or a variable, which is read at each draw.
    """

    def __init__(self, seed: tf.Tensor | int, step: tf.Tensor | tf.Variable | int):
        self._seed, self._step = seed, step
        self._draws = 0

    @contextlib.contextmanager
    def repeated(self, position: int) -> Iterator[None]:
        """Within it, as in `scope`, the draws from that position on come once more; it goes on from here."""
        here, self._draws = self._draws, position
        try:
            with self.scope():
                yield
        finally:
            self._draws = here

    @property
    def position(self) -> int:
        """How many draws there have been."""
        return self._draws

    def _draw(self, sample, batch, shape, **options) -> tf.Tensor:
        # Read here, for a network that is a tf.function of its own outlives the graph that it is called in.
        base = tf.stack([tf.convert_to_tensor(self._seed, tf.int64), tf.cast(self._step, tf.int64)])
        seed = tf.random.experimental.stateless_fold_in(base, self._draws)
        self._draws += 1
        replicas, index = _replicas()
        values = sample([batch * replicas, *shape], seed=seed, **options)
        return values if replicas == 1 else values[index * batch : (index + 1) * batch]

    def normal(self, batch: int | tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
        """Standard normal float32 numbers of shape (batch, *shape); batch counts this replica's examples."""
        return self._draw(tf.random.stateless_normal, batch, shape)

    def uniform(self, batch: int | tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
        """Uniform float32 numbers in [0, 1) of shape (batch, *shape)."""
        return self._draw(tf.random.stateless_uniform, batch, shape)

    def bernoulli(self, batch: int | tf.Tensor, shape: tuple[int, ...], probability: float) -> tf.Tensor:
        """Booleans of shape (batch, *shape), true with a probability that is exact to 2⁻¹⁶.

        Sixteen bits decide each: half the cost of a float, and the draws are what dropout spends its time on.
        """
        shape = tuple(shape)
        if not shape or any(tf.is_tensor(size) for size in shape) or shape[-1] % 2:
            return self.uniform(batch, shape) < probability
        half = (*shape[:-1], shape[-1] // 2)
        words = self._draw(
            tf.random.stateless_uniform, batch, half, minval=None, maxval=None, dtype=tf.uint32
        )
        bits = tf.reshape(tf.bitcast(words, tf.uint16), (batch, *shape))
        return bits < tf.constant(min(round(probability * 2**16), 2**16 - 1), tf.uint16)

    @contextlib.contextmanager
    def scope(self) -> Iterator[RandomStream]:
        """Within it, this thread's layers (see `layers.Dropout`) draw from this stream."""
        outer = current_stream()
        _current.stream = self
        try:
            yield self
        finally:
            _current.stream = outer


def rows(kind: str, seeds: Any, indices: Any, shape: tuple[int, ...]) -> tf.Tensor:
    """Random numbers for each row by itself: they depend on its seed and index alone, not on the others.

    So the i-th example of a seed is the same drawn alone, among others, or by an exported model.

    Args:
        kind: "normal" or "uniform", a method of `RandomStream`.
        seeds, indices: int64 (count,).
        shape: of a row.

    Returns:
        float32 (count, *shape).
    """

    def row(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return getattr(RandomStream(*pair), kind)(1, shape)[0]

    pairs = (tf.convert_to_tensor(seeds, tf.int64), tf.convert_to_tensor(indices, tf.int64))
    return tf.map_fn(row, pairs, fn_output_signature=tf.TensorSpec(shape, tf.float32))


_compiled_rows = tf.function(rows, autograph=False, reduce_retracing=True)


def draw(kind: str, count: int, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """The first rows of a seed, as an array (count, *shape); see `rows`."""
    return _compiled_rows(
        kind, tf.fill([count], tf.constant(seed, tf.int64)), tf.range(count, dtype=tf.int64), tuple(shape)
    ).numpy()


def current_stream() -> RandomStream | None:
    """The stream whose scope this thread is in, or None."""
    return getattr(_current, "stream", None)
