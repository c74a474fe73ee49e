"""LeakyReLU: Keras's own values and derivatives, also through a gradient penalty."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import LeakyReLU, leaky_relu

POINTS = np.array([-3.0, -1e-30, -0.0, 0.0, 1e-30, 2.0, np.inf, -np.inf], "float32")


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.2, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_value_and_derivative_equal_keras(slope, dtype):
    x = tf.cast(POINTS, dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = leaky_relu(x, slope)
        theirs = keras.layers.LeakyReLU(slope, dtype=dtype)(x)
    assert ours.dtype == x.dtype
    for a, b in ((ours, theirs), (tape.gradient(ours, x), tape.gradient(theirs, x))):
        # NaN (a slope of 0 times infinity) equals NaN only in numpy's own types.
        np.testing.assert_array_equal(np.float32(a), np.float32(b))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_gradient_penalty_of_a_network_equals_keras(compiled):
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(6, 5)), tf.float32)
    weights = [tf.constant(random.normal(size=shape), tf.float32) for shape in ((5, 7), (7, 7), (7, 1))]

    def derivatives(activation):
        with tf.GradientTape() as outer:
            outer.watch([x, *weights])
            with tf.GradientTape() as inner:
                inner.watch(x)
                hidden = activation(x @ weights[0])
                hidden = activation(hidden @ weights[1]) ** 2
                score = hidden @ weights[2]
            slope = inner.gradient(score, x)
            loss = tf.reduce_sum(slope**3) + tf.reduce_sum(score)
        return [slope, *outer.gradient(loss, [x, *weights])]

    run = tf.function(derivatives) if compiled else derivatives
    theirs = run(lambda inputs: tf.nn.leaky_relu(inputs, 0.2))
    for ours, expected in zip(run(leaky_relu), theirs, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-4)


def test_third_derivative():
    x = tf.constant([-2.0, 3.0])
    with tf.GradientTape() as third:
        third.watch(x)
        with tf.GradientTape() as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                y = leaky_relu(x, 0.5) ** 3
            once = first.gradient(y, x)
        twice = second.gradient(once, x)
    np.testing.assert_allclose(once, [3 * 4 * 0.125, 27.0])
    np.testing.assert_allclose(twice, [-6 * 2 * 0.125, 18.0])
    np.testing.assert_allclose(third.gradient(twice, x), [6 * 0.125, 6.0])


def test_drop_in():
    ours, theirs = LeakyReLU(0.3, name="a"), keras.layers.LeakyReLU(0.3, name="a")
    assert ours.get_config() == theirs.get_config()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
    assert type(again) is LeakyReLU
    assert again.negative_slope == 0.3
    assert LeakyReLU().negative_slope == keras.layers.LeakyReLU().negative_slope
    np.testing.assert_array_equal(ours(POINTS), theirs(POINTS))
    assert LeakyReLU(dtype="mixed_bfloat16")(POINTS).dtype == tf.bfloat16
