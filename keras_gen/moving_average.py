"""Exponential moving average of a network's weights: what a GAN's generator is sampled with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def update(averages: Sequence[Any], variables: Sequence[Any], decay: float | tf.Tensor) -> None:
    """Moves each average towards its variable: `average = decay * average + (1 - decay) * variable`.

    Called once after each step of the optimizer, with averages that began as copies of the variables, this is
    what `tensorflow_addons.optimizers.MovingAverage` does around an optimizer. Whole numbers (counters, the
    states of random number generators) have no average and are copied.

    It works eagerly, in a `tf.function` and in the replicas of a `tf.distribute` strategy. There, every
    replica must call it, so not inside a `tf.cond`: a `decay` of 1.0 leaves the averages as they are.

    Args:
        averages: Keras or TensorFlow variables, changed in place.
        variables: As many variables of the same shapes and types, for example `generator.weights`.
        decay: Number in [0, 1]: 0 copies the variables, 1 leaves the averages alone; 0.999 and 0.9999 are
            common. A float, or a scalar tensor such as `dynamic_decay` gives.

    Raises:
        ValueError: `decay` is a number outside [0, 1], or the two sequences do not match.

    Reference:
        The Unusual Effectiveness of Averaging in GAN Training (2018), arXiv:1806.04498.
    """
    if not tf.is_tensor(decay) and not 0.0 <= decay <= 1.0:
        raise ValueError(f"decay must lie in [0, 1], such as 0.999, received {decay}.")
    targets, sources = (
        [v.value if isinstance(v, keras.Variable) else v for v in side] for side in (averages, variables)
    )
    received, expected = ([(tuple(v.shape), v.dtype.name) for v in side] for side in (targets, sources))
    if received != expected:
        raise ValueError(
            "averages must be copies of the variables, in the same order, received shapes and types "
            f"{received} for variables of {expected}; build them from the same network."
        )
    replica = tf.distribute.get_replica_context()
    if replica is None:
        _assign(tf.distribute.get_strategy(), targets, sources, decay)
    else:
        # A replica may not assign to a mirrored variable by itself; optimizers merge in the same way.
        replica.merge_call(_assign, args=(targets, sources, decay))


def _assign(
    strategy: tf.distribute.Strategy, averages: Sequence[Any], variables: Sequence[Any], decay: Any
) -> None:
    def assign(average: tf.Variable, variable: tf.Variable, decay: Any) -> None:
        if average.dtype.is_floating:
            # This form leaves an average alone, bit for bit, that equals its variable.
            average.assign_add((1.0 - tf.cast(decay, average.dtype)) * (variable - average))
        else:
            average.assign(variable)

    for average, variable in zip(averages, variables, strict=True):
        strategy.extended.update(average, assign, args=(variable, decay), group=False)


def dynamic_decay(decay: float, step: Any, start_step: int = 0) -> tf.Tensor:
    """Decay that grows with the steps, so that the poor weights of the beginning are soon forgotten.

    It is 0 (the average is a copy) before `start_step`, then min(decay, (1 + t) / (10 + t)) with
    t = step - start_step: the `start_step` and `dynamic_decay=True` of tensorflow-addons' `MovingAverage`.

    Args:
        decay: The number in [0, 1] that it grows to.
        step: Steps taken before this one, an integer or a scalar tensor or variable.
        start_step: The step at which averaging begins.

    Returns:
        A float32 scalar tensor.
    """
    count = tf.cast(tf.convert_to_tensor(step), tf.float32) - float(start_step)
    growing = tf.minimum(tf.cast(decay, tf.float32), (1.0 + count) / (10.0 + count))
    return tf.where(count < 0, 0.0, growing)
