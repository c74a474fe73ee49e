"""How a weight of the loss grows with the steps: functions from the step to a factor in [0, 1].

Reference: warm-up: Ladder Variational Autoencoders, 2016, arXiv:1602.02282; cyclic: Cyclical Annealing
Schedule: A Simple Approach to Mitigating KL Vanishing, 2019, arXiv:1903.10145.
"""

from __future__ import annotations

import tensorflow as tf


def constant(step: tf.Tensor, steps: int) -> tf.Tensor:
    """One at every step."""
    return tf.ones((), tf.float32)


def warm_up(step: tf.Tensor, steps: int) -> tf.Tensor:
    """From zero to one, linearly, in the first `steps` steps; one from there on."""
    return tf.minimum(tf.cast(step, tf.float32) / steps, 1.0)


def cyclical(step: tf.Tensor, steps: int) -> tf.Tensor:
    """Periods of `steps` steps: from zero to one, linearly, in the first half of each, then one."""
    phase = tf.cast(tf.math.floormod(tf.cast(step, tf.int64), steps), tf.float32) / steps
    return tf.minimum(2.0 * phase, 1.0)


#: The schedules by name.
SCHEDULES = {"constant": constant, "warm-up": warm_up, "cyclical": cyclical}
