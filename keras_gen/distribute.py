"""What the models need to know of `tf.distribute`: means over the replicas of a strategy."""

from __future__ import annotations

import tensorflow as tf


def replica_count() -> int:
    """Number of replicas in step with this one, 1 outside a replica."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def mean_over_replicas(values):
    """The mean of a tensor, or of a list of tensors, over all replicas; differentiable."""
    if replica_count() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce("MEAN", values)


def global_mean(values: tf.Tensor) -> tf.Tensor:
    """The mean of this and every other replica's values, a scalar."""
    return mean_over_replicas(tf.reduce_mean(values))
