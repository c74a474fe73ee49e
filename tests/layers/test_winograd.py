"""Convolutions by tiles: TensorFlow's numbers and derivatives, and where layers take them."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import Conv2D, Conv2DTranspose, convolution_products
from keras_gen.layers.convolution_products import Geometry, convolve
from keras_gen.layers.winograd import winograd
from keras_gen.precision import bfloat16_hardware

RNG = np.random.default_rng(0)
SIZES = [(3, 3), (4, 8), (9, 14), (17, 6)]


def _random(*shape, dtype=tf.float64):
    return tf.cast(RNG.standard_normal(shape), dtype)


def _direct(images, kernel, pad):
    return tf.nn.conv2d(tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]]), kernel, 1, "VALID")


def _error(ours, exact):
    """The root mean square of the differences by that of the exact values."""
    exact = np.float64(exact)
    return np.sqrt(np.mean((np.float64(tf.cast(ours, tf.float64)) - exact) ** 2) / np.mean(exact**2))


@pytest.mark.parametrize("pad", [0, 1, 2])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_is_the_convolution_at_any_size_and_padding(size, pad):
    images, kernel = _random(2, *size, 3), _random(3, 3, 3, 5)
    out = tuple(side + 2 * pad - 2 for side in size)
    exact = _direct(images, kernel, pad)
    result = winograd(images, kernel, (pad, pad), out)
    assert result.shape == exact.shape
    np.testing.assert_allclose(result, exact, atol=1e-12)
    single = winograd(tf.cast(images, tf.float32), tf.cast(kernel, tf.float32), (pad, pad), out)
    assert _error(single, exact) < 2e-6


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_transposed_is_the_gradient_by_the_images(size):
    kernel, upstream = _random(3, 3, 3, 5), _random(2, *size, 5)
    images = tf.Variable(_random(2, *size, 3))
    with tf.GradientTape() as tape:
        outputs = tf.nn.conv2d(images, kernel, 1, "SAME")
    expected = tape.gradient(outputs, images, upstream)
    result = winograd(upstream, kernel, (1, 1), size, transposed=True)
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.skipif(bfloat16_hardware() is None, reason="without units for it bfloat16 is less exact")
def test_bfloat16_is_as_exact_as_it_says():
    images = tf.nn.relu(_random(2, 32, 32, 64, dtype=tf.bfloat16))
    kernel = _random(3, 3, 64, 64, dtype=tf.bfloat16)
    exact = _direct(tf.cast(images, tf.float64), tf.cast(kernel, tf.float64), 1)
    assert _error(winograd(images, kernel, (1, 1), (32, 32)), exact) < 0.015


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_derivatives_of_a_wide_convolution(padding):
    geometry = Geometry((34, 35), (3, 3), (1, 1), padding)
    operands = [_random(1, 34, 35, 128, dtype=tf.float32), _random(3, 3, 128, 128, dtype=tf.float32) / 30]

    def run(product):
        with tf.GradientTape() as second:
            second.watch(operands)
            with tf.GradientTape() as first:
                first.watch(operands)
                outputs = product(*operands)
                loss = tf.reduce_mean(tf.sin(outputs))
            once = first.gradient(loss, operands)
            norm = sum(tf.reduce_sum(gradient**2) for gradient in once)
        return [outputs, *once, *second.gradient(norm, operands)]

    assert convolution_products._by_tiles(geometry, 128, 128, tf.float32) or not convolution_products.on_cpu()
    ours = run(lambda images, kernel: convolve(images, kernel, geometry))
    for result, exact in zip(
        ours, run(lambda images, kernel: tf.nn.conv2d(images, kernel, 1, padding.upper())), strict=True
    ):
        assert _error(result, exact) < 1e-5


def _operators(dtype, training=True, trainable=True, channels=128, size=32):
    layer = Conv2D(128, 3, padding="same", dtype=dtype)
    layer.build((None, None, None, channels))
    layer.trainable = trainable
    run = tf.function(lambda images: layer(images, training=training))
    graph = run.get_concrete_function(tf.TensorSpec((None, size, size, channels))).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.skipif(not convolution_products.on_cpu(), reason="tiles are for CPUs")
def test_layers_take_tiles_where_they_pay(monkeypatch):
    monkeypatch.setattr(convolution_products, "bfloat16_unit", lambda: "AVX512-BF16")
    for taken in (_operators("float32"), _operators("mixed_bfloat16", trainable=False)):
        assert "GatherV2" in taken
        assert "Conv2D" not in taken
    for plain in (
        _operators("float32", training=False),
        _operators("float32", channels=64),
        _operators("float32", size=28),
        _operators("float32", size=260),
        _operators("mixed_bfloat16"),
        _operators("float64"),
    ):
        assert "GatherV2" not in plain
        assert "Conv2D" in plain


def test_units_for_bfloat16_are_left_the_whole_convolution(monkeypatch):
    monkeypatch.setattr(convolution_products, "bfloat16_unit", lambda: "AMX")
    assert "Conv2D" in _operators("mixed_bfloat16", trainable=False)


@pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])
def test_a_layer_in_training_is_itself_at_inference(kind):
    layer = kind(130, 3, padding="same", activation="relu", bias_initializer="normal")
    images = _random(2, 33, 32, 128, dtype=tf.float32)
    assert _error(layer(images, training=True), layer(images, training=False)) < 3e-6
