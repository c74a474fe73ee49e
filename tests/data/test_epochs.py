import numpy as np
import tensorflow as tf

from keras_gen.data.epochs import draws, epoch_seeds, order


def test_epochs_count_up_from_the_first():
    seeds = epoch_seeds(7, initial_epoch=3)
    assert [next(seeds.as_numpy_iterator()).tolist() for _ in range(3)] == [[7, 3], [7, 4], [7, 5]]


def test_order_is_a_permutation_that_depends_on_seed_and_epoch():
    orders = {
        key: tuple(order(tf.constant(key, tf.int64), 50, True).numpy()) for key in [(0, 0), (0, 1), (1, 0)]
    }
    assert all(sorted(indices) == list(range(50)) for indices in orders.values())
    assert len(set(orders.values())) == 3
    assert order(tf.constant([0, 0], tf.int64), 50, False).numpy().tolist() == list(range(50))


def test_nothing_depends_on_the_global_seed():
    key = tf.constant([5, 2], tf.int64)
    tf.random.set_seed(1)
    first = order(key, 100, True).numpy(), draws(key, 100).numpy()
    tf.random.set_seed(2)
    np.testing.assert_array_equal(order(key, 100, True), first[0])
    np.testing.assert_array_equal(draws(key, 100), first[1])


def test_order_and_draws_are_the_same_on_every_machine():
    key = tf.constant([0, 0], tf.int64)
    assert order(key, 8, True).numpy().tolist() == [2, 5, 6, 3, 0, 4, 7, 1]
    np.testing.assert_allclose(draws(key, 1).numpy()[0], [0.25077784, 0.55899286, 0.70616412], rtol=1e-6)
