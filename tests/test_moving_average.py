"""The moving average of weights: tensorflow-addons' numbers, types, strategies."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import moving_average

REFERENCE = np.load(Path(__file__).parent / "reference" / "tensorflow_addons.npz")


@pytest.mark.parametrize("graph", [False, True])
def test_equals_the_moving_average_of_tensorflow_addons(graph):
    # The recorded run: six SGD steps of learning rate 0.1, the average begun at the starting weights.
    weights, average = (keras.Variable(REFERENCE["ema_start"]) for _ in range(2))
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build([weights])

    def step(gradient):
        optimizer.apply([gradient], [weights])
        moving_average.update([average], [weights], 0.9)

    step = tf.function(step) if graph else step
    for gradient in REFERENCE["ema_grads"]:
        step(tf.constant(gradient))
    np.testing.assert_allclose(weights.numpy(), REFERENCE["ema_final"], atol=1e-6)
    np.testing.assert_allclose(average.numpy(), REFERENCE["ema_average_decay0_9"], atol=1e-6)


def test_limits_of_decay():
    average, variable = tf.Variable([1.0, 2.0]), tf.Variable([5.0, -2.0])
    moving_average.update([average], [variable], 1.0)
    np.testing.assert_array_equal(average.numpy(), [1.0, 2.0])
    moving_average.update([average], [variable], 0.25)
    np.testing.assert_array_equal(average.numpy(), [4.0, -1.0])
    moving_average.update([average], [variable], 0.0)
    np.testing.assert_array_equal(average.numpy(), [5.0, -2.0])


def test_equal_weights_stay_equal_bit_for_bit():
    values = np.random.default_rng(0).standard_normal(1000).astype("float32")
    average, variable = tf.Variable(values), tf.Variable(values)
    for _ in range(10):
        moving_average.update([average], [variable], 0.999)
    np.testing.assert_array_equal(average.numpy(), values)


def test_whole_network_with_integer_state():
    def build():
        return keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(2),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5),
            ]
        )

    network, copy = build(), build()
    copy.set_weights([w + 1 for w in network.get_weights()])
    moving_average.update(copy.variables, network.variables, 0.5)
    for average, variable in zip(copy.variables, network.variables, strict=True):
        expected = variable.numpy() + (0.5 if average.dtype == "float32" else 0)
        np.testing.assert_allclose(average.numpy(), expected, atol=1e-6)


def test_in_the_replicas_of_a_strategy():
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    with strategy.scope():
        average, variable = keras.Variable([0.0, 2.0]), keras.Variable([4.0, 4.0])

    @tf.function
    def step():
        strategy.run(lambda: moving_average.update([average], [variable], 0.75))

    step()
    np.testing.assert_allclose(average.numpy(), [1.0, 2.5])
    with strategy.scope():
        moving_average.update([average], [variable], 0.0)
    np.testing.assert_allclose(average.numpy(), [4.0, 4.0])


def test_dynamic_decay_follows_tensorflow_addons():
    decays = [float(moving_average.dynamic_decay(0.9, step, start_step=2)) for step in (0, 1, 2, 3, 12, 1000)]
    np.testing.assert_allclose(decays, [0, 0, 1 / 10, 2 / 11, 11 / 20, 0.9], rtol=1e-6)
    counter = tf.Variable(5, dtype=tf.int64)
    assert float(tf.function(lambda: moving_average.dynamic_decay(0.999, counter))()) == pytest.approx(6 / 15)


@pytest.mark.parametrize("decay", [-0.1, 1.5, float("nan")])
def test_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\]"):
        moving_average.update([tf.Variable(1.0)], [tf.Variable(1.0)], decay)


@pytest.mark.parametrize("averages", [[], [tf.Variable([1.0, 2.0])], [tf.Variable([1], dtype=tf.int32)]])
def test_variables_that_do_not_match_are_refused(averages):
    with pytest.raises(ValueError, match="copies of the variables"):
        moving_average.update(averages, [tf.Variable([1.0])], 0.9)
