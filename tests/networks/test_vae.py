"""Networks of VAEs: sizes, layers, round trips, and shapes that they refuse."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import networks


def again(network):
    """The network made from its config, with the same weights."""
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    copy.set_weights(network.get_weights())
    return copy


def images(shape, count=2):
    return np.random.default_rng(0).uniform(-1, 1, (count, *shape)).astype("float32")


@pytest.mark.parametrize("shape", [(28, 28, 1), (29, 29, 3), (45, 45, 1), (128, 128, 3)], ids=str)
def test_convolutional_networks_at_any_size(shape):
    encoder = networks.convolutional_encoder(shape, 7, width=2)
    decoder = networks.transposed_decoder(shape, 7, width=2)
    discriminator = networks.feature_discriminator(shape, width=2)
    batch = images(shape)
    mean, log_variance = encoder(batch)
    assert mean.shape == log_variance.shape == (2, 7)
    outputs = decoder(mean)
    assert outputs.shape == batch.shape
    score, features = discriminator(outputs)
    assert score.shape == (2, 1)
    assert len(features.shape) == 4
    for output in (mean, log_variance, outputs, score, features):
        assert output.dtype == tf.float32
    for network, inputs in ((encoder, batch), (decoder, mean), (discriminator, batch)):
        for one, other in zip(
            tf.nest.flatten(network(inputs)), tf.nest.flatten(again(network)(inputs)), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_the_papers_sizes_at_28():
    def kernels(network):
        return [tuple(w.shape) for w in network.weights if len(w.shape) == 4]

    assert kernels(networks.convolutional_encoder((28, 28, 1))) == [
        (5, 5, 1, 32),
        (5, 5, 32, 64),
        (5, 5, 64, 128),
    ]
    assert kernels(networks.transposed_decoder((28, 28, 1))) == [
        (5, 5, 64, 128),
        (5, 5, 32, 64),
        (5, 5, 1, 32),
    ]


@pytest.mark.parametrize("shape", [(5, 9, 3), (1, 1, 1)], ids=str)
def test_dense_networks_for_any_shape(shape):
    encoder = networks.dense_encoder(shape, 4, widths=(6,))
    decoder = networks.dense_decoder(shape, 4, widths=(6, 8))
    mean, log_variance = encoder(images(shape))
    assert mean.shape == log_variance.shape == (2, 4)
    assert decoder(mean).shape == (2, *shape)
    np.testing.assert_array_equal(again(decoder)(mean), decoder(mean))


def test_outputs_are_not_bounded():
    decoder = networks.dense_decoder((4, 4, 1), 2)
    assert np.abs(decoder(1000 * np.ones((1, 2), np.float32))).max() > 1


@pytest.mark.parametrize("shape", [(27, 27, 1), (129, 129, 3), (28, 32, 1), (28, 28)], ids=str)
@pytest.mark.parametrize(
    "make",
    [networks.convolutional_encoder, networks.transposed_decoder, networks.feature_discriminator],
)
def test_other_shapes_are_refused(make, shape):
    with pytest.raises(ValueError, match="28 to 128 pixels; received image_shape="):
        make(shape)
