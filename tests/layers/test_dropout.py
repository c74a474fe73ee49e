"""Dropout: its statistics, its masks by seed and step, Keras's own outside a training step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import Dropout
from keras_gen.random import RandomStream

ONES = tf.ones((200, 20, 10))


def _drop(layer, inputs=ONES, seed=1, step=2):
    with RandomStream(seed, step).scope():
        return layer(inputs, training=True).numpy()


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_rate_and_scale(rate):
    dropped = _drop(Dropout(rate))
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / (1 - rate))}
    error = np.sqrt(rate * (1 - rate) / dropped.size)
    assert abs((dropped == 0).mean() - rate) < 4 * error + 2**-16
    assert abs(dropped.mean() - 1) < 5 * error / (1 - rate)


def test_masks_depend_on_seed_step_and_order_alone():
    layer, other = Dropout(0.5), Dropout(0.5)
    first = _drop(layer)
    np.testing.assert_array_equal(first, _drop(layer))
    np.testing.assert_array_equal(first, _drop(other))
    assert (first != _drop(layer, step=3)).any()
    assert (first != _drop(layer, seed=2)).any()
    with RandomStream(1, 2).scope():
        once, twice = layer(ONES, training=True), layer(ONES, training=True)
    np.testing.assert_array_equal(once, first)
    assert (twice.numpy() != first).any()
    assert (first[0] != first[1]).any()


def test_in_a_function_of_the_users_own_that_several_graphs_call():
    layer, step = Dropout(0.5), tf.Variable(0, dtype=tf.int64)
    inner = tf.function(lambda inputs: layer(inputs, training=True))

    def drop(scale):
        with RandomStream(1, step).scope():
            return inner(ONES) * scale

    first = [tf.function(drop)(1.0).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*first)
    step.assign_add(1)
    assert (tf.function(drop)(1.0).numpy() != first[0]).any()


def test_outside_a_stream_it_is_kerass_own():
    for _ in range(2):
        np.testing.assert_array_equal(
            Dropout(0.4, seed=5)(ONES, training=True), keras.layers.Dropout(0.4, seed=5)(ONES, training=True)
        )


@pytest.mark.parametrize("training", [False, None])
def test_at_inference_nothing_happens(training):
    with RandomStream(1, 2).scope() as stream:
        np.testing.assert_array_equal(Dropout(0.5)(ONES, training=training), ONES)
        np.testing.assert_array_equal(Dropout(0.0)(ONES, training=True), ONES)
    assert stream._draws == 0


def test_noise_shape_is_kept():
    dropped = _drop(Dropout(0.5, noise_shape=(None, 1, 10)))
    assert (dropped == dropped[:, :1]).all()


@pytest.mark.parametrize("shape", [(64,), (64, 5), (4, 3, 2, 5, 7)], ids=str)
def test_any_rank(shape):
    dropped = _drop(Dropout(0.5), tf.ones(shape))
    assert dropped.shape == shape
    assert set(np.unique(dropped)) == {0, 2}


def test_sizes_known_only_in_the_graph():
    layer = Dropout(0.5)

    @tf.function(input_signature=[tf.TensorSpec((None, None, 10))])
    def drop(inputs):
        with RandomStream(1, 2).scope():
            return layer(inputs, training=True)

    dropped = drop(ONES).numpy()
    assert dropped.shape == ONES.shape
    assert abs((dropped == 0).mean() - 0.5) < 0.02
    partly = tf.function(lambda x: _scoped(layer, x), input_signature=[tf.TensorSpec((None, 20, 10))])
    np.testing.assert_array_equal(partly(ONES), _drop(layer))


def _scoped(layer, inputs):
    with RandomStream(1, 2).scope():
        return layer(inputs, training=True)


def test_gradient_is_the_mask():
    layer, x = Dropout(0.3), tf.random.normal((8, 6))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(_scoped(layer, x))
    np.testing.assert_allclose(tape.gradient(total, x), _drop(layer, tf.ones_like(x)), rtol=1e-6)


def test_bfloat16():
    dropped = _drop(Dropout(0.5, dtype="mixed_bfloat16"))
    assert dropped.dtype == tf.bfloat16.as_numpy_dtype
    assert set(np.unique(dropped.astype("float32"))) == {0, 2}


def test_config_is_kerass():
    options = {"rate": 0.2, "noise_shape": (None, 1), "seed": 3, "name": "d"}
    assert Dropout(**options).get_config() == keras.layers.Dropout(**options).get_config()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(Dropout(**options)))
    assert type(again) is Dropout
    assert again.rate == 0.2
