"""The tone loss: zero for a photograph, two for its negative, blind to strokes; and VGG in training."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.processor import on_cpu
from keras_gen.style.features import Features
from keras_gen.style.perceptual import tone_losses

COARSE = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4, 5, 3)).astype("float32")
IMAGES = COARSE.repeat(16, 1).repeat(16, 2)


@pytest.mark.parametrize(("scale", "offset", "loss"), [(1, 0, 0), (0.5, 0.2, 0), (-1, 0, 2), (-0.3, 0.1, 2)])
def test_tells_light_from_dark_at_any_brightness_and_contrast(scale, offset, loss):
    np.testing.assert_allclose(tone_losses(scale * IMAGES + offset, IMAGES), [loss] * 2, atol=2e-3)


def test_strokes_are_free():
    strokes = 0.5 * np.where(np.indices(IMAGES.shape).sum(0) % 2, 1, -1)
    np.testing.assert_allclose(tone_losses(IMAGES + strokes, IMAGES), 0, atol=2e-3)


def test_colours_alone_are_free():
    grey = np.float32([0.2989, 0.5870, 0.1140])
    other = np.roll(IMAGES, 1, axis=-1)
    recoloured = other + (IMAGES @ grey - other @ grey)[..., None]
    np.testing.assert_allclose(tone_losses(recoloured, IMAGES), 0, atol=1e-3)


def test_a_plain_photograph_is_no_obstacle():
    plain = tf.Variable(tf.fill((1, 32, 32, 3), 0.4))
    with tf.GradientTape() as tape:
        loss = tone_losses(plain, tf.zeros((1, 32, 32, 3)))
    assert float(loss[0]) == 1
    assert np.isfinite(tape.gradient(loss, plain)).all()


def test_features_are_computed_as_in_training():
    """The frozen VGG is the same function there, but large convolutions are tiles."""
    features = Features({"network": "vgg16", "backbone": "random"}, ["relu3_2"])
    features(tf.zeros((1, 16, 16, 3)))
    run = tf.function(features).get_concrete_function(tf.TensorSpec((None, 128, 128, 3)))
    assert ("GatherV2" in {operation.type for operation in run.graph.get_operations()}) == on_cpu()
