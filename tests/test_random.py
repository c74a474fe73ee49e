"""Random streams: reproducible, independent draws; replicas share the numbers of one."""

import contextlib
import threading

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_gen.random import RandomStream, current_stream, draw, rows


def test_draws_depend_on_seed_step_and_order_alone():
    first, again = (RandomStream(3, 5) for _ in range(2))
    tf.random.set_seed(99)
    a, b = first.normal(4, (2,)), first.normal(4, (2,))
    np.testing.assert_array_equal(a, again.normal(4, (2,)))
    np.testing.assert_array_equal(b, again.normal(4, (2,)))
    others = [RandomStream(3, 6), RandomStream(4, 5), RandomStream(5, 3)]
    draws = [a, b, *(other.normal(4, (2,)) for other in others)]
    assert len({draw.numpy().tobytes() for draw in draws}) == 5


def test_step_may_be_a_tensor_in_a_graph():
    draw = tf.function(lambda step: RandomStream(3, step).uniform(4, (2,)))
    np.testing.assert_array_equal(draw(tf.constant(5)), RandomStream(3, 5).uniform(4, (2,)))
    np.testing.assert_array_equal(draw(tf.constant(6, tf.int64)), RandomStream(3, 6).uniform(4, (2,)))


def test_batch_may_be_a_tensor():
    draw = tf.function(lambda images: RandomStream(3, 5).normal(tf.shape(images)[0], (2,)))
    np.testing.assert_array_equal(draw(tf.zeros((4, 1))), RandomStream(3, 5).normal(4, (2,)))


@pytest.mark.parametrize("seed", [0, -7, 2**31 - 1, 2**62])
def test_any_integer_seed(seed):
    assert np.isfinite(RandomStream(seed, 0).normal(4, (2,))).all()


def test_distributions():
    stream = RandomStream(0, 0)
    assert scipy.stats.kstest(stream.normal(2000, (5,)).numpy().ravel(), "norm").pvalue > 1e-3
    uniform = stream.uniform(2000, (5,)).numpy().ravel()
    assert scipy.stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert uniform.min() >= 0
    assert uniform.max() < 1


def test_consecutive_steps_and_seeds_are_uncorrelated():
    rows = [RandomStream(seed, step).normal(2000, (1,)).numpy().ravel() for seed in (0, 1) for step in (0, 1)]
    correlations = np.corrcoef(rows)[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.1


def test_scope_nests_is_left_on_errors_and_is_each_threads_own():
    assert current_stream() is None
    outer, inner = RandomStream(0, 0), RandomStream(0, 1)
    seen = []
    with outer.scope():
        with contextlib.suppress(KeyError), inner.scope():
            seen.append(current_stream())
            raise KeyError
        assert current_stream() is outer
        thread = threading.Thread(target=lambda: seen.append(current_stream()))
        thread.start()
        thread.join()
    assert seen == [inner, None]
    assert current_stream() is None


@pytest.mark.parametrize("shape", [(), (8,), (7,), (3, 8), (3, 7)], ids=str)
@pytest.mark.parametrize("probability", [0.3, 0.5, 0.001, 0.9999999])
def test_bernoulli(shape, probability):
    count = 40_000
    draws = RandomStream(1, 2).bernoulli(count, shape, probability).numpy()
    assert draws.shape == (count, *shape)
    assert draws.dtype == bool
    error = np.sqrt(probability * (1 - probability) / draws.size)
    assert abs(draws.mean() - probability) < 4 * error + 2**-16
    np.testing.assert_array_equal(draws, RandomStream(1, 2).bernoulli(count, shape, probability))


def test_bernoulli_of_a_size_only_known_in_the_graph():
    draw = tf.function(lambda n: RandomStream(1, 2).bernoulli(100, (n, 4), 0.3))
    assert abs(draw(tf.constant(50)).numpy().mean() - 0.3) < 0.02


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_rows_depend_on_their_own_seed_and_index_alone(kind):
    first = draw(kind, 5, 7, (3,))
    np.testing.assert_array_equal(draw(kind, 2, 7, (3,)), first[:2])
    np.testing.assert_array_equal(rows(kind, [9, 7, 7], [0, 4, 1], (3,))[1:], first[[4, 1]])
    assert len(np.unique(np.concatenate([first, draw(kind, 5, 8, (3,))]))) == 30


def test_rows_are_uncorrelated():
    values = draw("normal", 4000, 3, (2,))
    assert scipy.stats.kstest(values.ravel(), "norm").pvalue > 1e-3
    lagged = [np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1], np.corrcoef(values.T)[0, 1]]
    assert np.abs(lagged).max() < 0.06
