"""Weight clipping."""

import keras
import numpy as np
import pytest

from keras_gen.constraints import ClipWeights


def test_clips_to_the_limit():
    clipped = ClipWeights(0.5)(np.array([-2.0, -0.5, 0.1, 3.0], "float32"))
    np.testing.assert_array_equal(clipped, np.array([-0.5, -0.5, 0.1, 0.5], "float32"))


def test_as_a_layers_constraint_in_plain_keras():
    layer = keras.layers.Dense(3, kernel_constraint=ClipWeights(0.01))
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)
    assert np.abs(layer.kernel).max() <= np.float32(0.01)


def test_round_trip():
    config = keras.saving.serialize_keras_object(ClipWeights(0.2))
    assert keras.saving.deserialize_keras_object(config).limit == 0.2


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_limit_out_of_range(limit):
    with pytest.raises(ValueError, match="above zero; received limit="):
        ClipWeights(limit)
