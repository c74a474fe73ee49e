"""Krylov methods against NumPy's and SciPy's dense answers, on matrices of known spectrum."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from keras_gen.curvature import krylov


class Dense:
    """A matrix as an operator that counts how often it is traced."""

    def __init__(self, matrix, dtype="float32"):
        self.matrix = tf.constant(matrix, dtype)
        self.shape = self.matrix.shape
        self.calls = 0

    def matvec(self, vector):
        self.calls += 1
        return tf.linalg.matvec(self.matrix, vector)


class InNumPy:
    """An operator that knows nothing of TensorFlow, and has no attributes to keep a trace in."""

    __slots__ = ("matrix", "shape")

    def __init__(self, matrix):
        self.matrix, self.shape = matrix, matrix.shape

    def matvec(self, vector):
        return np.dot(self.matrix, np.asarray(vector))


def symmetric(eigenvalues, seed=0):
    eigenvalues = np.asarray(eigenvalues, float)
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))
    return q * eigenvalues @ q.T


def vector(n, seed=1):
    return np.random.default_rng(seed).standard_normal(n).astype("float32")


def spectrum_of(result):
    return np.linalg.eigvalsh(krylov.tridiagonal(result.diagonal, result.off_diagonal))


@pytest.mark.parametrize("wide", [True, False])
def test_lanczos_is_a_factorization_with_an_orthonormal_basis(monkeypatch, wide):
    """Also with float32 inner products of large bases, and with eigenvalues over ten decades."""
    if not wide:
        monkeypatch.setattr(krylov, "_WIDE", 0)
    matrix = symmetric(np.geomspace(1e-8, 100, 60))
    result = krylov.lanczos(Dense(matrix), vector(60), 25)
    basis = np.asarray(result.basis, float)
    assert result.basis.dtype == tf.float32
    assert result.diagonal.dtype == tf.float64
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=2e-6)
    q, t = basis[:-1].T, krylov.tridiagonal(result.diagonal, result.off_diagonal).numpy()
    rest = np.outer(basis[-1], np.eye(25)[-1]) * result.off_diagonal[-1].numpy()
    np.testing.assert_allclose(matrix @ q, q @ t + rest, atol=1e-4)


def test_a_full_run_has_the_whole_spectrum():
    matrix = symmetric(np.linspace(-3, 5, 40))
    result = krylov.lanczos(Dense(matrix, "float64"), vector(40).astype(float), 100)
    assert result.products == 40
    np.testing.assert_allclose(spectrum_of(result), np.linspace(-3, 5, 40), atol=1e-11)


def test_breakdown_ends_the_run_in_an_invariant_subspace():
    matrix = symmetric([2.0] * 5 + [-1.0] * 4 + [0.5] * 3)
    result = krylov.lanczos(Dense(matrix), vector(12), 12)
    assert result.products == 3
    found = spectrum_of(result)
    np.testing.assert_allclose(found[np.abs(found) > 1e-3], [-1, 0.5, 2], atol=1e-6)
    assert not np.asarray(result.basis[3:]).any()


def test_restarted_it_finds_repeated_eigenvalues_as_often_as_they_occur():
    eigenvalues = np.sort([2.0] * 5 + [-1.0] * 4 + [0.0] * 3)
    result = krylov.lanczos(Dense(symmetric(eigenvalues)), vector(12), 12, restart=True)
    np.testing.assert_allclose(spectrum_of(result), eigenvalues, atol=2e-6)
    basis = np.asarray(result.basis[:12], float)
    np.testing.assert_allclose(basis @ basis.T, np.eye(12), atol=2e-6)


def test_lanczos_from_zero_is_zero_and_spends_nothing():
    result = krylov.lanczos(Dense(np.eye(4)), np.zeros(4, "float32"), 3)
    assert result.products == 0
    assert not any(np.asarray(part).any() for part in result)


def test_lanczos_of_zero():
    result = krylov.lanczos(Dense(np.zeros((4, 4))), vector(4), 3)
    assert result.products == 1
    assert not np.asarray(result.diagonal).any()
    assert not np.asarray(result.off_diagonal).any()


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_vectors_of_any_length(scale):
    """Squares of such lengths are out of float32's range."""
    matrix = symmetric(np.linspace(1, 5, 8))
    right = vector(8) * np.float32(scale)
    for solver in (krylov.conjugate_gradients, krylov.minres):
        found = solver(Dense(matrix), right)
        np.testing.assert_allclose(found.solution / scale, np.linalg.solve(matrix, vector(8)), rtol=1e-4)
    np.testing.assert_allclose(
        spectrum_of(krylov.lanczos(Dense(matrix), right, 8)), np.linspace(1, 5, 8), rtol=1e-5
    )


@pytest.mark.parametrize("solver", [krylov.conjugate_gradients, krylov.minres])
def test_solves_and_tells_the_true_residual(solver):
    matrix, right = symmetric(np.geomspace(0.1, 10, 50)), vector(50)
    found = solver(Dense(matrix), right, iterations=100)
    expected = scipy.linalg.solve(matrix, right)
    assert np.linalg.norm(found.solution - expected) < 1e-4 * np.linalg.norm(expected)
    assert 10 < found.iterations < 60
    early = solver(Dense(matrix), right, iterations=12)
    true = np.linalg.norm(right - matrix @ np.asarray(early.solution, float)) / np.linalg.norm(right)
    assert early.iterations == 12
    np.testing.assert_allclose(early.residual, true, rtol=1e-3)


@pytest.mark.parametrize("solver", [krylov.conjugate_gradients, krylov.minres])
def test_few_distinct_eigenvalues_take_as_few_iterations(solver):
    found = solver(Dense(symmetric([1.0] * 10 + [4.0] * 10 + [9.0] * 5)), vector(25), tolerance=1e-5)
    assert found.iterations == 3
    assert found.residual < 1e-5


def test_minres_solves_indefinite_systems():
    matrix, right = symmetric([-5, -2, -0.5, 0.3, 1, 4, 8, 9]), vector(8)
    found = krylov.minres(Dense(matrix), right)
    np.testing.assert_allclose(found.solution, np.linalg.solve(matrix, right), rtol=1e-4, atol=1e-4)


def test_conjugate_gradients_stop_at_negative_curvature_and_say_how_far_they_got():
    found = krylov.conjugate_gradients(Dense(-np.eye(5)), vector(5))
    assert found.iterations == 1
    assert found.residual == 1.0


@pytest.mark.parametrize("solver", [krylov.conjugate_gradients, krylov.minres])
def test_a_singular_operator_with_a_solution(solver):
    matrix = symmetric([0, 0, 0, 1, 2, 3, 4.0])
    right = (matrix @ vector(7)).astype("float32")
    found = solver(Dense(matrix), right, tolerance=1e-5)
    assert found.residual < 1e-5
    np.testing.assert_allclose(found.solution, np.linalg.pinv(matrix) @ right, atol=1e-4)


def test_minres_of_a_singular_operator_without_a_solution_is_a_least_squares_solution():
    matrix, right = symmetric([0, 0, -1, 2, 3, 4.0]), vector(6)
    found = krylov.minres(Dense(matrix), right)
    x = np.asarray(found.solution, float)
    np.testing.assert_allclose(matrix @ (right - matrix @ x), np.zeros(6), atol=1e-4)
    np.testing.assert_allclose(
        found.residual, np.linalg.norm(right - matrix @ x) / np.linalg.norm(right), rtol=1e-4
    )


@pytest.mark.parametrize("solver", [krylov.conjugate_gradients, krylov.minres])
def test_zeros(solver):
    nothing = solver(Dense(np.eye(3)), np.zeros(3, "float32"))
    assert (int(nothing.iterations), float(nothing.residual)) == (0, 0.0)
    assert not np.asarray(nothing.solution).any()
    singular = solver(Dense(np.zeros((3, 3))), vector(3))
    assert not np.asarray(singular.solution).any()
    assert singular.residual == 1.0


def test_traced_once_for_an_operator():
    operator = Dense(symmetric(np.arange(1.0, 10)))
    for seed in range(3):
        krylov.lanczos(operator, vector(9, seed), 5)
    assert operator.calls == 1


def test_within_a_graph():
    operator, right = Dense(symmetric(np.arange(1.0, 10))), vector(9)
    inside = tf.function(lambda b: krylov.minres(operator, b).solution)(right)
    np.testing.assert_allclose(inside, krylov.minres(operator, right).solution, rtol=1e-6)


def test_an_operator_in_numpy():
    matrix = symmetric(np.arange(1.0, 10))
    found = krylov.conjugate_gradients(InNumPy(matrix), vector(9))
    np.testing.assert_allclose(found.solution, np.linalg.solve(matrix, vector(9)), rtol=1e-4)


def test_errors():
    operator = Dense(np.eye(3))
    with pytest.raises(ValueError, match=r"needs a vector of shape \(3,\); received one of shape \(4,\)"):
        krylov.lanczos(operator, np.ones(4, "float32"), 2)
    with pytest.raises(ValueError, match="iterations must be 1 or more; received 0"):
        krylov.lanczos(operator, vector(3), 0)
    with pytest.raises(ValueError, match="tolerance must be above zero; received 0"):
        krylov.minres(operator, vector(3), tolerance=0)
