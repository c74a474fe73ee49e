"""`tf.distribute` strategies by name, and sums and means over their replicas."""

from __future__ import annotations

import re

import tensorflow as tf


def strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Makes a strategy; build and compile the model within its `scope()`, then call `fit` as ever.

    Args:
        name: "cpu:N" splits this machine's CPU into N logical devices (to try things out; before TensorFlow
            has run anything), "mirrored" uses all GPUs, "multi-worker" the machines that TF_CONFIG lists,
            "tpu" the attached TPU, and "auto" the first that applies: TF_CONFIG, TPU, several GPUs, or none.

    Returns:
        A strategy, the default one (a single device) where "auto" finds nothing to spread over.

    Raises:
        ValueError: an unknown name, or "cpu:N" once TensorFlow has started with other devices.
    """
    if name == "auto":
        return _automatic()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multi-worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
        return tf.distribute.TPUStrategy(resolver)
    match = re.fullmatch(r"cpu:([1-9]\d*)", str(name))
    if match is None:
        raise ValueError(
            f"There is no strategy {name!r}: choose auto, cpu:N (such as cpu:2), mirrored, "
            "multi-worker or tpu."
        )
    count = int(match[1])
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise ValueError(
                f"{name} must be asked for before TensorFlow runs anything: it has started with "
                f"{len(tf.config.list_logical_devices('CPU'))} CPU device(s). "
                "Move the call to the program's start."
            ) from None
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


def _automatic() -> tf.distribute.Strategy:
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if len(resolver.cluster_spec().as_dict().get("worker", [])) > 1:
        return strategy("multi-worker")
    if tf.config.list_physical_devices("TPU"):
        return strategy("tpu")
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return strategy("mirrored")
    return tf.distribute.get_strategy()


def replica_count() -> int:
    """Number of replicas in step with this one, 1 outside a replica."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def mean_over_replicas(values):
    """The mean of a tensor, or of a list of tensors, over all replicas; differentiable."""
    if replica_count() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce("MEAN", values)


def at_least_one(batch: tf.Tensor) -> tf.Tensor:
    """The batch, or one example of zeros where this replica's share of a last batch is empty.

    TensorFlow's fused convolutions fail on no examples. Whoever asks leaves the extra one out of the result.
    """
    if replica_count() == 1:
        return batch
    missing = tf.cast(tf.equal(tf.shape(batch)[0], 0), tf.int32)
    return tf.concat([batch, tf.zeros((missing, *batch.shape[1:]), batch.dtype)], 0)


def sum_over_replicas(values):
    """The sum of a tensor, or of a list of tensors, over all replicas; differentiable."""
    if replica_count() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce("SUM", values)


def global_variance(values: tf.Tensor) -> tf.Tensor:
    """The variance over the first axis of this and every other replica's values; shares may be uneven."""
    count = tf.cast(tf.shape(values)[0], values.dtype)
    total, count = sum_over_replicas([tf.reduce_sum(values, 0), count])
    squares = tf.reduce_sum(tf.math.squared_difference(values, total / tf.maximum(count, 1)), 0)
    return sum_over_replicas(squares) / tf.maximum(count, 1)


def global_mean(values: tf.Tensor) -> tf.Tensor:
    """The mean of this and every other replica's values, a scalar."""
    return mean_over_replicas(tf.reduce_mean(values))
