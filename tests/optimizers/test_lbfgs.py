"""L-BFGS against SciPy's, on closed forms, and as an object that is saved and goes on."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize as scipy_minimize
from scipy.optimize import rosen, rosen_der

from keras_gen.optimizers import LBFGS


def _rosenbrock(x):
    a, b = x[:-1], x[1:]
    return tf.reduce_sum(100 * (b - a**2) ** 2 + (1 - a) ** 2)


def _iterations(optimizer, loss, variables, count):
    optimizer.build(variables)
    step = tf.function(lambda: optimizer.minimize(lambda: (loss(), ()), variables), autograph=False)
    return [step() for _ in range(count)]


def test_rosenbrock_within_scipys_evaluations():
    start = np.tile([-1.2, 1.0], 5)
    evaluations = []

    def function(x):
        evaluations.append(rosen(x))
        return evaluations[-1], rosen_der(x)

    scipy_minimize(function, start, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-8})
    needed = next(i for i, value in enumerate(evaluations, 1) if value < 1e-8)
    x = keras.Variable(start, dtype="float64")
    spent = 0
    for iteration in _iterations(LBFGS(), lambda: _rosenbrock(x.value), [x], 120):
        spent += int(iteration.evaluations)
        if float(iteration.loss) < 1e-8:
            break
    assert float(iteration.loss) < 1e-8
    assert spent <= 1.5 * needed
    np.testing.assert_allclose(x, np.ones(10), atol=1e-3)


def test_minimum_of_a_random_convex_function_is_scipys():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((40, 12)), random.standard_normal(40)

    def function(x):
        return np.logaddexp(0, a @ x - b).sum() + 0.05 * x @ x

    expected = scipy_minimize(
        function, np.zeros(12), method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}
    )
    # Two variables of different shapes.
    x, y = keras.Variable(np.zeros((2, 4)), dtype="float64"), keras.Variable(np.zeros(4), dtype="float64")

    def loss():
        z = tf.concat([tf.reshape(x.value, [-1]), y.value], 0)
        return tf.reduce_sum(tf.nn.softplus(tf.linalg.matvec(a, z) - b)) + 0.05 * tf.reduce_sum(z**2)

    last = _iterations(LBFGS(), loss, [x, y], 40)[-1]
    np.testing.assert_allclose(float(last.loss), expected.fun, rtol=1e-10)
    np.testing.assert_allclose(np.concatenate([np.ravel(x), np.ravel(y)]), expected.x, atol=1e-5)


def test_quadratic_in_float32_of_many_variables():
    """Its condition is 10⁴; a thousandth of the first distance is left after what theory needs."""
    values = np.logspace(-2, 2, 1000)
    x = keras.Variable(np.ones(1000, "float32"))
    losses = [
        float(i.loss)
        for i in _iterations(LBFGS(), lambda: 0.5 * tf.reduce_sum(values * x.value**2), [x], 150)
    ]
    assert all(after <= before for before, after in itertools.pairwise(losses))
    assert losses[-1] < 1e-3 * 0.5 * values.sum()


def test_the_first_step_is_as_long_as_asked_whatever_the_losses_scale():
    for scale in (1e-6, 1.0, 1e6):
        x = keras.Variable(np.zeros(9, "float32"))
        _iterations(
            LBFGS(first_step=0.02), lambda x=x, s=scale: s * tf.reduce_sum((x.value - 100) ** 2), [x], 1
        )
        # The slope changes by less than a tenth over it, so that the search goes on to four times that.
        assert 0.02 <= np.sqrt(np.mean(np.square(x.numpy()))) < 100
        _iterations(LBFGS(first_step=0.02, evaluations=1), lambda x=x: tf.reduce_sum(x.value), [x], 1)


def test_a_search_of_one_evaluation_takes_the_step():
    x = keras.Variable(np.zeros(9, "float32"))
    _iterations(LBFGS(first_step=0.02, evaluations=1), lambda: tf.reduce_sum(x.value), [x], 1)
    np.testing.assert_allclose(x, np.full(9, -0.02), rtol=1e-5)


def test_what_is_reported_is_of_the_place_found():
    x = keras.Variable([3.0, -1.0])
    optimizer = LBFGS()
    optimizer.build([x])
    for _ in range(5):
        iteration = optimizer.minimize(lambda: (tf.reduce_sum(x.value**4), {"x": tf.identity(x.value)}), [x])
        assert bool(iteration.moved)
        np.testing.assert_array_equal(iteration.reported["x"], x.numpy())
        np.testing.assert_allclose(iteration.loss, np.sum(x.numpy() ** 4), rtol=1e-6)


def test_places_that_are_not_finite_are_backed_away_from():
    x = keras.Variable([0.5], dtype="float64")
    # Its minimum is at 1e-3, and beyond zero there is nothing.
    iterations = _iterations(
        LBFGS(first_step=1.0), lambda: tf.reduce_sum(x.value - 1e-3 * tf.math.log(x.value)), [x], 20
    )
    np.testing.assert_allclose(x, [1e-3], rtol=1e-6)
    assert all(np.isfinite(float(i.loss)) for i in iterations)


def test_a_start_that_is_not_finite_stays():
    x = keras.Variable([1.0, 2.0])
    (iteration,) = _iterations(LBFGS(), lambda: tf.reduce_sum(x.value) * np.nan, [x], 1)
    assert np.isnan(float(iteration.loss))
    assert not bool(iteration.moved)
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_at_the_minimum_nothing_moves():
    x = keras.Variable([1.0, 1.0])
    for iteration in _iterations(LBFGS(), lambda: _rosenbrock(x.value), [x], 2):
        assert float(iteration.loss) == 0
    np.testing.assert_array_equal(x, [1.0, 1.0])


def test_a_copy_by_config_and_state_goes_on_exactly():
    x = keras.Variable(np.tile([-1.2, 1.0], 5), dtype="float32")
    optimizer = LBFGS(memory=4, evaluations=15, first_step=0.1)
    _iterations(optimizer, lambda: _rosenbrock(x.value), [x], 12)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert again.get_config() == optimizer.get_config()
    y = keras.Variable(x.numpy())
    again.build([y])
    for target, source in zip(again.variables, optimizer.variables, strict=True):
        target.assign(source)
    for one, other in zip(
        _iterations(optimizer, lambda: _rosenbrock(x.value), [x], 5),
        _iterations(again, lambda: _rosenbrock(y.value), [y], 5),
        strict=True,
    ):
        assert int(one.evaluations) == int(other.evaluations)
    np.testing.assert_array_equal(x, y)
    assert int(again.iterations.numpy()) == 17


def test_refuses_gradients_and_settings():
    x = keras.Variable([1.0])
    with pytest.raises(TypeError, match="minimize"):
        LBFGS().apply([tf.ones(1)], [x])
    for settings in ({"memory": 0}, {"evaluations": 0}, {"first_step": 0.0}):
        with pytest.raises(ValueError, match=r"memory and evaluations .* received"):
            LBFGS(**settings)
