"""Fixed noise: the same each time, normal, one field for all parts of an image, and a constant in TFLite."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import FixedNoise2D, ImageOrigin, PatternStrength


def test_appends_normal_noise_that_is_always_the_same():
    images = tf.random.stateless_normal((2, 96, 130, 3), (0, 0))
    layer = FixedNoise2D(4)
    result = layer(images).numpy()
    np.testing.assert_array_equal(result[..., :3], images)
    noise = result[..., 3:]
    np.testing.assert_array_equal(noise[0], noise[1])
    np.testing.assert_array_equal(noise, FixedNoise2D(4)(0 * images)[..., 3:])
    assert abs(noise[0].mean()) < 0.02
    assert abs(noise[0].std() - 1) < 0.02
    assert np.abs(np.corrcoef(noise[0, :, :96].reshape(-1, 4).T) - np.eye(4)).max() < 0.05


def test_repeats_after_its_period():
    noise = FixedNoise2D(1, period=8)(tf.zeros((1, 24, 20, 0)))[0].numpy()
    np.testing.assert_array_equal(noise[:8], noise[8:16])
    np.testing.assert_array_equal(noise[:, :8], noise[:, 8:16])
    assert not np.array_equal(noise[:4], noise[4:8])


def test_parts_of_an_image_continue_its_noise():
    layer = FixedNoise2D(2, period=16, stride=4)
    whole = layer(tf.zeros((1, 30, 40, 1)))
    with ImageOrigin(np.int32([4 * 11, 4 * 21])):  # in pixels of an image 4 times as large
        part = layer(tf.zeros((1, 12, 9, 1)))
    np.testing.assert_array_equal(part[0], whole[0, 11:23, 21:30])
    np.testing.assert_array_equal(layer(tf.zeros((1, 30, 40, 1))), whole)


@pytest.mark.parametrize("strength", [0, 0.25, [0, 1]])
def test_is_as_strong_as_a_block_says(strength):
    layer, images = FixedNoise2D(2), tf.ones((2, 6, 5, 1))
    whole = layer(images).numpy()
    with PatternStrength(strength):
        found = layer(images).numpy()
    np.testing.assert_array_equal(found[..., :1], images)
    np.testing.assert_allclose(found[..., 1:], np.reshape(strength, (-1, 1, 1, 1)) * whole[..., 1:])
    with PatternStrength(strength), PatternStrength(None):
        np.testing.assert_array_equal(layer(images), found)
    with PatternStrength(None):
        np.testing.assert_array_equal(layer(images), whole)


def test_each_image_of_a_batch_may_begin_elsewhere():
    layer = FixedNoise2D(2, period=16)
    whole = layer(tf.zeros((1, 30, 40, 1)))
    with ImageOrigin(np.int32([[3, 20], [18, 0]])):
        parts = layer(tf.zeros((2, 12, 9, 1)))
    np.testing.assert_array_equal(parts[0], whole[0, 3:15, 20:29])
    np.testing.assert_array_equal(parts[1], whole[0, 18:30, 0:9])


def test_takes_half_precision_and_any_size():
    layer = FixedNoise2D(2, dtype="mixed_bfloat16")
    network = keras.Sequential([keras.Input((None, None, 3)), layer])
    assert network(tf.zeros((1, 7, 200, 3))).shape == (1, 7, 200, 5)
    assert network(tf.zeros((1, 7, 200, 3))).dtype == tf.bfloat16


def test_config_and_refusals():
    layer = FixedNoise2D(3, period=9, stride=2, seed=5)
    again = FixedNoise2D.from_config(layer.get_config())
    inputs = tf.zeros((1, 4, 4, 1))
    np.testing.assert_array_equal(again(inputs), layer(inputs))
    assert again.stride == 2
    assert not np.array_equal(FixedNoise2D(3, period=9)(inputs), layer(inputs))
    with pytest.raises(ValueError, match="period"):
        FixedNoise2D(period=0)
