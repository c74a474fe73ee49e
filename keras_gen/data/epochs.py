"""Everything random about an epoch, as pure functions of (seed, epoch): order, crops and flips.

Nothing else enters, neither TensorFlow's global seed nor the process: two workers that load the same data set
see the same global batches, and a run that is resumed at epoch k sees what it would have seen.
"""

import itertools

import numpy as np
import tensorflow as tf


def epoch_seeds(seed: int, initial_epoch: int = 0) -> tf.data.Dataset:
    """A data set of one int64 pair `(seed, epoch)`; the epoch grows by one each time it is iterated."""
    epochs = itertools.count(initial_epoch)
    # A Python generator is the one source in tf.data whose state outlives an iterator, yet is not a variable
    # that a strategy would mirror. It is called once an epoch.
    return tf.data.Dataset.from_generator(
        lambda: iter([np.array([seed, next(epochs)], np.int64)]),
        output_signature=tf.TensorSpec((2,), tf.int64),
    )


def order(seed: tf.Tensor, count: int, shuffle: bool) -> tf.Tensor:
    """Indices of an epoch's examples, int64 `(count,)`: a uniform permutation, or 0, 1, … unshuffled."""
    indices = tf.range(count, dtype=tf.int64)
    if not shuffle:
        return indices
    return tf.random.experimental.stateless_shuffle(
        indices, tf.random.experimental.stateless_fold_in(seed, 0)
    )


def draws(seed: tf.Tensor, count: int) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32 `(count, 3)`: each example's place down and across, and its flip."""
    return tf.random.stateless_uniform((count, 3), tf.random.experimental.stateless_fold_in(seed, 1))


def buffer_seed(seed: tf.Tensor) -> tf.Tensor:
    """An int64 scalar for `Dataset.shuffle`, where examples cannot be had by index."""
    key = tf.random.experimental.stateless_fold_in(seed, 2)
    return tf.random.stateless_uniform((), key, minval=1, maxval=2**62, dtype=tf.int64)
