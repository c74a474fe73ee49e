"""CalmStyles: shares of the styles with patterns and of the calm ones."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import PatternStrength
from keras_gen.layers.calm_styles import CalmStyles

WEIGHTS = np.array([[0.25, 0.75], [1, 0]], "float32")


def test_with_patterns_the_calm_ones_weigh_nothing():
    wanted = [[0.25, 0.75, 0, 0], [1, 0, 0, 0]]
    np.testing.assert_array_equal(CalmStyles()(WEIGHTS), wanted)
    with PatternStrength(1.0):
        np.testing.assert_array_equal(CalmStyles()(WEIGHTS), wanted)


def test_without_them_they_take_all():
    with PatternStrength(0.0):
        np.testing.assert_array_equal(CalmStyles()(WEIGHTS), [[0, 0, 0.25, 0.75], [0, 0, 1, 0]])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_each_image_has_its_own_strength(dtype):
    with PatternStrength(tf.constant([0.5, 0.0])):
        found = CalmStyles(dtype=dtype)(WEIGHTS)
    np.testing.assert_array_equal(tf.cast(found, tf.float32), [[0.125, 0.375, 0.125, 0.375], [0, 0, 1, 0]])
    assert found.shape == CalmStyles().compute_output_shape((2, 2))
