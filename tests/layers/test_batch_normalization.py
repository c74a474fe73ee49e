"""BatchNormalization: Keras's own in value, derivatives, statistics, config; float32 under bfloat16."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import BatchNormalization

OPTIONS = [
    {},
    {"momentum": 0.5, "epsilon": 0.1},
    {"center": False},
    {"scale": False},
    {"axis": 1},
]


def _pair(shape, **options):
    pair = BatchNormalization(**options), keras.layers.BatchNormalization(**options)
    random = np.random.default_rng(3)
    for layer in pair:
        layer.build(shape)
    values = [1 + 0.3 * np.abs(random.normal(size=weight.shape)) for weight in pair[0].weights]
    for layer in pair:
        layer.set_weights(values)
    return pair


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 3, 5)], ids=str)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_equals_keras(shape, options, compiled):
    x = tf.constant(np.random.default_rng(0).normal(2.0, 3.0, shape), tf.float32)
    weights = tf.constant(np.random.default_rng(1).normal(size=shape), tf.float32)
    results = []
    for layer in _pair(shape, **options):

        def run(layer=layer):
            with tf.GradientTape() as second:
                second.watch(x)
                with tf.GradientTape() as first:
                    first.watch(x)
                    y = layer(x, training=True)
                    total = tf.reduce_sum(weights * y**2)
                slope = first.gradient(total, x)
                penalty = tf.reduce_sum(slope**2) + total
            variables = [variable.value for variable in layer.trainable_variables]
            return y, slope, *second.gradient(penalty, [x, *variables])

        values = (tf.function(run) if compiled else run)()
        results.append([*values, *layer.get_weights(), layer(x, training=False)])
    for ours, theirs in zip(*results, strict=True):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * scale)


def test_mask_equals_keras():
    x = tf.constant(np.random.default_rng(0).normal(size=(4, 6, 5)), tf.float32)
    mask = tf.constant(np.random.default_rng(1).random((4, 6)) < 0.5)
    ours, theirs = _pair((4, 6, 5))
    np.testing.assert_array_equal(ours(x, training=True, mask=mask), theirs(x, training=True, mask=mask))
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_statistics_are_float32_under_bfloat16():
    # The mean is large against the spread: bfloat16 sums could not tell the variance.
    x = tf.cast(16 + np.random.default_rng(0).normal(size=(512, 8, 8, 2)), tf.bfloat16)
    layer = BatchNormalization(momentum=0.0, dtype="mixed_bfloat16")
    y = layer(x, training=True)
    assert y.dtype == tf.bfloat16
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    wide = tf.cast(x, tf.float32).numpy()
    np.testing.assert_allclose(layer.moving_mean, wide.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, wide.var((0, 1, 2)), rtol=1e-4)


def test_not_trainable_uses_moving_statistics():
    ours, theirs = _pair((6, 5))
    x = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    for layer in (ours, theirs):
        layer.trainable = False
    before = ours.get_weights()
    np.testing.assert_allclose(ours(x, training=True), theirs(x, training=True), rtol=1e-6)
    for a, b in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_config_is_kerass_but_for_replicas():
    options = {"momentum": 0.8, "epsilon": 1e-4, "center": False, "name": "b"}
    ours = BatchNormalization(**options).get_config()
    theirs = keras.layers.BatchNormalization(**options).get_config()
    assert ours == {**theirs, "synchronized": True}
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(BatchNormalization(synchronized=False, **options))
    )
    assert type(again) is BatchNormalization
    assert again.synchronized is False
