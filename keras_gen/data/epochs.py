"""Everything random about an epoch, as pure functions of (seed, epoch): order, crops and flips.

Nothing else enters, neither TensorFlow's global seed nor the process: two workers that load the same data set
see the same global batches, and a run that is resumed at epoch k sees what it would have seen.
"""

import numpy as np
import tensorflow as tf


class _Epochs:
    """Counts a data set's iterations; a strategy would mirror a variable, and copy it into each iterator."""

    def __init__(self, seed: int, initial_epoch: int):
        self.seed, self.next = seed, initial_epoch

    def __call__(self):
        epoch, self.next = self.next, self.next + 1
        yield np.array([self.seed, epoch], np.int64)


def epoch_seeds(seed: int, initial_epoch: int = 0) -> tf.data.Dataset:
    """A data set of one int64 pair `(seed, epoch)`; the epoch grows by one each time it is iterated."""
    epochs = _Epochs(seed, initial_epoch)
    # A Python generator is the one source in tf.data whose state outlives an iterator, yet is not a variable
    # that a strategy would mirror. It is called once an epoch.
    dataset = tf.data.Dataset.from_generator(epochs, output_signature=tf.TensorSpec((2,), tf.int64))
    dataset.keras_gen_epochs = epochs
    return dataset


def set_epoch(dataset: tf.data.Dataset, epoch: int) -> None:
    """Makes the next iteration of a data set from `load`, or of one derived from it, that epoch.

    Models do this at each epoch of `fit`, so that what they see depends on how many epochs they have behind
    them, and not on who else has iterated the data set. Other data sets are left alone.

    Args:
        dataset: any data set.
        epoch: the number of the epoch, from 0.
    """
    pending = [dataset]
    while pending:
        current = pending.pop()
        epochs = getattr(current, "keras_gen_epochs", None)
        if epochs is not None:
            epochs.next = epoch
        pending.extend(current._inputs())


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
    """An int64 scalar for `Dataset.shuffle`, where examples cannot be had by index; in a graph alone."""
    # Else the user's `tf.random.set_seed` is mixed in, and a zero compared with this tensor, which fails.
    tf.random.set_seed(1)
    key = tf.random.experimental.stateless_fold_in(seed, 2)
    return tf.random.stateless_uniform((), key, minval=1, maxval=2**62, dtype=tf.int64)
