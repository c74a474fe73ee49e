"""Muon: a convolution's step is Keras's step of its matrix, of orthogonal columns; the rest goes by Adam."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.optimizers import Muon

RNG = np.random.default_rng(0)
RATE = 0.01


def _steps(optimizer, variable, gradients):
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [variable])
    return variable.numpy()


def _variable(value, name="kernel"):
    return keras.Variable(value, name=name)


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (1, 1, 16, 8), (1, 1, 4, 16)])
def test_a_kernel_steps_as_the_matrix_of_its_taps_in_keras(shape):
    start = RNG.normal(size=shape).astype("float32")
    gradients = RNG.normal(size=(3, *shape)).astype("float32")
    matrix = _steps(
        keras.optimizers.Muon(RATE, weight_decay=None),
        _variable(start.reshape(-1, shape[-1])),
        gradients.reshape(3, -1, shape[-1]),
    )
    ours = _steps(Muon(RATE), _variable(start), gradients)
    np.testing.assert_allclose(ours.reshape(matrix.shape), matrix, rtol=1e-5, atol=1e-6)


def test_a_step_has_nearly_equal_singular_values():
    gradient = RNG.normal(size=(3, 3, 4, 8)).astype("float32") * np.geomspace(1e-2, 1, 8, dtype="float32")
    step = -_steps(Muon(RATE), _variable(np.zeros_like(gradient)), [gradient]).reshape(36, 8)
    values = np.linalg.svd(step, compute_uv=False) / (RATE * 0.2 * 36**0.5)
    # The quintic iteration brings them near one, not to it.
    assert 0.6 < values.min() <= values.max() < 1.3
    assert np.linalg.cond(gradient.reshape(36, 8)) > 30


@pytest.mark.parametrize(
    ("shape", "name"), [((8,), "beta"), ((5, 5, 4, 3), "kernel"), ((3, 3, 8, 1), "depthwise_kernel")]
)
def test_vectors_images_and_depthwise_kernels_go_by_adam(shape, name):
    start = RNG.normal(size=shape).astype("float32")
    gradients = RNG.normal(size=(3, *shape)).astype("float32")
    ours = _steps(Muon(RATE), _variable(start, name), gradients)
    # Keras's Muon has a momentum of its own; its vectors' is Adam's.
    adam = _steps(keras.optimizers.Adam(RATE), _variable(start), gradients)
    np.testing.assert_allclose(ours, adam, rtol=1e-4, atol=1e-5)


def test_the_length_of_the_gradient_does_not_matter():
    gradients = RNG.normal(size=(3, 3, 3, 4, 8)).astype("float32")
    start = np.zeros((3, 3, 4, 8), "float32")
    small, large = (_steps(Muon(RATE), _variable(start), factor * gradients) for factor in (1, 1000))
    np.testing.assert_allclose(small, large, rtol=1e-3, atol=1e-5)


def test_config():
    optimizer = Muon(0.1, smallest=5, momentum=0.9)
    again = Muon.from_config(optimizer.get_config())
    assert (again.smallest, again.momentum, again.weight_decay) == (5, 0.9, None)


def test_kernels_of_many_shapes_step_in_one_graph_as_each_alone():
    shapes = [(3, 3, 4, 8), (1, 1, 4, 16), (5, 5, 2, 6), (1, 1, 8, 8)]
    gradients = [RNG.normal(size=shape).astype("float32") for shape in shapes]
    alone = [_steps(Muon(RATE), _variable(np.zeros_like(each)), [each]) for each in gradients]
    variables = [_variable(np.zeros_like(each)) for each in gradients]
    optimizer = Muon(RATE)
    optimizer.build(variables)
    tf.function(lambda: optimizer.apply([tf.constant(each) for each in gradients], variables))()
    for variable, step in zip(variables, alone, strict=True):
        np.testing.assert_allclose(variable.numpy(), step, rtol=1e-4, atol=1e-6)
