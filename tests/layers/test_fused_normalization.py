"""Instance normalization by one kernel: the numbers of the plain one, in training in bfloat16 only."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import (
    ConditionalInstanceNormalization,
    InstanceNormalization,
    InstanceStatistics,
    fused_normalization,
)

RNG = np.random.default_rng(0)
IMAGES = tf.cast(RNG.normal(5, 3, (3, 16, 12, 8)), tf.bfloat16)
pytestmark = pytest.mark.skipif(not fused_normalization.on_cpu(), reason="the kernel is for CPUs")


def _layer(kind, dtype):
    if kind == "plain":
        layer, shape = InstanceNormalization(dtype=dtype), IMAGES.shape
    else:
        layer, shape = ConditionalInstanceNormalization(2, dtype=dtype), [IMAGES.shape, (3, 2)]
    layer.build(shape)
    layer.set_weights([np.random.default_rng(i).normal(1, 1, w.shape) for i, w in enumerate(layer.weights)])
    weights = tf.constant([[1.0, 0], [0, 1], [0.3, 0.7]])
    return layer, (lambda images: images) if kind == "plain" else (lambda images: [images, weights])


def _derivatives(layer, inputs, images, training):
    parameters = [weight.value for weight in layer.weights]
    with tf.GradientTape() as second:
        second.watch(images)
        with tf.GradientTape() as first:
            first.watch(images)
            outputs = layer(inputs(images), training=training)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
        once = first.gradient(loss, [images, *parameters])
        norm = tf.reduce_sum(tf.cast(once[0], tf.float32) ** 2)
    return [outputs, *once, second.gradient(norm, images)]


@pytest.mark.parametrize("kind", ["plain", "conditional"])
def test_as_near_to_float32_as_the_plain_one_in_two_derivatives(kind):
    half, inputs = _layer(kind, "mixed_bfloat16")
    exact, _ = _layer(kind, "float32")
    assert fused_normalization.fits(IMAGES, half.compute_dtype)
    expected = _derivatives(exact, inputs, tf.cast(IMAGES, tf.float32), training=True)
    found = [_derivatives(half, inputs, IMAGES, training) for training in (True, False)]
    for fused, plain, value in zip(*found, expected, strict=True):
        assert fused.dtype == plain.dtype
        errors = [np.linalg.norm(tf.cast(each, tf.float32) - value) for each in (fused, plain)]
        assert errors[0] <= 1.2 * errors[1] + 1e-6 * np.linalg.norm(value)


def test_given_statistics_are_taken():
    layer, inputs = _layer("plain", "mixed_bfloat16")
    given = [(tf.zeros((3, 1, 1, 8)), tf.ones((3, 1, 1, 8)))]
    with InstanceStatistics(given):
        in_training = layer(inputs(IMAGES), training=True)
    with InstanceStatistics(given):
        np.testing.assert_array_equal(in_training, layer(inputs(IMAGES), training=False))


def test_sizes_unknown_and_no_samples_at_all():
    layer, _ = _layer("plain", "mixed_bfloat16")
    spec = tf.TensorSpec((None, None, None, 8), tf.bfloat16)
    run = tf.function(lambda images: layer(images, training=True), input_signature=[spec])
    np.testing.assert_array_equal(run(IMAGES), layer(IMAGES, training=True))
    assert run(IMAGES[:0]).shape == (0, 16, 12, 8)
