"""The small encoder: sizes, and borders that it does not see."""

import keras
import numpy as np

from keras_gen.networks.style_coder import small_encoder, style_decoder


def _image(*size):
    return np.random.default_rng(0).uniform(-1, 1, (1, *size, 3)).astype("float32")


def test_sizes():
    encoder = small_encoder(4)
    features = encoder(_image(48, 64))
    assert features.shape == (1, 6, 8, 32)
    assert style_decoder(32, width=4)(features).shape == (1, 48, 64, 3)


def test_a_plain_image_has_no_borders():
    keras.utils.set_random_seed(0)
    features = small_encoder(4)(np.full((1, 48, 64, 3), 0.7, "float32")).numpy()
    assert np.abs(features).max() > 0.01
    np.testing.assert_allclose(features, np.broadcast_to(features[:, :1, :1], features.shape), atol=1e-6)


def test_within_it_pads_as_same_does():
    keras.utils.set_random_seed(0)
    encoder = small_encoder(4)
    first = encoder.get_layer("down1")
    image = _image(16, 24)
    padded = keras.ops.conv(image, first.kernel, 2, "same") + first.bias
    found = keras.Model(encoder.input, first.output)(image)
    np.testing.assert_allclose(found[:, :-1, :-1], padded[:, :-1, :-1], atol=1e-5)
