"""Curvature of a model's players and their game, against matrices of their losses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from correction_examples import model

import keras_gen as kg
from keras_gen.curvature import krylov
from keras_gen.curvature.operators import GameJacobian
from keras_gen.curvature.players import PlayersCurvature, draw, png

IMAGES = np.random.default_rng(0).uniform(-1, 1, (16, 4, 4, 1)).astype("float32")


def vae():
    networks = (kg.networks.dense_encoder((4, 4, 1), 2, (6,)), kg.networks.dense_decoder((4, 4, 1), 2, (6,)))
    return kg.VAE(*networks, 2, seed=1)


def test_a_game():
    """Of a GAN small enough for matrices, with batch normalization, dropout and a gradient penalty."""
    made = model()
    before = made.get_weights()
    curvature = PlayersCurvature(made, [IMAGES])
    measured = curvature.measure(top=3, damping=0.5, probes=4, iterations=40)
    for name, hessian in curvature.hessians.items():
        values = np.linalg.eigvalsh(hessian.dense())
        found = measured["players"][name]
        expected = values[np.argsort(-np.abs(values))][:3]
        np.testing.assert_allclose(found["top_eigenvalues"], expected, rtol=1e-3, err_msg=name)
        assert abs(found["trace"] - values.sum()) < 5 * found["standard_error"] + 1e-3 * np.abs(values).max()
        assert found["smallest"] == pytest.approx(values.min(), rel=0.05, abs=0.01)
        threshold = 1e-3 * np.abs(values).max()
        assert found["negative_share"] == pytest.approx((values < -threshold).mean(), abs=0.15)
        grid = np.array(found["eigenvalues"])
        np.testing.assert_allclose(found["filter"], grid / (grid**2 + 0.25))
    jacobian = np.linalg.eigvals(curvature.game.dense())
    found = measured["game"]["eigenvalues"][0]
    largest = jacobian[np.argmax(np.abs(jacobian))]
    np.testing.assert_allclose([found[0], abs(found[1])], [largest.real, abs(largest.imag)], rtol=0.01)
    for a, b in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert png(draw(measured)).startswith(b"\x89PNG")


def test_several_batches_are_their_mean():
    made = vae()
    each = [PlayersCurvature(made, [batch]).hessians["model"].dense() for batch in (IMAGES[:8],)]
    both = PlayersCurvature(made, [IMAGES[:8], IMAGES[8:]]).hessians["model"].dense()
    # The second batch has numbers of its own: alone it would have the first one's.
    shifted = PlayersCurvature(made, [IMAGES[8:], IMAGES[8:]]).hessians["model"].dense()
    alone = PlayersCurvature(made, [IMAGES[8:]]).hessians["model"].dense()
    np.testing.assert_allclose(both, (each[0] + 2 * shifted - alone) / 2, rtol=1e-3, atol=1e-4)


def test_a_model_without_rivals_is_no_game():
    measured = PlayersCurvature(vae(), [IMAGES[:4]]).measure(iterations=3, probes=1, top=1)
    assert measured["game"] is None
    assert list(measured["players"]) == ["model"]


def test_rotation_of_games_in_closed_form():
    x, y = keras.Variable([1.0]), keras.Variable([2.0])
    for losses, expected in (
        (lambda: (x.value[0] * y.value[0], -x.value[0] * y.value[0]), 1.0),
        (lambda: (x.value[0] ** 2, 3 * y.value[0] ** 2), 0.0),
    ):
        run = krylov.arnoldi(GameJacobian(losses, [x], [y]), [0.6, 0.8], 5)
        values = np.linalg.eigvals(np.asarray(run.hessenberg)[:2, :2])
        np.testing.assert_allclose(np.abs(values.imag) / np.abs(values), expected, atol=1e-5)


def test_arnoldi_reduces_a_matrix():
    matrix = np.random.default_rng(0).standard_normal((9, 9))

    class Matrix:
        shape, dtype = (9, 9), tf.float64

        def matvec(self, vector):
            return tf.linalg.matvec(tf.constant(matrix), vector)

    run = krylov.arnoldi(Matrix(), np.ones(9), 6)
    basis = np.asarray(run.basis)
    np.testing.assert_allclose(basis @ basis.T, np.eye(7), atol=1e-12)
    np.testing.assert_allclose(matrix @ basis[:6].T, basis.T @ run.hessenberg, atol=1e-12)
    full = krylov.arnoldi(Matrix(), np.ones(9), 20)
    found = np.linalg.eigvals(np.asarray(full.hessenberg)[:9, :9])
    expected = np.linalg.eigvals(matrix)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected), atol=1e-9)


def test_errors():
    with pytest.raises(ValueError, match="needs a batch of data at least"):
        PlayersCurvature(vae(), [])
    with pytest.raises(ValueError, match="must be 1 or more; received 0, 24 and 5"):
        PlayersCurvature(vae(), [IMAGES]).measure(probes=0)
