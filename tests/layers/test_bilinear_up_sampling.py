"""Bilinear up-sampling: Keras's, for images of any size."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import BilinearUpSampling2D


@pytest.mark.parametrize("size", [(4, 6), (5, 1)])
def test_equals_keras_where_the_size_is_not_known(size):
    x = np.random.default_rng(0).standard_normal((2, *size, 3)).astype("float32")
    layer = BilinearUpSampling2D()
    function = tf.function(layer, autograph=False, input_signature=[tf.TensorSpec((None, None, None, 3))])
    np.testing.assert_allclose(
        function(x), keras.layers.UpSampling2D(2, interpolation="bilinear")(x), atol=1e-6
    )
    assert layer.compute_output_shape(x.shape) == function(x).shape
    assert layer.compute_output_shape((None, None, None, 3)) == (None, None, None, 3)


def test_keeps_half_precision():
    assert BilinearUpSampling2D(dtype="bfloat16")(tf.zeros((1, 2, 2, 3), "bfloat16")).dtype == "bfloat16"
