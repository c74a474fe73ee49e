"""Dense networks: any shape, the tutorial's sizes, round trips."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.networks import independent_of_batch, mlp_discriminator, mlp_generator


@pytest.mark.parametrize("shape", [(28, 28, 1), (5, 9, 3), (1, 1, 2)], ids=str)
def test_any_shape_with_round_trip(shape):
    generator, discriminator = mlp_generator(shape, 7), mlp_discriminator(shape)
    latents = tf.random.stateless_normal((3, 7), (0, 1))
    images = generator(latents)
    assert images.shape == (3, *shape)
    assert np.abs(images).max() <= 1
    scores = discriminator(images)
    assert scores.shape == (3, 1)
    assert images.dtype == scores.dtype == tf.float32
    for network, inputs, outputs in ((generator, latents, images), (discriminator, images, scores)):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
        again.set_weights(network.get_weights())
        np.testing.assert_array_equal(again(inputs), outputs)


def test_tutorials_sizes():
    kernels = [tuple(w.shape) for w in mlp_generator((28, 28, 1)).weights if len(w.shape) > 1]
    assert kernels == [(100, 128), (128, 128), (128, 784)]
    kernels = [tuple(w.shape) for w in mlp_discriminator((28, 28, 1)).weights if len(w.shape) > 1]
    assert kernels == [(784, 128), (128, 128), (128, 1)]


def test_widths():
    assert [w.shape[0] for w in mlp_generator((4, 4, 1), 5, widths=(6,)).weights] == [5, 6, 6, 16]
    assert mlp_discriminator((4, 4, 1), widths=()).count_params() == 17


def test_independent_of_batch():
    network = mlp_discriminator((4, 4, 1))
    assert independent_of_batch(network)

    class Own(keras.layers.Layer):
        def call(self, inputs):
            return inputs - tf.reduce_mean(inputs, 0)

    for layer in (keras.layers.BatchNormalization(), keras.layers.Lambda(lambda x: x), Own()):
        nested = keras.Sequential([network, layer])
        nested.build((None, 4, 4, 1))
        assert not independent_of_batch(nested), layer


def test_an_operation_of_a_functional_model_may_look_across_the_batch():
    image = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(image)
    centred = keras.Model(image, keras.layers.Dense(1)(x - keras.ops.mean(x, axis=0, keepdims=True)))
    assert not independent_of_batch(centred)
    assert not independent_of_batch(keras.Sequential([keras.Input((4, 4, 1)), centred]))
