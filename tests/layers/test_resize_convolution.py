"""Resize and convolution in one: what Keras's two layers compute, for any size."""

import keras
import numpy as np
import pytest

from keras_gen.layers import ResizeConvolution2D


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_equals_up_sampling_and_convolution(size):
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype("float32")
    layer = ResizeConvolution2D(4, size)
    plain = keras.layers.Conv2D(4, size, padding="same", bias_initializer="normal")
    large = keras.layers.UpSampling2D(2)(x)
    plain.build(large.shape)
    layer.build(x.shape)
    layer.set_weights(plain.get_weights())
    np.testing.assert_allclose(layer(x), plain(large), atol=1e-5)
    assert layer.compute_output_shape(x.shape) == (2, 10, 12, 4)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_symmetric_borders_are_the_images(size, training):
    """As of an image that is mirrored first, far enough, and cut afterwards."""
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype("float32")
    layer, plain = ResizeConvolution2D(4, size, padding="symmetric"), ResizeConvolution2D(4, size)
    layer.build(x.shape)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    wide = plain(np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)), "symmetric"))
    np.testing.assert_allclose(layer(x, training=training), wide[:, 6:-6, 6:-6], atol=1e-5)
    assert ResizeConvolution2D.from_config(layer.get_config()).padding == "symmetric"


def test_a_constant_image_stays_constant_within():
    x = np.ones((1, 8, 8, 2), "float32")
    y = ResizeConvolution2D(3, 5)(x)[:, 4:-4, 4:-4]
    np.testing.assert_allclose(y - y[:, :1, :1], 0, atol=1e-6)


def test_config_and_bfloat16():
    layer = ResizeConvolution2D(4, 5, kernel_initializer="he_normal", dtype="mixed_bfloat16")
    again = ResizeConvolution2D.from_config(layer.get_config())
    assert (again.filters, again.kernel_size) == (4, 5)
    assert isinstance(again.kernel_initializer, keras.initializers.HeNormal)
    assert again(np.zeros((1, 4, 4, 3), "float32")).dtype == "bfloat16"


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="odd; received 4"):
        ResizeConvolution2D(3, 4)


def test_another_padding_is_refused():
    with pytest.raises(ValueError, match="'valid'"):
        ResizeConvolution2D(3, padding="valid")


def test_without_a_bias_it_is_the_kernel_alone():
    images = np.random.default_rng(0).normal(size=(1, 4, 5, 3)).astype("float32")
    layer, plain = ResizeConvolution2D(2), ResizeConvolution2D(2, use_bias=False)
    layer.build(images.shape)
    plain.build(images.shape)
    plain.set_weights(layer.get_weights()[:1])
    layer.bias.assign([1.0, -2.0])
    np.testing.assert_allclose(
        layer(images) - plain(images), np.broadcast_to([1, -2], (1, 8, 10, 2)), atol=1e-5
    )
    assert ResizeConvolution2D.from_config(plain.get_config()).use_bias is False


def test_an_image_too_small_to_mirror():
    with pytest.raises(ValueError, match="1 pixels a side cannot be mirrored 2 pixels beyond"):
        ResizeConvolution2D(4, 7, padding="symmetric")(np.zeros((1, 1, 9, 2), "float32"))
