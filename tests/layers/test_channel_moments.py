"""Means and deviations over space: NumPy's numbers, precision, and those that are given."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import ChannelMoments, InstanceStatistics

IMAGES = np.random.default_rng(0).normal(3, 2, (2, 7, 5, 4)).astype("float32")


def test_equals_numpy():
    found = ChannelMoments(epsilon=1e-3)(IMAGES).numpy()
    deviations = np.sqrt(IMAGES.var((1, 2)) + 1e-3)
    np.testing.assert_allclose(found, np.concatenate([IMAGES.mean((1, 2)), deviations], 1), rtol=1e-5)


def test_is_float32_of_half_precision():
    # At 300 a bfloat16 resolves 2.
    images = tf.cast(300 + IMAGES, tf.bfloat16)
    found = ChannelMoments(dtype="float32")(images)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found[:, :4], tf.cast(images, tf.float32).numpy().mean((1, 2)), rtol=1e-5)


def test_given_statistics_are_those_of_the_whole_image():
    layer = ChannelMoments()
    with InstanceStatistics() as whole:
        expected = layer(IMAGES)
    with InstanceStatistics([one[:2] for one in whole.recorded]):
        part = layer(IMAGES[:, :3])
    np.testing.assert_array_equal(part, expected)


def test_config_and_errors():
    layer = ChannelMoments(epsilon=0.1, name="moments")
    assert ChannelMoments.from_config(layer.get_config()).get_config() == layer.get_config()
    with pytest.raises(ValueError, match="epsilon must be above zero; received 0"):
        ChannelMoments(epsilon=0)
