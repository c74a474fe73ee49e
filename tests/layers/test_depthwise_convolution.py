"""Depthwise convolutions: TensorFlow's numbers and derivatives, and where layers compute them otherwise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import DepthwiseConv2D
from keras_gen.layers.depthwise_convolution import _halved
from keras_gen.networks import transformer_net
from keras_gen.processor import on_cpu

SLOW = "DepthwiseConv2dNativeBackpropInput"


def _random(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def _derivatives(product, *operands):
    """What a product makes, its gradients, and those of the gradients' squares."""
    with tf.GradientTape() as second:
        second.watch(operands)
        with tf.GradientTape() as first:
            first.watch(operands)
            outputs = product(*operands)
            loss = tf.reduce_sum(outputs**3)
        once = first.gradient(loss, operands)
        squares = tf.add_n([tf.reduce_sum(value**2) for value in once])
    return [outputs, *once, *second.gradient(squares, operands)]


@pytest.mark.parametrize("size", [(8, 6), (7, 5), (9, 12)], ids=str)
@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (4, 5), (7, 1)], ids=str)
def test_two_derivatives_are_tensorflows(size, kernel):
    operands = _random(3, *size, 5), _random(*kernel, 5, 1, seed=1)
    expected = _derivatives(lambda *each: tf.nn.depthwise_conv2d(*each, [1, 2, 2, 1], "VALID"), *operands)
    for ours, theirs in zip(_derivatives(_halved, *operands), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def _gradient_operators(layer, size=(8, 8), training=True):
    def gradient(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=training)
        return tape.gradient(outputs, images)

    graph = tf.function(gradient).get_concrete_function(tf.TensorSpec((None, *size, 4))).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.skipif(not on_cpu(), reason="zeros between gradients are for CPUs")
def test_layers_take_it_where_it_pays():
    def layer(**options):
        return DepthwiseConv2D(
            3, **{"strides": 2, "dtype": "mixed_bfloat16", "activation": "tanh", **options}
        )

    assert SLOW not in _gradient_operators(layer())
    assert SLOW in _gradient_operators(layer(), training=False)
    assert SLOW not in _gradient_operators(layer(), size=(8, 7))
    assert SLOW in _gradient_operators(layer(), size=(None, None))
    for options in ({"dtype": "float32"}, {"strides": 1}, {"padding": "same"}, {"depth_multiplier": 2}):
        assert SLOW in _gradient_operators(layer(**options)), options


@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}], ids=str)
def test_in_bfloat16_training_it_is_kerass_own(options, tmp_path):
    options = {"strides": 2, "bias_initializer": "normal", "dtype": "mixed_bfloat16"} | options
    images = _random(2, 6, 4, 4)
    ours = keras.Sequential([keras.Input((6, 4, 4)), DepthwiseConv2D(3, **options)])
    theirs = keras.Sequential([keras.Input((6, 4, 4)), keras.layers.DepthwiseConv2D(3, **options)])
    theirs.set_weights(ours.get_weights())
    np.testing.assert_array_equal(
        tf.cast(ours(images, training=True), "float32"), tf.cast(theirs(images, training=True), "float32")
    )
    ours.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.layers[0]) is DepthwiseConv2D
    np.testing.assert_array_equal(again.predict(images, verbose=0), ours.predict(images, verbose=0))


def test_style_networks_have_it():
    network = transformer_net(2, width=8, separable=True, blocks=1, coarse_blocks=1)
    assert type(network.get_layer("coarse_down_depthwise")) is DepthwiseConv2D
