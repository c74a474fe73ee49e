"""The small encoder: sizes, and borders that it does not see; the decoder: by what it paints."""

import keras
import numpy as np

from keras_gen.layers import ConditionalInstanceNormalization
from keras_gen.networks.style_coder import small_encoder, style_decoder
from keras_gen.networks.transformer_net import transformer_net


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


def test_every_normalization_of_the_decoder_knows_the_painting():
    """Scales and offsets are linear in a code of the features' statistics, and of nothing else."""
    keras.utils.set_random_seed(0)
    decoder = style_decoder(16, width=4, blocks=1, coarse_blocks=1, code=5)
    layers = [one for one in decoder.layers if isinstance(one, ConditionalInstanceNormalization)]
    coarse = ("coarse_down", "coarse1a", "coarse1b", "coarse_up")
    assert [one.name for one in layers] == [
        f"{part}_normalization" for part in ("up0", "block1a", "block1b", *coarse, "up1", "detail")
    ]
    codes = keras.Model(decoder.input, [one.input[1] for one in layers])
    features = np.random.default_rng(0).uniform(0, 3, (1, 6, 8, 16)).astype("float32")
    found = [code.numpy() for code in codes(features)]
    assert found[0].shape == (1, 5)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    # The same statistics in another order have the same code; other statistics have not.
    np.testing.assert_allclose(codes(features[:, ::-1, ::-1])[0], found[0], atol=1e-6)
    assert np.abs(codes(np.square(features))[0] - found[0]).max() > 1e-3


def test_the_decoder_paints_by_the_layers_of_a_style_network():
    options = {"width": 4, "separable": True, "blocks": 2, "coarse_blocks": 1}
    decoder, network = style_decoder(16, code=3, **options), transformer_net(3, **options)
    painting = {one.name: one for one in network.layers}
    shared = [one for one in decoder.layers if one.name in painting and one.weights]
    assert len(decoder.get_layer("up0").weights) == 1  # its normalization would take a bias away again
    # Three blocks, and the ways down to the coarse one and up; ways up and detail, and their normalizations.
    assert len(shared) == 3 * 6 + 5 + 3 + 2
    for one in shared:
        assert [w.shape for w in one.weights] == [w.shape for w in painting[one.name].weights]
