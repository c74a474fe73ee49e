"""PatternBlend: shares of two networks, and no work for one that has none."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import FixedNoise2D, PatternStrength
from keras_gen.layers.pattern_blend import PatternBlend

IMAGES = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 6, 4, 3)), tf.float32)


def _network(noise):
    images = keras.Input((None, None, 3))
    x = FixedNoise2D(2)(images) if noise else images
    return keras.Model(images, keras.layers.Conv2D(3, 1)(x))


def _blend(**options):
    return PatternBlend(_network(True), _network(False), **options)


@pytest.mark.parametrize("strength", [None, 1.0, 0.0, 0.25, [1.0, 0.0]])
def test_each_network_has_its_share(strength):
    blend = _blend()
    share = np.reshape(1.0 if strength is None else strength, (-1, 1, 1, 1))
    expected = share * blend.patterned(IMAGES) + (1 - share) * blend.calm(IMAGES)
    for given in (strength, None if strength is None else tf.constant(strength)):
        with PatternStrength(given):
            np.testing.assert_allclose(blend(IMAGES), expected, atol=1e-6)


@pytest.mark.parametrize(("strength", "convolutions"), [(0.0, 1), (1.0, 1), (None, 1), (0.5, 2)])
def test_a_network_without_a_share_is_not_computed(strength, convolutions):
    blend = _blend()

    @tf.function
    def paint(images):
        with PatternStrength(strength):
            return blend(images)

    operations = paint.get_concrete_function(IMAGES).graph.get_operations()
    assert sum(operation.type == "Conv2D" for operation in operations) == convolutions


def test_a_saved_model_has_both(tmp_path):
    images = keras.Input((None, None, 3))
    model = keras.Model(images, _blend()(images))
    assert len(model.trainable_weights) == 4
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for strength in (0.0, 0.5):
        with PatternStrength(strength):
            np.testing.assert_array_equal(again(IMAGES), model(IMAGES))


def test_images_are_not_rounded_before_the_networks():
    blend = _blend(dtype="mixed_bfloat16")
    assert blend(keras.Input((6, 4, 3))).dtype == "float32"
    with PatternStrength(0.0):
        np.testing.assert_array_equal(blend(IMAGES), blend.calm(IMAGES))
    assert blend.compute_output_shape((2, 6, 4, 3)) == (2, 6, 4, 3)
