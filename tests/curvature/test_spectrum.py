"""Spectral estimates against matrices of known spectrum."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.curvature import Hessian, spectrum


class Dense:
    """An operator without `matmat`."""

    def __init__(self, eigenvalues, seed=0):
        q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))
        self.array = q * np.asarray(eigenvalues, float) @ q.T
        self.matrix, self.shape = tf.constant(self.array, tf.float32), self.array.shape

    def matvec(self, vector):
        return tf.linalg.matvec(self.matrix, vector)


SPECTRUM = np.concatenate([[-8.0, 5.0, 3.0], np.linspace(-1, 1, 197)])


@pytest.mark.parametrize("exact", [1024, 0])
def test_eigenpairs(monkeypatch, exact):
    """From the whole matrix, and by Lanczos runs."""
    monkeypatch.setattr(spectrum, "EXACT", exact)
    operator = Dense(SPECTRUM)
    found = spectrum.eigenpairs(operator, 3)
    np.testing.assert_allclose(found.values, [-8, 5, 3], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=0), 1, rtol=1e-5)
    true = np.linalg.norm(operator.array @ found.vectors - found.vectors * found.values, axis=0)
    np.testing.assert_allclose(found.residuals, true, atol=1e-5)
    assert found.residuals.max() < 1e-3
    assert found.products < 200 or exact


def test_repeated_eigenvalues(monkeypatch):
    monkeypatch.setattr(spectrum, "EXACT", 0)
    np.testing.assert_allclose(spectrum.eigenpairs(Dense([2.0] * 9), 4).values, [2.0] * 4, rtol=1e-5)


def test_traces_lie_within_their_standard_errors():
    operator, trace = Dense(SPECTRUM), SPECTRUM.sum()
    for estimate in (spectrum.hutchinson(operator, 64), spectrum.hutch_plus_plus(operator, 96)):
        assert 0 < abs(estimate.value - trace) < 4 * estimate.standard_error
    assert spectrum.hutchinson(operator, 64).products == 64
    assert spectrum.hutch_plus_plus(operator, 96).products == 96


def test_hutch_plus_plus_is_exact_for_low_rank():
    """Where Hutchinson's is far off."""
    operator = Dense([50.0, -20, 10] + [0] * 97)
    assert abs(spectrum.hutch_plus_plus(operator, 30).value - 40) < 1e-3
    assert abs(spectrum.hutchinson(operator, 30).value - 40) > 0.1
    whole = spectrum.hutch_plus_plus(Dense([1.0, 2.0, 4.0]), 60)
    np.testing.assert_allclose(whole.value, 7, rtol=1e-5)
    assert whole.standard_error == 0


def test_standard_errors_are_those_of_repetition():
    operator = Dense(SPECTRUM)
    for method in (spectrum.hutchinson, spectrum.frobenius_norm):
        runs = [method(operator, 16, seed) for seed in range(40)]
        spread = np.std([run.value for run in runs])
        assert 0.6 * spread < np.mean([run.standard_error for run in runs]) < 1.6 * spread


def test_frobenius_norm():
    estimate = spectrum.frobenius_norm(Dense(SPECTRUM), 64)
    assert abs(estimate.value - np.linalg.norm(SPECTRUM)) < 4 * estimate.standard_error
    assert spectrum.frobenius_norm(Dense([0.0] * 4), 4).value == 0


def test_density():
    found = spectrum.density(Dense(SPECTRUM), probes=8, iterations=60)
    step = np.diff(found.eigenvalues)[0]
    np.testing.assert_allclose(found.density.sum() * step, 1, rtol=1e-3)
    np.testing.assert_allclose(found.weights.sum(), 1, rtol=1e-6)
    inside = found.density[np.abs(found.eigenvalues) <= 1.2].sum() * step
    assert abs(inside - 197 / 200) < 0.02
    np.testing.assert_allclose(found.weights @ found.nodes**2, np.mean(SPECTRUM**2), rtol=0.2)
    assert found.products == 480


def test_density_of_a_multiple_of_one():
    found = spectrum.density(Dense([2.0] * 10), probes=2)
    np.testing.assert_allclose(found.nodes, 2, rtol=1e-6)
    assert abs(found.eigenvalues[found.density.argmax()] - 2) < 1e-3


def test_conditioning():
    found = spectrum.conditioning(Dense([4.0, 2.0, 0.5, 0.01]))
    np.testing.assert_allclose([found.largest, found.smallest, found.condition], [4, 0.01, 400], rtol=1e-3)
    assert found.null_share == 0
    singular = spectrum.conditioning(Dense([0.0] * 50 + list(np.linspace(1, 2, 50))), probes=8)
    assert singular.condition > 1e5
    assert abs(singular.null_dimension - 50) < 8


def test_methods_of_the_hessian(reference):
    hessian = Hessian(reference.loss, reference.variables)
    np.testing.assert_allclose(
        hessian.eigenvalues(2), [reference["eigenvalues"][-1], reference["eigenvalues"][0]]
    )
    found = hessian.spectral_density(probes=2, iterations=31)
    ends = reference["eigenvalues"][[0, -1]]
    np.testing.assert_allclose([found.nodes.min(), found.nodes.max()], ends, rtol=1e-5)
    estimate = spectrum.frobenius_norm(hessian, 200)
    assert abs(estimate.value - reference["frobenius_norm"]) < 4 * estimate.standard_error


def test_errors():
    operator = Dense([1.0, 2.0])
    with pytest.raises(ValueError, match="k must be from 1 to 2, the operator's size; received 3"):
        spectrum.eigenpairs(operator, 3)
    with pytest.raises(ValueError, match="At least 2 random vectors"):
        spectrum.hutchinson(operator, 1)
    with pytest.raises(ValueError, match="At least 6 random vectors"):
        spectrum.hutch_plus_plus(operator, 5)
    with pytest.raises(ValueError, match="width must be above zero"):
        spectrum.density(operator, width=-1)
