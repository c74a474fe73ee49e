"""Operators against PyTorch's numbers, closed forms, and differences of gradients."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen as kg
from keras_gen import layers, penalties, precision
from keras_gen.curvature import GameJacobian, GaussNewton, Hessian


def random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def difference(loss_fn, variables, direction, step=1e-2):
    """The Hessian's product by central differences of gradients."""

    def gradient(factor):
        for variable, part in zip(variables, direction, strict=True):
            variable.assign_add(factor * part)
        with tf.GradientTape() as tape:
            loss = loss_fn()
        result = tape.gradient(loss, [v.value for v in variables])
        for variable, part in zip(variables, direction, strict=True):
            variable.assign_sub(factor * part)
        return np.concatenate([np.ravel(tf.convert_to_tensor(part)) for part in result])

    return (gradient(step) - gradient(-step)) / (2 * step)


def close(product, expected, tolerance):
    error = np.linalg.norm(np.asarray(product) - expected) / np.linalg.norm(expected)
    assert error < tolerance, error


def assert_hessian(loss_fn, variables, tolerance=3e-3, step=1e-2):
    hessian = Hessian(loss_fn, variables)
    direction = [random(v.shape, i) / np.sqrt(hessian.shape[0]) for i, v in enumerate(variables)]
    product = hessian.flatten(hessian.matvec(direction))
    close(product, difference(loss_fn, variables, direction, step), tolerance)
    return hessian


def test_reference(reference):
    hessian = Hessian(reference.loss, reference.variables)
    assert hessian.shape == (31, 31)
    np.testing.assert_allclose(hessian.gradient(), reference["gradient"], atol=1e-6)
    np.testing.assert_allclose(hessian.matvec(reference["vector"]), reference["hvp"], atol=1e-6)
    np.testing.assert_allclose(hessian.dense(), reference["hessian"], atol=1e-6)
    np.testing.assert_allclose(np.sort(hessian.eigenvalues()), reference["eigenvalues"], atol=1e-6)
    np.testing.assert_allclose(hessian.trace(), reference["trace"], atol=1e-6)


def test_parts_in_parts_out(reference):
    hessian = Hessian(reference.loss, reference.variables)
    parts = hessian.unflatten(tf.constant(reference["vector"], tf.float32))
    product = hessian.matvec(parts)
    assert [part.shape for part in product] == [v.shape for v in reference.variables]
    np.testing.assert_allclose(hessian.flatten(product), reference["hvp"], atol=1e-6)
    np.testing.assert_allclose(hessian.matvec(list(reference["vector"])), reference["hvp"], atol=1e-6)


def test_several_vectors_in_one_call(reference):
    hessian = Hessian(reference.loss, reference.variables)
    matrix = random((31, 8))
    np.testing.assert_allclose(hessian.matmat(matrix), reference["hessian"] @ matrix, atol=1e-5)


def test_float64_where_the_variables_are(reference):
    reference.variables = [tf.Variable(tf.cast(v, "float64")) for v in reference.variables]
    reference.numbers |= {name: reference[name].astype(float) for name in "XY"}
    hessian = Hessian(reference.loss, reference.variables)
    np.testing.assert_allclose(hessian.dense(), reference["hessian"], atol=1e-12)


def test_traced_once_and_follows_the_weights():
    weight, calls = tf.Variable([1.0, 2.0]), []

    def loss():
        calls.append(1)
        return tf.reduce_sum(weight**3)

    hessian = Hessian(loss, [weight])
    for _ in range(3):
        np.testing.assert_allclose(hessian.matvec([1.0, 1.0]), 6 * weight)
        hessian.matmat(np.eye(2))
        hessian.matmat(np.ones((2, 5)))
        weight.assign_add([1.0, -3.0])
    assert len(calls) == 2  # one for matvec, one for matmat


def test_data_is_averaged_by_examples(reference):
    batches = tf.data.Dataset.from_tensor_slices((reference["X"], reference["Y"])).batch(5)  # 5, 5, 5, 1
    hessian = Hessian(reference.loss_of, reference.variables, data=batches)
    np.testing.assert_allclose(hessian.matvec(reference["vector"]), reference["hvp"], atol=1e-6)
    np.testing.assert_allclose(hessian.dense(), reference["hessian"], atol=1e-6)
    np.testing.assert_allclose(hessian.gradient(), reference["gradient"], atol=1e-6)
    listed = Hessian(reference.loss_of, reference.variables, data=list(batches))
    np.testing.assert_allclose(listed.matvec(reference["vector"]), reference["hvp"], atol=1e-6)
    found = kg.curvature.krylov.lanczos(hessian, reference["vector"], 31)
    values = np.linalg.eigvalsh(kg.curvature.krylov.tridiagonal(found.diagonal, found.off_diagonal))
    np.testing.assert_allclose(values[[0, -1]], reference["eigenvalues"][[0, -1]], atol=1e-5)


def network(*middle, dtype=None):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [keras.Input((6, 6, 2)), *middle, keras.layers.Flatten(), keras.layers.Dense(1, dtype="float32")]
    )


IMAGES = random((8, 6, 6, 2), 5)


def squared(model, training=True):
    return lambda: tf.reduce_mean((model(IMAGES, training=training) - IMAGES[:, :1, 0, 0]) ** 2)


@pytest.mark.parametrize("kind", ["keras", "ours"])
def test_batch_normalization_keeps_its_statistics(kind):
    module = keras.layers if kind == "keras" else layers
    model = network(module.Conv2D(3, 3, activation="tanh"), module.BatchNormalization())
    loss = squared(model)
    hessian = assert_hessian(loss, model.trainable_variables, step=1e-3)
    before = [v.numpy() for v in model.non_trainable_variables]
    hessian.matvec(random(hessian.shape[0]))
    for a, b in zip(before, model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["keras", "ours"])
def test_dropout_is_one_mask_for_all_products(kind):
    """Keras's random layers, and integer variables in the list."""
    module = keras.layers if kind == "keras" else layers
    model = network(module.Dense(3, activation="tanh"), module.Dropout(0.5, seed=1))
    hessian = Hessian(squared(model), model.variables)
    assert len(hessian.variables) == 4
    dense = hessian.dense().numpy()
    np.testing.assert_allclose(dense, dense.T, atol=1e-6)
    vector = random(hessian.shape[0])
    np.testing.assert_allclose(hessian.matvec(vector), dense @ vector, atol=1e-5)
    plain = Hessian(squared(model, training=False), model.variables).dense()
    assert np.abs(dense - plain).max() > 1e-2


def test_spectral_normalization_is_left_as_it_is():
    """The kernel that the layer has normalized is differentiated as it stands, and not normalized again."""
    model = network(keras.layers.SpectralNormalization(keras.layers.Conv2D(3, 3, activation="tanh")))
    model(IMAGES, training=True)
    before = [v.numpy() for v in model.variables]
    hessian = Hessian(squared(model), model.trainable_variables)
    plain = Hessian(squared(model, training=False), model.trainable_variables)
    vector = random(hessian.shape[0])
    np.testing.assert_allclose(hessian.matvec(vector), plain.matvec(vector), atol=1e-6)
    assert_hessian(squared(model, training=False), model.trainable_variables)
    for a, b in zip(before, model.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "leaky_relu"])
def test_gradient_penalties(activation):
    """A third derivative, through our own convolutions too: two by two outputs are matrix products."""
    chosen = layers.LeakyReLU(0.2) if activation == "leaky_relu" else keras.layers.Activation("tanh")
    convolution = layers.Conv2D(4, 3, strides=3, padding="same")
    model = network(convolution, chosen)
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(variable + 0.1 * random(variable.shape, 9))

    def loss():
        critic = lambda images: model(images, training=True)  # noqa: E731
        return penalties.gradient_penalty(critic, tf.constant(IMAGES)) + tf.reduce_mean(critic(IMAGES)) ** 2

    # A step across a kink is no derivative: shorter where there are kinks.
    assert_hessian(loss, variables, step=1e-2 if activation == "tanh" else 1e-3)


def test_up_sampling_convolution():
    model = network(layers.UpSamplingConv2D(2, activation="tanh"), layers.InstanceNormalization())
    assert_hessian(squared(model), model.trainable_variables)


def test_an_operation_without_derivatives_is_refused():
    weight = tf.Variable([1.0, 2.0])

    with pytest.raises(NotImplementedError, match=r"differentiated often enough .* IgammaGradA"):
        Hessian(lambda: tf.reduce_sum(tf.math.igamma(weight, 1.0)), [weight]).matvec([1.0, 0.0])


def test_bfloat16_networks_have_float32_curvature_said_once():
    make = lambda: network(layers.Conv2D(3, 3, activation="tanh"), layers.BatchNormalization())  # noqa: E731
    with precision.scope("bfloat16"):
        half = make()
    full = make()
    full.set_weights(half.get_weights())
    precision._say_so.cache_clear()
    hessian = Hessian(squared(half), half.trainable_variables)
    vector = random(hessian.shape[0])
    with pytest.warns(UserWarning, match="compute in bfloat16; their curvature is computed in float32"):
        product = hessian.matvec(vector)
    np.testing.assert_allclose(
        product, Hessian(squared(full), full.trainable_variables).matvec(vector), atol=1e-5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Hessian(squared(half), half.trainable_variables).matvec(vector)
    assert half.layers[0](IMAGES).dtype == "bfloat16"


def test_frozen_variables_and_unreached_ones():
    model = network(keras.layers.Conv2D(2, 3, activation="tanh"))
    model.layers[0].trainable = False
    every = Hessian(squared(model), model.variables)
    few = Hessian(squared(model), model.trainable_variables)
    assert (every.shape[0], few.shape[0]) == (71, 33)
    np.testing.assert_allclose(every.dense()[-33:, -33:], few.dense(), atol=1e-6)
    beside = tf.Variable([1.0, 2.0])
    wider = Hessian(squared(model), [*model.trainable_variables, beside])
    assert not np.asarray(wider.matvec(random(35))[-2:]).any()


def test_a_linear_loss_has_no_curvature():
    weight = tf.Variable([1.0, 2.0])
    assert not np.asarray(Hessian(lambda: tf.reduce_sum(3 * weight), [weight]).dense()).any()


def test_embeddings():
    table = tf.Variable(random((5, 2)))
    rows = tf.constant([0, 3, 3])
    dense = Hessian(lambda: tf.reduce_sum(tf.gather(table, rows) ** 2), [table]).dense()
    np.testing.assert_allclose(dense, np.diag(np.repeat([2.0, 0, 0, 4, 0], 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite(value):
    weight = tf.Variable([1.0, value])
    hessian = Hessian(lambda: tf.reduce_sum(weight**2), [weight])
    message = r"The loss is (nan|inf), so it has no curvature"
    with pytest.raises(FloatingPointError, match=message):
        hessian.matvec([1.0, 1.0])
    with pytest.raises(FloatingPointError, match=message):
        kg.curvature.krylov.lanczos(hessian, np.ones(2, "float32"), 2)
    data = tf.data.Dataset.from_tensors(np.ones((3, 2), "float32"))
    batched = Hessian(lambda batch: tf.reduce_mean(batch * weight**2), [weight], data=data)
    with pytest.raises(FloatingPointError, match=message):
        batched.matvec([1.0, 1.0])


def test_gauss_newton(reference):
    """Against J and the Bernoulli variance in closed form."""
    inputs, labels = reference["X"], reference["Y"]
    w1, b1, w2, b2 = reference.variables

    def outputs(*_):
        return tf.tanh(inputs @ w1 + b1) @ w2 + b2

    def loss(logits):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))

    operator = GaussNewton(outputs, loss, reference.variables)
    with tf.GradientTape(persistent=True) as tape:
        logits = outputs()
    jacobian = np.concatenate(
        [np.reshape(j, (16, -1)) for j in tape.jacobian(logits, reference.variables)], 1
    )
    p = 1 / (1 + np.exp(-np.asarray(logits)))
    expected = jacobian.T @ (p * (1 - p) / 16 * jacobian)
    np.testing.assert_allclose(operator.dense(), expected, atol=1e-6)
    np.testing.assert_allclose(operator.gradient(), reference["gradient"], atol=1e-6)
    assert operator.eigenvalues().min() > -1e-6


def test_gauss_newton_over_data():
    weight = tf.Variable(random((3, 2)))
    inputs = random((7, 3), 1)
    operator = GaussNewton(
        lambda x: x @ weight,
        lambda y, x: tf.reduce_mean(tf.reduce_sum(y**2, 1)),
        [weight],
        data=tf.data.Dataset.from_tensor_slices(inputs).batch(3),
    )
    expected = np.kron(2 * inputs.T @ inputs / 7, np.eye(2))
    np.testing.assert_allclose(operator.dense(), expected, atol=1e-5)


def test_game_jacobian():
    """A bilinear game with a quadratic term: the matrix by hand, the rotation in its eigenvalues."""
    theta, phi, unused = tf.Variable([0.3, -1.0]), tf.Variable([2.0]), tf.Variable([1.0])
    a = np.array([2.0, 0.5], "float32")

    def losses():
        product = tf.reduce_sum(a * theta) * phi[0]
        return product + 0.5 * tf.reduce_sum(theta**2), -product + phi[0] ** 2 + unused[0] ** 2

    jacobian = GameJacobian(losses, [theta], [phi, unused])
    expected = np.array([[1, 0, 2, 0], [0, 1, 0.5, 0], [-2, -0.5, 2, 0], [0, 0, 0, 2]])
    np.testing.assert_allclose(jacobian.dense(), expected, atol=1e-6)
    vector = random(4)
    np.testing.assert_allclose(jacobian.rmatvec(vector), expected.T @ vector, atol=1e-5)
    np.testing.assert_allclose(jacobian.gradient(), [4 + 0.3, 1 - 1, 4 - 0.1, 2], atol=1e-5)
    found, exact = jacobian.eigenvalues(), np.linalg.eigvals(expected)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(exact), atol=1e-5)
    assert np.abs(found.imag).max() > 1


def test_game_eigenvalues_of_larger_games_by_arnoldi():
    theta, phi = tf.Variable(random(60)), tf.Variable(random(60, 1))
    scale = np.linspace(0.1, 3, 60).astype("float32") ** 2

    def losses():
        product = tf.reduce_sum(scale * theta * phi)
        return product, -product

    found = GameJacobian(losses, [theta], [phi]).eigenvalues(4)
    np.testing.assert_allclose(np.sort(found.imag), [-scale[-1], -scale[-2], scale[-2], scale[-1]], rtol=1e-4)
    np.testing.assert_allclose(found.real, 0, atol=1e-3)


def test_errors():
    weight = tf.Variable([1.0, 2.0])
    hessian = Hessian(lambda: tf.reduce_sum(weight**2), [weight])
    with pytest.raises(ValueError, match=r"must have shape \(2,\), or be a list shaped like the variables"):
        hessian.matvec([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"shaped like the variables, \[\(2,\)\]; received \[\(3,\)\]"):
        hessian.matvec([np.ones(3)])
    with pytest.raises(ValueError, match=r"A matrix must have shape \(2, k\); received \(3, 2\)"):
        hessian.matmat(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"must be a scalar; received one of shape \(2,\)"):
        Hessian(lambda: weight**2, [weight]).matvec([1.0, 1.0])
    with pytest.raises(ValueError, match="does not depend on any of the variables"):
        Hessian(lambda: tf.constant(1.0), [weight]).matvec([1.0, 1.0])
    with pytest.raises(ValueError, match="no floating-point variable among the 1 given"):
        Hessian(lambda: tf.constant(1.0), [tf.Variable(3)])
    with pytest.raises(ValueError, match="finite and not empty"):
        Hessian(lambda x: x, [weight], data=tf.data.Dataset.range(3).repeat())
    with pytest.raises(ValueError, match="a list of batches, not empty; received list"):
        Hessian(lambda x: x, [weight], data=[])
    with pytest.raises(ValueError, match="must give two losses"):
        GameJacobian(lambda: tf.constant(1.0), [weight], [weight]).dense()
