"""Grain: within its bound, as strong as asked for, and without a say in the picture below it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import PatternStrength
from keras_gen.layers.grain import GrainAdded, StopGradient

PICTURES = np.random.default_rng(0).uniform(-1, 1, (2, 5, 4, 3)).astype("float32")
GRAIN = np.random.default_rng(1).normal(0, 1, (2, 5, 4, 3)).astype("float32")


@pytest.mark.parametrize("strength", [None, 1.0, 0.5, 0.0, [0.0, 1.0]])
def test_it_is_bounded_and_as_strong_as_asked_for(strength):
    with PatternStrength(strength):
        found = GrainAdded(0.2)([PICTURES, GRAIN])
    share = np.reshape(1.0 if strength is None else strength, (-1, 1, 1, 1))
    np.testing.assert_allclose(
        found, np.clip(PICTURES + 0.2 * share * np.tanh(GRAIN), -1, 1), rtol=0, atol=1e-6
    )


def test_pictures_with_grain_teach_the_grain_alone():
    pictures, grain = tf.constant(PICTURES / 2), tf.constant(GRAIN)
    with tf.GradientTape() as tape, PatternStrength([0.0, 1.0]):
        tape.watch([pictures, grain])
        loss = tf.reduce_sum(GrainAdded(0.2)([pictures, grain]))
    below, above = tape.gradient(loss, [pictures, grain])
    np.testing.assert_array_equal(below[0], np.ones((5, 4, 3)))
    np.testing.assert_array_equal(below[1], np.zeros((5, 4, 3)))
    np.testing.assert_array_equal(above[0], np.zeros((5, 4, 3)))
    np.testing.assert_allclose(above[1], 0.2 / np.cosh(GRAIN[1]) ** 2, rtol=1e-4)


def test_nothing_is_learned_through_what_stops():
    x = tf.constant(PICTURES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = StopGradient()(x)
    np.testing.assert_array_equal(y, x)
    assert tape.gradient(y, x) is None


def test_config_dtype_and_a_bound_out_of_range():
    layer = GrainAdded(0.2, dtype="float32")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.most == 0.2
    assert again([PICTURES, GRAIN]).dtype == tf.float32
    assert again.compute_output_shape([(2, 5, 4, 3), (2, 5, 4, 3)]) == (2, 5, 4, 3)
    with pytest.raises(ValueError, match="most must be above 0; received 0"):
        GrainAdded(0)
