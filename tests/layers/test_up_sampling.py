"""Up-sampling by interpolation: Keras's numbers, at sizes that a graph does not know, in its type."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import UpSampling2D

IMAGES = np.random.default_rng(0).standard_normal((2, 5, 7, 3)).astype("float32")


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("known", [True, False])
def test_gives_what_keras_gives(interpolation, known):
    layer = UpSampling2D((2, 3), interpolation=interpolation)
    shape = (2, 5, 7, 3) if known else (None, None, None, 3)
    run = tf.function(layer, input_signature=[tf.TensorSpec(shape)], autograph=False)
    expected = keras.layers.UpSampling2D((2, 3), interpolation=interpolation)(IMAGES)
    np.testing.assert_allclose(run(IMAGES), expected, atol=1e-6)
    made = run.get_concrete_function().structured_outputs.shape
    assert made[-1] == 3
    assert not known or made == (2, 10, 21, 3)


def test_bilinear_is_a_quarter_and_three_quarters():
    row = tf.constant([0.0, 4.0, 8.0])[None, None, :, None]
    made = UpSampling2D((1, 2), interpolation="bilinear")(row)
    np.testing.assert_allclose(made[0, 0, :, 0], [0, 1, 3, 5, 7, 8], atol=1e-6)


def test_keeps_bfloat16_and_its_config():
    layer = UpSampling2D(2, interpolation="bilinear", dtype="bfloat16")
    assert layer(IMAGES).dtype == tf.bfloat16
    restored = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(restored) is UpSampling2D
    np.testing.assert_array_equal(restored(IMAGES), layer(IMAGES))
