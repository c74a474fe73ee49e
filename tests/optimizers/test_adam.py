"""Adam in one kernel: equal to Keras's own, with every option of the base class, and as serializable."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.optimizers import Adam

SHAPES = [(4, 3), (3,), ()]


def _after(kind, steps=20, dtype="float32", seed=0, **options):
    random = np.random.default_rng(seed)
    variables = [
        keras.Variable(random.normal(size=shape), dtype=dtype, name=f"w{i}") for i, shape in enumerate(SHAPES)
    ]
    optimizer = kind(**options)
    update = tf.function(lambda *gradients: optimizer.apply(list(gradients), variables))
    optimizer.build(variables)
    for _ in range(steps):
        update(*(tf.constant(random.normal(size=shape), dtype) for shape in SHAPES))
    if optimizer.use_ema:
        optimizer.finalize_variable_values(variables)
    return variables, optimizer


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"beta_1": 0.0},
        {"clipnorm": 0.5},
        {"global_clipnorm": 0.5},
        {"clipvalue": 0.2},
        {"weight_decay": 0.01},
        {"use_ema": True, "ema_momentum": 0.9},
        {"use_ema": True, "ema_overwrite_frequency": 3},
        {"amsgrad": True},
        {"gradient_accumulation_steps": 4},
        {"loss_scale_factor": 8.0},
    ],
    ids=str,
)
def test_equals_keras(options):
    options = {"learning_rate": 0.01, **options}
    (ours, ours_state), (theirs, theirs_state) = (
        _after(kind, **options) for kind in (Adam, keras.optimizers.Adam)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    for a, b in zip(ours_state.variables, theirs_state.variables, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=a.path)


def test_equals_keras_with_a_learning_rate_schedule():
    values = [
        _after(kind, learning_rate=keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.5))[0]
        for kind in (Adam, keras.optimizers.Adam)
    ]
    for a, b in zip(*values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_equals_the_papers_algorithm_in_float64():
    """At this rate Keras is 3e-6 off: its float32 bias correction does not match its float64 1 - beta."""
    variables, _ = _after(Adam, learning_rate=0.1, epsilon=1e-8)
    random = np.random.default_rng(0)
    exact = [random.normal(size=shape).astype("float32").astype("float64") for shape in SHAPES]
    means, squares = ([np.zeros(shape) for shape in SHAPES] for _ in range(2))
    for t in range(1, 21):
        for i, shape in enumerate(SHAPES):
            gradient = random.normal(size=shape).astype("float32")
            means[i] = 0.9 * means[i] + 0.1 * gradient
            squares[i] = 0.999 * squares[i] + 0.001 * gradient.astype("float64") ** 2
            unbiased = np.sqrt(squares[i] / (1 - 0.999**t))
            exact[i] -= 0.1 * means[i] / (1 - 0.9**t) / (unbiased + 1e-8)
    for variable, expected in zip(variables, exact, strict=True):
        np.testing.assert_allclose(variable, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes_are_kerass_own(dtype):
    ours, theirs = (_after(kind, dtype=dtype)[0] for kind in (Adam, keras.optimizers.Adam))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(a, "float64"), np.asarray(b, "float64"))


def test_sparse_gradients_equal_keras():
    results = []
    for kind in (Adam, keras.optimizers.Adam):
        table = keras.Variable(np.arange(12.0).reshape(4, 3), dtype="float32")
        optimizer = kind(0.1)
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(tf.gather(table.value, [0, 2, 2])))
            optimizer.apply([tape.gradient(loss, table.value)], [table])
        results.append(table.numpy())
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_learning_rate_may_be_set_between_steps():
    results = []
    for kind in (Adam, keras.optimizers.Adam):
        variable = keras.Variable(1.0)
        optimizer = kind(0.1)
        for rate in (0.1, 0.001):
            optimizer.learning_rate = rate
            optimizer.apply([tf.constant(2.0)], [variable])
        results.append(variable.numpy())
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_round_trip_goes_on_where_it_was():
    variables, optimizer = _after(Adam, beta_1=0.5, weight_decay=0.1)
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is Adam
    assert again.get_config() == optimizer.get_config()
    copies = [keras.Variable(variable.numpy()) for variable in variables]
    again.build(copies)
    for target, source in zip(again.variables, optimizer.variables, strict=True):
        target.assign(source)
    gradients = [tf.ones(shape) for shape in SHAPES]
    optimizer.apply(gradients, variables)
    again.apply(gradients, copies)
    for a, b in zip(variables, copies, strict=True):
        np.testing.assert_array_equal(a, b)


def test_in_plain_keras_fit():
    x = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
    results = []
    for kind in (Adam, keras.optimizers.Adam):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
        model.compile(kind(0.01), "mse")
        model.fit(x, x.sum(1), epochs=3, batch_size=16, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
