"""Instance normalization by one kernel: the numbers of the plain one, in training in bfloat16 only."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import (
    ConditionalInstanceNormalization,
    InstanceNormalization,
    InstanceStatistics,
    ResizeConvolution2D,
    fused_normalization,
)

RNG = np.random.default_rng(0)
IMAGES = tf.cast(RNG.normal(5, 3, (3, 16, 12, 8)), tf.bfloat16)
pytestmark = pytest.mark.skipif(not fused_normalization.on_cpu(), reason="the kernel is for CPUs")


OPTIONS = {"plain": {}, "unscaled": {"scale": False}, "uncentred": {"center": False}}


def _layer(kind, dtype):
    if kind in OPTIONS:
        layer, shape = InstanceNormalization(dtype=dtype, **OPTIONS[kind]), IMAGES.shape
    else:
        layer, shape = ConditionalInstanceNormalization(2, dtype=dtype), [IMAGES.shape, (3, 2)]
    layer.build(shape)
    layer.set_weights([np.random.default_rng(i).normal(1, 1, w.shape) for i, w in enumerate(layer.weights)])
    weights = tf.constant([[1.0, 0], [0, 1], [0.3, 0.7]])
    return layer, (lambda images: images) if kind in OPTIONS else (lambda images: [images, weights])


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


@pytest.mark.parametrize("kind", [*OPTIONS, "conditional"])
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


@pytest.mark.parametrize("kind", ["plain", "conditional"])
def test_it_is_taken_in_training_in_bfloat16_only(kind):
    def operators(dtype, training, image):
        layer, inputs = _layer(kind, dtype)
        run = tf.function(lambda images: layer(inputs(images), training=training))
        return {operation.type for operation in run.get_concrete_function(image).graph.get_operations()}

    assert "FusedBatchNormV3" in operators("mixed_bfloat16", True, IMAGES)
    assert "FusedBatchNormV3" not in operators("mixed_bfloat16", False, IMAGES)
    assert "FusedBatchNormV3" not in operators("float32", True, tf.cast(IMAGES, tf.float32))


def test_weights_in_bfloat16():
    layer, _ = _layer("plain", "bfloat16")
    np.testing.assert_allclose(
        tf.cast(layer(IMAGES, training=True), tf.float32),
        tf.cast(layer(IMAGES, training=False), tf.float32),
        rtol=0.02,
        atol=0.02,
    )


def test_after_a_layer_whose_size_is_unknown():
    """Of a slice of unknown size TensorFlow forgets the number of channels."""
    up = ResizeConvolution2D(8, dtype="mixed_bfloat16")
    layer, _ = _layer("plain", "mixed_bfloat16")
    run = tf.function(
        lambda images: layer(up(images), training=True),
        input_signature=[tf.TensorSpec((None, None, None, 8), tf.bfloat16)],
    )
    assert run(IMAGES).shape == (3, 32, 24, 8)
