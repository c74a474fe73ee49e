"""Mean and variance over a batch that can be differentiated more than once."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator

import tensorflow as tf

_thread = threading.local()


@functools.cache
def _replace() -> None:
    # Once, for all threads, since replicas trace in several; it acts within `twice_differentiable` alone.
    own = tf.nn.moments

    @functools.wraps(own)
    def moments(x, axes, shift=None, keepdims=False, name=None):
        if not getattr(_thread, "exact", False):
            return own(x, axes, shift, keepdims, name)
        wide = tf.cast(x, tf.float32) if x.dtype in (tf.bfloat16, tf.float16) else x
        mean = tf.reduce_mean(wide, axes, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(wide, mean), axes, keepdims=keepdims)
        return tf.cast(tf.reshape(mean, tf.shape(variance)), x.dtype), tf.cast(variance, x.dtype)

    tf.nn.moments = moments


@contextlib.contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within it `tf.nn.moments`, which Keras's normalizations call, has a right second derivative.

    TensorFlow's own takes the mean within the variance for a constant, which is right for one derivative
    only: a gradient penalty through batch normalization, or a Hessian, would be wrong, and nothing said.
    """
    _replace()
    outer = getattr(_thread, "exact", False)
    _thread.exact = True
    try:
        yield
    finally:
        _thread.exact = outer
