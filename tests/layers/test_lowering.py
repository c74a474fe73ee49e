"""Training with this package's layers has the loss curve of training with the Keras layers they stand for."""

import keras
import numpy as np
import pytest

import keras_gen as kg
from keras_gen import layers

PLAIN = {
    layers.BatchNormalization: keras.layers.BatchNormalization,
    layers.Conv2D: keras.layers.Conv2D,
    layers.Dropout: keras.layers.Dropout,
    layers.LeakyReLU: keras.layers.LeakyReLU,
}


def _plain(layer, inputs):
    if isinstance(layer, layers.UpSamplingConv2D):
        config = {key: value for key, value in layer.get_config().items() if key != "name"}
        return keras.layers.Conv2D(**config)(keras.layers.UpSampling2D(2)(inputs))
    cls = PLAIN.get(type(layer), type(layer))
    return cls.from_config(layer.get_config())(inputs)


def _twin(network):
    """The same network, of Keras's own layers, with the same weights."""
    inputs = x = keras.Input(network.input_shape[1:])
    for layer in network.layers[1:]:
        x = _plain(layer, x)
    twin = keras.Model(inputs, x)
    twin.set_weights(network.get_weights())
    return twin


def _losses(generator, discriminator):
    model = kg.WGANGP(generator, discriminator, 128, discriminator_steps=2, seed=0)
    model.compile(
        generator_optimizer=keras.optimizers.SGD(0.002), discriminator_optimizer=keras.optimizers.SGD(0.002)
    )
    # Plain descent in small steps: rounding is not amplified, as Adam or long steps would.
    data, steps = kg.data.load("digits", batch_size=16), []
    for batch in data.take(8):
        history = model.fit(batch.numpy(), batch_size=16, verbose=0, shuffle=False).history
        steps.append([history[name][0] for name in ("discriminator_loss", "generator_loss")])
    return np.array(steps)


@pytest.mark.slow
def test_training_has_the_loss_curve_of_keras_layers():
    generator, discriminator = kg.networks.example28_generator(), kg.networks.example28_discriminator()
    # Masks differ between the two kinds of dropout: the curves are compared without any.
    for layer in discriminator.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    plain = _losses(_twin(generator), _twin(discriminator))
    ours = _losses(generator, discriminator)
    assert np.ptp(plain[:, 0]) > 0.1  # the critic learned something
    np.testing.assert_allclose(ours, plain, rtol=2e-4, atol=2e-4)
