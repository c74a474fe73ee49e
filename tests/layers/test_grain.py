"""Grain: within its bound, and as strong as asked for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import PatternStrength
from keras_gen.layers.grain import GrainAdded

PICTURES = np.random.default_rng(0).uniform(-1, 1, (2, 5, 4, 3)).astype("float32")
GRAIN = np.random.default_rng(1).normal(0, 1, (2, 5, 4, 3)).astype("float32")


@pytest.mark.parametrize("strength", [None, 1.0, 0.5, 0.0, [0.0, 1.0]])
def test_it_is_bounded_and_as_strong_as_asked_for(strength):
    with PatternStrength(strength):
        found = GrainAdded(0.2)([PICTURES, GRAIN])
    share = np.reshape(1.0 if strength is None else strength, (-1, 1, 1, 1))
    expected = np.clip(PICTURES + 0.2 * share * np.tanh(GRAIN), -1, 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_config_dtype_and_a_bound_out_of_range():
    layer = GrainAdded(0.2, dtype="float32")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.most == 0.2
    assert again([PICTURES, GRAIN]).dtype == tf.float32
    assert again.compute_output_shape([(2, 5, 4, 3), (2, 5, 4, 3)]) == (2, 5, 4, 3)
    with pytest.raises(ValueError, match="most must be above 0; received 0"):
        GrainAdded(0)
