"""Depthwise convolutions: Keras's numbers, weights and config, and derivatives of derivatives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import depthwise_convolution
from keras_gen.layers.depthwise_convolution import DepthwiseConv2D
from keras_gen.processor import on_cpu


def _random(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def _derivatives(layer, images):
    """What a layer makes in training, gradients by images and kernel, and those of the gradients' squares."""
    with tf.GradientTape() as second:
        second.watch(images)
        with tf.GradientTape() as first:
            first.watch(images)
            outputs = layer(images, training=True)
            loss = tf.reduce_sum(outputs**3)
        once = first.gradient(loss, [images, *layer.trainable_weights])
        squares = tf.add_n([tf.reduce_sum(value**2) for value in once])
    return [outputs, *once, *second.gradient(squares, [images, *layer.trainable_weights])]


@pytest.mark.parametrize("size", [(8, 6), (2, 2), (2, 12), (7, 6), (8, 5)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel_size": 2, "activation": "tanh", "use_bias": False},
        {"kernel_size": (4, 5)},
        {"kernel_size": 1},
        {"strides": 1},
        {"padding": "valid", "kernel_size": 2},
        {"depth_multiplier": 2},
    ],
    ids=str,
)
def test_is_kerass_own_with_two_derivatives(size, options):
    options = {"kernel_size": 3, "strides": 2, "padding": "same", "bias_initializer": "normal", **options}
    ours, theirs = DepthwiseConv2D(**options), keras.layers.DepthwiseConv2D(**options)
    images = _random(3, *size, 5)
    for layer in (ours, theirs):
        layer(images)
    ours.set_weights(theirs.get_weights())
    for mine, other in zip(_derivatives(ours, images), _derivatives(theirs, images), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4 * np.abs(other).max())


@pytest.mark.skipif(not on_cpu(), reason="zeros between gradients are for CPUs")
def test_it_is_taken_in_training_alone(monkeypatch):
    calls = []
    halved = depthwise_convolution._halved
    monkeypatch.setattr(depthwise_convolution, "_halved", lambda *args: calls.append(1) or halved(*args))
    layer, images = DepthwiseConv2D(3, 2, padding="same"), _random(1, 8, 8, 3)
    at_inference = layer(images)
    assert not calls
    np.testing.assert_allclose(layer(images, training=True), at_inference, atol=1e-6)
    assert calls == [1]


def test_round_trip():
    layer = DepthwiseConv2D(3, 2, padding="same", use_bias=False)
    model = keras.Sequential([keras.Input((None, None, 4)), layer])
    again = keras.models.clone_model(model)
    assert type(again.layers[0]) is DepthwiseConv2D
    assert again.layers[0].get_config() == layer.get_config()
    outputs = tf.function(lambda x: model(x, training=True)).get_concrete_function(
        tf.TensorSpec((None, None, None, 4))
    )
    assert outputs(_random(2, 6, 4, 4)).shape == (2, 3, 2, 4)
