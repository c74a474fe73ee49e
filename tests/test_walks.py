"""Paths through the latent space: ends, lengths, and what stays as it is."""

import numpy as np
import pytest

from keras_gen.walks import loop, slerp, traverse


def test_slerp_is_an_arc_between_its_ends():
    start, end = np.array([[2.0, 0.0]]), np.array([[0.0, 2.0]])
    points = slerp(start, end, 3)
    np.testing.assert_allclose(points[:, 0], [[2, 0], [np.sqrt(2), np.sqrt(2)], [0, 2]], atol=1e-6)
    np.testing.assert_allclose(slerp(start, start, 3), np.tile(start, (3, 1, 1)))
    np.testing.assert_allclose(slerp(start, -start, 3)[:, 0, 0], [2, 0, -2], atol=1e-6)
    with pytest.raises(ValueError, match="two steps or more"):
        slerp(start, end, 1)


def test_traverse_moves_one_unit():
    points = traverse(np.array([1.0, 2.0, 3.0]), np.array([2, 0]), steps=3, reach=2.0)
    np.testing.assert_array_equal(points[0], [[1, 2, -2], [1, 2, 0], [1, 2, 2]])
    np.testing.assert_array_equal(points[1], [[-2, 2, 3], [0, 2, 3], [2, 2, 3]])
    with pytest.raises(ValueError, match="two steps or more"):
        traverse(np.zeros(2), np.array([0]), steps=1)


def test_a_loop_ends_where_it_began():
    points = np.random.default_rng(0).normal(size=(3, 2, 5))
    way = loop(points, 4)
    assert way.shape == (12, 2, 5)
    np.testing.assert_allclose(way[::4], points, atol=1e-6)
    np.testing.assert_allclose(way[8:], slerp(points[2], points[0], 5)[:4], atol=1e-6)
    with pytest.raises(ValueError, match="two points"):
        loop(points[:1], 4)
