"""Reflection padding: NumPy's numbers, its shape and config, and what cannot be padded."""

import keras
import numpy as np
import pytest

from keras_gen.layers import ReflectionPadding2D


@pytest.mark.parametrize("padding", [1, 3, ((0, 2), (1, 3)), ((0, 1), (0, 1)), ((1, 0), (0, 0))])
def test_equals_numpy(padding):
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype("float32")
    sides = ((padding, padding),) * 2 if isinstance(padding, int) else padding
    expected = np.pad(x, [(0, 0), *sides, (0, 0)], mode="reflect")
    layer = ReflectionPadding2D(padding)
    np.testing.assert_array_equal(layer(x), expected)
    np.testing.assert_array_equal(layer(x, training=True), expected)
    assert layer.compute_output_shape(x.shape) == expected.shape
    np.testing.assert_array_equal(ReflectionPadding2D.from_config(layer.get_config())(x), expected)
    assert layer(keras.Input((None, None, 3))).shape == (None, None, None, 3)


@pytest.mark.parametrize("padding", [-1, (1, 2), ((1, 2), (-1, 0)), "same"])
def test_padding_of_another_form(padding):
    with pytest.raises(ValueError, match="padding must be a whole number"):
        ReflectionPadding2D(padding)


def test_an_image_too_small_to_reflect():
    with pytest.raises(ValueError, match="2 pixels a side cannot be mirrored 2 pixels beyond"):
        ReflectionPadding2D(2)(np.zeros((1, 2, 6, 1), "float32"))
