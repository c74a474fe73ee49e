"""Learned textures: each style's own, smooth between pixels, one plane for all parts of an image."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

from keras_gen.layers import ImageOrigin, PatternStrength, StyleTexture2D
from keras_gen.optimizers import Muon


def _layer(*arguments, **options):
    layer = StyleTexture2D(*arguments, **options)
    layer.build([(None, None, None, 5), (None, layer.styles)])
    assert not layer.textures.numpy().any()  # a network begins as if there were none
    layer.textures.assign(np.random.default_rng(0).standard_normal(layer.textures.shape) / 10)
    return layer


def _texture(layer, size, weights=((1.0, 0.0),)):
    return layer([tf.zeros((len(weights), *size, 5)), tf.constant(weights)]).numpy()


def test_each_style_has_its_own_and_blends_are_between():
    layer = _layer(2, channels=3, period=4)
    first, second, blend = _texture(layer, (8, 8), [[1, 0], [0, 1], [0.3, 0.7]])
    assert first.shape == (8, 8, 3)
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_allclose(blend, 0.3 * first + 0.7 * second, atol=1e-6)


@pytest.mark.parametrize("strength", [0, 1, 0.25, [0, 1], np.float64([0.3, 0.6])])
def test_is_as_strong_as_a_block_says(strength):
    layer, weights = _layer(2, channels=3, period=4), [[1.0, 0.0], [0.3, 0.7]]
    learned = _texture(layer, (8, 8), weights)
    with PatternStrength(0.5), PatternStrength(strength):
        found = _texture(layer, (8, 8), weights)
    np.testing.assert_allclose(found, np.reshape(strength, (-1, 1, 1, 1)) * learned, atol=1e-6)
    np.testing.assert_array_equal(_texture(layer, (8, 8), weights), learned)


def test_is_linear_interpolation_that_goes_on_over_its_end():
    layer = _layer(1, channels=1, period=5)
    texture = _texture(layer, (20, 30), [[1.0]])[0, ..., 0]
    learned = 10 * np.reshape(layer.textures, (5, 5))
    # Keras's resize of three by three copies is the same function within.
    copies = np.tile(learned, (3, 3))[None, ..., None]
    wanted = np.asarray(keras.layers.UpSampling2D(2, interpolation="bilinear")(copies))[0, 10:20, 10:20, 0]
    np.testing.assert_allclose(texture[:10, :10], wanted, atol=1e-5)
    np.testing.assert_array_equal(texture[10:], texture[:10])
    np.testing.assert_array_equal(texture[:, 20:], texture[:, :10])


def test_parts_of_an_image_continue_its_texture():
    layer = _layer(2, period=8, stride=4)
    whole = _texture(layer, (40, 40), [[0.5, 0.5]])
    with ImageOrigin(np.int32([8 * 5, 8 * 10])):
        part = _texture(layer, (12, 9), [[0.5, 0.5]])
    np.testing.assert_array_equal(part[0], whole[0, 10:22, 20:29])
    styles = [[0.5, 0.5], [0.0, 1.0]]
    with ImageOrigin(np.int32([[8, 8 * 3], [0, 8 * 15]])):
        parts = _texture(layer, (12, 9), styles)
    np.testing.assert_allclose(parts[0], whole[0, 2:14, 6:15], atol=1e-6)
    np.testing.assert_allclose(parts[1], _texture(layer, (40, 40), styles[1:])[0, :12, 30:39], atol=1e-6)


def test_is_the_same_where_sizes_are_known():
    """By slices, as in TFLite files, and by a gather."""
    layer, weights = _layer(2, period=8), tf.constant([[0.2, 0.8]])
    images = tf.zeros((1, 37, 50, 5))
    shapes = [(1, 37, 50, 5), (1, None, None, 5)]
    known, unknown = (
        tf.function(lambda x: layer([x, weights])).get_concrete_function(tf.TensorSpec(shape))
        for shape in shapes
    )
    operations = [{op.type for op in made.graph.get_operations()} for made in (known, unknown)]
    assert "GatherV2" not in operations[0]
    assert "GatherV2" in operations[1]
    np.testing.assert_array_equal(known(images), unknown(images))
    with ImageOrigin([0, 0]):
        np.testing.assert_array_equal(known(images), layer([images, weights]))


def test_muon_moves_it_as_adam_does():
    layer = _layer(3, period=8)
    assert Muon()._should_use_adamw(layer.textures)
    gradient = tf.random.stateless_normal(layer.textures.shape, (0, 0))
    before = layer.textures.numpy()
    Muon(0.01).apply([gradient], [layer.textures])
    np.testing.assert_allclose(layer.textures - before, -0.01 * np.sign(gradient), rtol=1e-2)


@pytest.mark.parametrize(("period", "longest"), [(8, 3), (9, 4), (8, 2), (8, 8)])
def test_training_leaves_no_waves_that_are_longer(period, longest):
    layer = _layer(2, channels=3, period=period, longest=longest)
    gradient = np.random.default_rng(1).standard_normal(layer.textures.shape).astype("float32")
    freely = np.reshape(layer.textures - 0.5 * gradient, (2, period, period, 3))
    keras.optimizers.SGD(0.5).apply([tf.constant(gradient)], [layer.textures])
    waves = np.abs(np.fft.fftfreq(period, 1 / period))
    short = np.maximum.outer(waves, waves) * longest >= period
    wanted = np.fft.ifft2(np.fft.fft2(freely, axes=(1, 2)) * short[..., None], axes=(1, 2))
    np.testing.assert_allclose(np.reshape(layer.textures, wanted.shape), wanted.real, atol=1e-6)
    assert np.abs(freely - wanted).max() > 0.01


def test_training_makes_all_parts_as_strong():
    """Each pixel by the root mean square around it, to which pixels count as a Gaussian across borders."""
    layer = _layer(2, channels=3, period=16, even=1.5)
    textures = np.random.default_rng(1).standard_normal((2, 16, 16, 3)).astype("float32")
    textures[0, 0, 3] *= 20  # a stamp
    keras.optimizers.SGD(1.0).apply([layer.textures - textures.reshape(2, -1)], [layer.textures])
    made = np.reshape(layer.textures, textures.shape)
    squares = np.square(textures).mean(-1)
    strength = np.sqrt(gaussian_filter(squares, (0, 1.5, 1.5), mode="wrap", truncate=8))
    overall = np.sqrt(squares.mean((1, 2), keepdims=True))
    np.testing.assert_allclose(made, textures * (overall / strength)[..., None], rtol=1e-3)
    # Textures that are nothing yet stay so, and stay finite.
    layer.textures.assign(tf.zeros_like(layer.textures))
    keras.optimizers.SGD(1.0).apply([tf.zeros_like(layer.textures)], [layer.textures])
    assert not layer.textures.numpy().any()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_takes_half_precision_and_any_size(policy):
    images, weights = keras.Input((None, None, 3)), keras.Input((2,))
    layer = StyleTexture2D(2, channels=3, dtype=policy)
    network = keras.Model([images, weights], layer([images, weights]))
    made = network([tf.zeros((1, 7, 200, 3)), tf.constant([[1.0, 0.0]])])
    assert made.shape == (1, 7, 200, 3)
    assert made.dtype == tf.bfloat16


def test_config_and_refusals():
    layer = StyleTexture2D(2, channels=3, period=9, stride=2, longest=4, even=1.5)
    assert StyleTexture2D.from_config(layer.get_config()).get_config() == layer.get_config()
    for name in ("styles", "channels", "period", "stride"):
        with pytest.raises(ValueError, match=name):
            StyleTexture2D(**{"styles": 1, name: 0})
    with pytest.raises(
        ValueError, match="longest must be None, or 2, the shortest wave, or more; received 1"
    ):
        StyleTexture2D(1, longest=1)
    with pytest.raises(ValueError, match="even must be None or above 0; received 0"):
        StyleTexture2D(1, even=0)
    with pytest.raises(ValueError, match=r"weights \(batch, 2\)"):
        StyleTexture2D(2)([tf.zeros((1, 8, 8, 3)), tf.zeros((1, 3))])
    with pytest.raises(ValueError, match="origin must be"), ImageOrigin(3):
        pass
