import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import InstanceNormalization, InstanceStatistics, spatial_moments


def noise(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(2, 3, shape), tf.float32)


def test_records_in_order_and_changes_nothing():
    x, layer = noise(2, 5, 7, 3), InstanceNormalization()
    plain = layer(x)
    with InstanceStatistics() as statistics:
        np.testing.assert_array_equal(layer(x), plain)
        layer(2 * x)
    first, second = statistics.recorded
    np.testing.assert_allclose(first.mean, np.mean(x, (1, 2), keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(first.variance, np.var(x, (1, 2), keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(second.mean, 2 * first.mean, rtol=1e-5)
    assert int(first.count) == 35
    np.testing.assert_array_equal(layer(x), plain)  # the block is over
    assert len(statistics.recorded) == 2


def test_a_part_is_normalized_as_the_whole():
    x, layer = noise(1, 8, 8, 3), InstanceNormalization()
    with InstanceStatistics() as statistics:
        expected = layer(x)[:, :3]
    given = [(m.mean, m.variance) for m in statistics.recorded]
    with InstanceStatistics(given):
        np.testing.assert_allclose(layer(x[:, :3]), expected, atol=1e-5)


def test_a_window_limits_what_is_recorded_not_what_is_answered():
    x, layer = noise(1, 8, 12, 3), InstanceNormalization()
    plain = layer(x)
    with InstanceStatistics(window=[0.25, 1, 0, 0.5]) as statistics:
        np.testing.assert_array_equal(layer(x), plain)
    part = x[:, 2:, :6]
    np.testing.assert_allclose(statistics.recorded[0].mean, np.mean(part, (1, 2), keepdims=True), rtol=1e-5)
    assert int(statistics.recorded[0].count) == 36


def test_in_a_graph_as_arguments_and_results():
    layer = InstanceNormalization()
    layer.build((None, None, None, 3))

    @tf.function
    def run(x, window, given):
        with InstanceStatistics(given, window) as statistics:
            return layer(x), [tuple(m) for m in statistics.recorded]

    x = noise(1, 4, 6, 3)
    given = [(np.float32([1, 2, 3]), np.float32([4, 4, 4]))]
    made, ((mean, _, count),) = run(x, np.float32([0, 0.5, 0, 1]), given)
    np.testing.assert_allclose(made, (x - given[0][0]) / np.sqrt(4 + 1e-3), rtol=1e-5)
    np.testing.assert_allclose(mean, np.mean(x[:, :2], (1, 2), keepdims=True), rtol=1e-5)
    assert int(count) == 12


def test_blocks_nest_and_end_with_an_error():
    x = noise(1, 2, 2, 1)
    with InstanceStatistics() as outer:
        with InstanceStatistics() as inner:
            spatial_moments(x)
        with pytest.raises(RuntimeError), InstanceStatistics():
            raise RuntimeError
        spatial_moments(x)
    assert len(inner.recorded) == len(outer.recorded) == 1


def test_parts_of_one_image_are_normalized_together():
    whole, layer = noise(1, 8, 8, 3), InstanceNormalization()
    parts = tf.concat([whole[:, :4], whole[:, 4:]], axis=0)
    with InstanceStatistics(joint=True) as statistics:
        made = layer(parts)
    np.testing.assert_allclose(tf.concat([made[:1], made[1:]], axis=1), layer(whole), atol=1e-5)
    assert int(statistics.recorded[0].count) == 64


def test_a_calibration_moves_what_is_measured():
    x, layer = noise(1, 8, 8, 3), InstanceNormalization()  # by deviations that have its epsilon in them
    with InstanceStatistics(calibration=[(0.5, 2.0)]) as statistics:
        made = layer(x)
    np.testing.assert_allclose(made, (layer(x) - 0.5) / 2, atol=1e-5)
    np.testing.assert_allclose(statistics.recorded[0].mean, np.mean(x, (1, 2), keepdims=True), rtol=1e-5)


def test_statistics_of_another_network_are_refused():
    x = noise(1, 2, 2, 1)
    with InstanceStatistics([]), pytest.raises(ValueError, match="of the same network"):
        spatial_moments(x)
