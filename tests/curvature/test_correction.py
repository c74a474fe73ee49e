"""The corrected step against PyTorch's dense numbers and closed forms, by both methods."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.curvature import Hessian, corrected_hessian, corrected_step
from keras_gen.curvature.correction import lanczos_step

STEPS = [
    ("corrected_step_mu1", 1.0, False),
    ("corrected_step_mu0_1", 0.1, False),
    ("saddle_free_step_mu0_1", 0.1, True),
]


def symmetric(eigenvalues, seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))
    return q * np.asarray(eigenvalues, float) @ q.T, q


def distance(a, b):
    return np.linalg.norm(np.asarray(a, float) - b) / np.linalg.norm(b)


def test_corrected_hessian(reference):
    found = corrected_hessian(reference["hessian"])
    np.testing.assert_allclose(found, reference["corrected_hessian_mu1"], rtol=1e-6, atol=1e-6)
    assert np.abs(np.linalg.eigvalsh(found)).min() > 2 - 1e-6
    assert np.abs(np.linalg.eigvalsh(corrected_hessian(reference["hessian"], 0.1))).min() > 0.2 - 1e-6


@pytest.mark.parametrize(("name", "damping", "saddle_free"), STEPS)
def test_dense(reference, name, damping, saddle_free):
    options = {"damping": damping, "saddle_free": saddle_free}
    expected = reference[name]
    step = corrected_step(reference["hessian"], reference["gradient"], **options)
    assert isinstance(step, np.ndarray)
    np.testing.assert_allclose(step, expected, atol=1e-10)
    tensors = [tf.constant(reference[key], tf.float32) for key in ("hessian", "gradient")]
    np.testing.assert_allclose(corrected_step(*tensors, **options), expected, atol=1e-5)
    hessian = Hessian(reference.loss, reference.variables)
    np.testing.assert_allclose(corrected_step(hessian, hessian.gradient(), **options), expected, atol=1e-5)


@pytest.mark.parametrize(("name", "damping", "saddle_free"), STEPS)
def test_krylov(reference, name, damping, saddle_free):
    """To 1e-4 in as many float32 products as there are parameters."""
    hessian = Hessian(reference.loss, reference.variables)
    for given in (hessian, reference["hessian"], tf.constant(reference["hessian"], tf.float32)):
        gradient = reference["gradient"].astype("float32")
        step = corrected_step(given, gradient, damping, method="krylov", saddle_free=saddle_free)
        assert distance(step, reference[name]) < 1e-4
    found = lanczos_step(hessian, tf.constant(gradient), damping, 100, saddle_free)
    assert found.products <= 31
    assert found.residual < 1e-4


def test_the_step_is_that_of_the_corrected_matrix(reference):
    step = corrected_step(reference["hessian"], reference["gradient"], damping=0.3)
    np.testing.assert_allclose(
        corrected_hessian(reference["hessian"], 0.3) @ step, reference["gradient"], atol=1e-9
    )


def test_parts_in_parts_out(reference):
    hessian = Hessian(reference.loss, reference.variables)
    parts = hessian.unflatten(hessian.gradient())
    for method in ("dense", "krylov"):
        step = corrected_step(hessian, parts, method=method)
        assert [part.shape for part in step] == [v.shape for v in reference.variables]
        assert distance(hessian.flatten(step), reference["corrected_step_mu1"]) < 1e-3


@pytest.mark.parametrize("saddle_free", [False, True])
@pytest.mark.parametrize("method", ["dense", "krylov"])
@pytest.mark.parametrize("iterations", [None, 5])
def test_a_singular_hessian_gives_no_step_along_its_null_space(method, saddle_free, iterations):
    """Early in the Krylov run, too, and whatever part of the gradient lies in the null space."""
    matrix, q = symmetric([0, 0, 0, 0, -2, -1, -0.5, 0.1, 0.4, 1, 2, 3])
    gradient = np.random.default_rng(1).standard_normal(12)
    step = corrected_step(matrix, gradient, 0.1, method, saddle_free, iterations)
    assert np.isfinite(step).all()
    assert np.linalg.norm(step) > 0.1
    np.testing.assert_allclose(q[:, :4].T @ step, 0, atol=1e-5)
    assert not np.allclose(q[:, :4].T @ gradient, 0, atol=1e-2)


def test_corrected_hessian_of_a_singular_one():
    matrix, q = symmetric([0, 0, -2, 0.5])
    expected = (q * [0, 0, -2.5, 2.5]) @ q.T
    np.testing.assert_allclose(corrected_hessian(matrix), expected, atol=1e-10)
    single = corrected_hessian(tf.constant(matrix, tf.float32))
    np.testing.assert_allclose(single, expected, atol=1e-5)


@pytest.mark.parametrize("saddle_free", [False, True])
@pytest.mark.parametrize("method", ["dense", "krylov"])
def test_zeros(method, saddle_free):
    gradient = np.array([1.0, 2.0, 3.0])
    assert not corrected_step(np.zeros((3, 3)), gradient, 1.0, method, saddle_free).any()
    assert not corrected_step(np.diag([1.0, -2.0, 3.0]), 0 * gradient, 1.0, method, saddle_free).any()
    assert not corrected_hessian(np.zeros((3, 3))).any()


@pytest.mark.parametrize("method", ["dense", "krylov"])
def test_one_parameter(method):
    step = corrected_step(np.array([[-3.0]]), np.array([2.0]), 1.0, method)
    np.testing.assert_allclose(step, [-0.6], rtol=1e-6)


def test_saddle_free_steps_descend_where_plain_ones_climb():
    matrix, gradient = np.diag([1.0, -1.0]), np.array([0.1, 0.1])
    for method in ("dense", "krylov"):
        np.testing.assert_allclose(corrected_step(matrix, gradient, 1.0, method), [0.05, -0.05], atol=1e-7)
        step = corrected_step(matrix, gradient, 1.0, method, saddle_free=True)
        np.testing.assert_allclose(step, [0.05, 0.05], atol=1e-7)


@pytest.mark.parametrize("saddle_free", [False, True])
def test_the_residual_is_the_true_one(saddle_free):
    matrix, _ = symmetric(np.linspace(-1, 2, 40))
    operator = Matrix(matrix)
    gradient = tf.constant(np.random.default_rng(2).standard_normal(40), tf.float64)
    previous = np.inf
    for iterations in (4, 10, 25):
        found = lanczos_step(operator, gradient, 0.3, iterations, saddle_free)
        assert found.products == iterations
        step = found.step.numpy()
        np.testing.assert_allclose(matrix @ found.before.numpy(), step, atol=1e-9)
        if not saddle_free:
            left = matrix @ step + 0.09 * found.before.numpy() - gradient.numpy()
            true = np.linalg.norm(left) / np.linalg.norm(gradient)
            np.testing.assert_allclose(found.residual, true, rtol=1e-6)
        error = distance(step, corrected_step(matrix, gradient.numpy(), 0.3, saddle_free=saddle_free))
        assert error < previous
        previous = error
    assert -1.0001 <= found.smallest < found.largest <= 2.0001


def test_a_warm_start_goes_on_from_where_the_last_run_ended():
    matrix, _ = symmetric(np.linspace(-1, 2, 40))
    operator = Matrix(matrix)
    gradient = tf.constant(np.random.default_rng(2).standard_normal(40), tf.float64)
    exact = corrected_step(matrix, gradient.numpy(), 0.3)
    before = tf.zeros_like(gradient)
    errors = []
    for _ in range(5):
        found = lanczos_step(operator, gradient, 0.3, 6, start=before)
        assert found.products == 8
        before = found.before
        errors.append(distance(found.step, exact))
    assert errors[-1] < 0.03 * errors[0]
    np.testing.assert_allclose(matrix @ before.numpy(), found.step, atol=1e-9)


class Matrix:
    dtype = tf.float64

    def __init__(self, matrix):
        self.matrix, self.shape = tf.constant(matrix, tf.float64), matrix.shape

    def matvec(self, vector):
        return tf.linalg.matvec(self.matrix, vector)


def test_errors():
    matrix, gradient = np.eye(2), np.ones(2)
    with pytest.raises(ValueError, match="damping must be a number above zero; received 0"):
        corrected_step(matrix, gradient, damping=0)
    with pytest.raises(ValueError, match='"dense" or "krylov"; received \'lu\''):
        corrected_step(matrix, gradient, method="lu")
    with pytest.raises(ValueError, match=r"square matrix \(n, n\); received shape \(2, 3\)"):
        corrected_hessian(np.ones((2, 3)))
    with pytest.raises(ValueError, match="must be symmetric"):
        corrected_hessian(np.array([[0.0, 1], [2, 0]]))
    with pytest.raises(ValueError, match=r"needs a gradient of shape \(2,\); received shape \(3,\)"):
        corrected_step(matrix, np.ones(3))
    with pytest.raises(FloatingPointError, match="The gradient holds values that are NaN"):
        corrected_step(matrix, np.array([1.0, np.nan]))
    with pytest.raises(FloatingPointError, match="The Hessian holds values that are NaN"):
        corrected_step(np.full((2, 2), np.nan), gradient)
    with pytest.raises(ValueError, match="iterations must be 2 or more; received 1"):
        corrected_step(matrix, gradient, method="krylov", iterations=1)
    with pytest.raises(ValueError, match="saddle-free step cannot start from a guess"):
        lanczos_step(Matrix(matrix), tf.ones(2, tf.float64), 1.0, 2, True, tf.ones(2, tf.float64))
