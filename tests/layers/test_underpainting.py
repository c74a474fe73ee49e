"""Underpainting: dabs along edges in place of grain, and brightness away from that around it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import correlate, uniform_filter, zoom
from style_examples import photographs

from keras_gen.layers import Underpainting2D

# Noise, and a faint one on a slope, whose dabs count nearly alike.
FAINT = np.linspace(-0.5, 0.5, 64)[:, None, None] + np.random.default_rng(0).normal(0, 0.02, (64, 64, 3))
PHOTOGRAPHS = np.float32([*photographs(2, 64), FAINT])


def _mean(plane, side):
    """Means of squares, of the pixels that are within the image."""
    within = uniform_filter(np.ones_like(plane), side, mode="constant")
    return uniform_filter(plane, side, mode="constant") / within


def _pooled(image, side):
    height, width, channels = image.shape
    return image.reshape(height // side, side, width // side, side, channels).mean((1, 3))


def _enlarged(image, factor):
    return zoom(image, (factor, factor, 1), order=1, mode="nearest", grid_mode=True)


def _dabs(image, brightness):
    """The same by SciPy, one direction and one plane after the other."""
    y, x = np.mgrid[-2:3, -2:3]
    blur = np.exp(-(np.hypot(y, x) ** 2) / (2 * 0.85**2))
    blur /= blur.sum()
    y, x = np.mgrid[-1:2, -1:2]
    total, painted = 0, 0
    for k in range(8):
        towards = np.array([np.cos(k * np.pi / 4), np.sin(k * np.pi / 4)])
        along, across = x * towards[0] + y * towards[1], y * towards[0] - x * towards[1]
        dab = np.exp(-(((along - 0.9) / 0.9) ** 2) / 2 - (across / 0.45) ** 2 / 2)
        dab /= dab.sum()

        def over(plane, dab=dab):
            return correlate(correlate(np.pad(plane, 3, "edge"), blur), dab)[3:-3, 3:-3]

        weight = (over(brightness**2) - over(brightness) ** 2 + 2.5e-4) ** -4
        painted = painted + weight[..., None] * np.stack([over(image[..., c]) for c in range(3)], -1)
        total = total + weight[..., None]
    return painted / total


def _expected(image, contrast, coats=1):
    image, luma = image.astype("float64"), np.array([0.299, 0.587, 0.114])
    around = _pooled((image @ luma)[..., None], 8)[..., 0]
    around = _enlarged(_mean(_mean(around, 7), 7)[..., None], 8)
    dabs = image
    for _ in range(coats):
        dabs = _dabs(dabs, dabs @ luma - around[..., 0])
    brightness = (dabs @ luma)[..., None]
    return np.clip(dabs + contrast * (1 - brightness**2) * (brightness - around), -1, 1)


@pytest.mark.parametrize(("contrast", "coats"), [(0.0, 1), (0.7, 1), (2.0, 1), (0.7, 2), (0.0, 3)])
def test_equals_the_filters_of_scipy(contrast, coats):
    found = Underpainting2D(contrast, coats)(tf.constant(PHOTOGRAPHS)).numpy()
    expected = np.stack([_expected(image, contrast, coats) for image in PHOTOGRAPHS])
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(found - expected).mean() < 5e-5
    assert np.abs(found - PHOTOGRAPHS).mean() > 0.01


def test_grain_goes_and_an_edge_stays():
    image = np.full((1, 64, 64, 3), -0.5, "float32")
    image[:, :, 32:] = 0.5
    grainy = image + np.random.default_rng(0).normal(0, 0.05, image.shape).astype("float32")
    painted = Underpainting2D(contrast=0)(tf.constant(grainy)).numpy()
    for columns in (slice(0, 28), slice(36, 64)):
        assert painted[:, :, columns].std() < 0.4 * grainy[:, :, columns].std()
    # Blur and dab together reach three pixels.
    np.testing.assert_allclose(painted[:, :, :31], image[:, :, :31], atol=0.2)
    np.testing.assert_allclose(painted[:, :, 33:], image[:, :, 33:], atol=0.2)


@pytest.mark.parametrize("colour", [(0.0, 0.0, 0.0), (0.9, -0.4, 0.2)])
def test_a_plain_image_is_left_as_it_is(colour):
    image = np.broadcast_to(np.float32(colour), (1, 32, 40, 3))
    np.testing.assert_allclose(Underpainting2D()(tf.constant(image)), image, atol=1e-5)


def test_what_is_dark_becomes_darker_than_what_is_around_it():
    image = np.zeros((1, 128, 128, 3), "float32")
    image[:, 56:72, 56:72] = -0.4
    painted = Underpainting2D(contrast=0.5)(tf.constant(image)).numpy()
    # Of squares twice 7 times 8 pixels wide, the mean is nearly that of all.
    np.testing.assert_allclose(painted[0, 64, 64], -0.4 - 0.5 * (1 - 0.4**2) * 0.35, atol=0.04)
    np.testing.assert_allclose(painted[0, 4, 4], 0, atol=1e-3)
    assert np.abs(Underpainting2D(contrast=9)(tf.constant(image))).max() <= 1


def test_is_traced_for_any_size_in_float32_and_saved(tmp_path):
    layer = Underpainting2D(0.25, coats=2, dtype="mixed_bfloat16")
    painted = tf.function(layer, [tf.TensorSpec((None, None, None, 3))])
    for size in ((16, 8), (40, 64)):
        image = tf.constant(PHOTOGRAPHS[:, : size[0], : size[1]])
        np.testing.assert_allclose(painted(image), layer(image), atol=1e-6)
        assert layer(image).dtype == tf.float32
    images = keras.Input((None, None, 3))
    model = keras.Model(images, layer(images))
    assert model.output_shape == (None, None, None, 3)
    assert not model.weights
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(PHOTOGRAPHS), model(PHOTOGRAPHS))


@pytest.mark.parametrize("contrast", [-0.1, np.inf, np.nan])
def test_what_is_out_of_range_is_named(contrast):
    with pytest.raises(ValueError, match=f"contrast must be at least 0; received {contrast}"):
        Underpainting2D(contrast)


def test_there_is_a_coat_at_least():
    for coats in (0, 1.9, float("nan")):
        with pytest.raises(ValueError, match=f"coats must be a whole number of at least 1; received {coats}"):
            Underpainting2D(coats=coats)
    config = Underpainting2D(coats=2).get_config()
    assert Underpainting2D.from_config(config).coats == 2
    del config["coats"]  # as in files from before there were any
    assert Underpainting2D.from_config(config).coats == 1


@pytest.mark.parametrize("shape", [(16, 20, 3), (4, 16, 3), (16, 16, 1), (16, 16, 4)])
def test_images_that_it_does_not_take_are_named(shape):
    with pytest.raises(ValueError, match=r"multiples of 8; received .*" + str(shape[1])):
        Underpainting2D()(tf.zeros((1, *shape)))
