"""Conditional instance normalization: one style is instance normalization, a blend is linear."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import ConditionalInstanceNormalization, InstanceNormalization

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(3, 2, (2, 6, 7, 4)).astype("float32")


@pytest.fixture
def layer():
    layer = ConditionalInstanceNormalization(3)
    layer.build([(None, None, None, 4), (None, 3)])
    layer.set_weights([RNG.standard_normal((3, 4)) for _ in range(2)])
    return layer


def test_each_style_is_an_instance_normalization_of_its_own(layer):
    result = layer([IMAGES, tf.one_hot([2, 0], 3)])
    for image, style in enumerate([2, 0]):
        plain = InstanceNormalization(epsilon=1e-5)
        plain.build(IMAGES.shape)
        plain.set_weights([layer.gamma[style], layer.beta[style]])
        np.testing.assert_allclose(result[image], plain(IMAGES)[image], atol=1e-5)


def test_a_blend_of_weights_is_the_blend_of_results(layer):
    blend = layer([IMAGES, np.float32([[0.25, 0.75, 0]] * 2)])
    first, second = (layer([IMAGES, tf.one_hot([style] * 2, 3)]) for style in (0, 1))
    np.testing.assert_allclose(blend, 0.25 * first + 0.75 * second, atol=1e-5)


def test_statistics_are_float32_under_mixed_precision():
    images = tf.cast(300 + 20 * RNG.standard_normal((1, 16, 16, 2)), tf.bfloat16)
    half = ConditionalInstanceNormalization(2, dtype="mixed_bfloat16")
    result = half([images, np.float32([[1, 0]])])
    exact = ConditionalInstanceNormalization(2)([tf.cast(images, tf.float32), np.float32([[1, 0]])])
    assert result.dtype == tf.bfloat16
    assert all(weight.dtype == "float32" for weight in half.weights)
    np.testing.assert_allclose(tf.cast(result, tf.float32), exact, atol=0.02)


def test_codes_are_not_rounded():
    layer = ConditionalInstanceNormalization(2, dtype="mixed_bfloat16")
    layer.build([(1, 4, 4, 1), (1, 2)])
    layer.beta.assign(np.ones((2, 1)))
    result = layer([tf.ones((1, 4, 4, 1), tf.bfloat16), np.float32([[1.001, -1]])])
    np.testing.assert_allclose(tf.cast(result, tf.float32), 0.001, rtol=0.01)  # of 1.001 bfloat16 makes 1


def test_config():
    layer = ConditionalInstanceNormalization(5, epsilon=1e-3)
    again = ConditionalInstanceNormalization.from_config(layer.get_config())
    assert (again.styles, again.epsilon) == (5, 1e-3)


def test_errors(layer):
    with pytest.raises(ValueError, match="styles must be at least 1"):
        ConditionalInstanceNormalization(0)
    with pytest.raises(ValueError, match=r"weights \(batch, 2\)"):
        ConditionalInstanceNormalization(2)([IMAGES, np.zeros((2, 3), "float32")])
    with pytest.raises(ValueError, match="takes"):
        ConditionalInstanceNormalization(2)(keras.ops.ones((1, 2, 2, 1)))
