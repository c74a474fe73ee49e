"""Gradient penalties: PyTorch's numbers, with this package's layers and Keras's; closed forms; edges."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import layers, losses, penalties
from keras_gen.random import RandomStream

REFERENCE = np.load(Path(__file__).parent / "reference" / "adversarial.npz")
REAL, FAKE, ALPHA = (REFERENCE[name] for name in ("real", "fake", "alpha"))


def _discriminator(kind) -> keras.Model:
    image = keras.Input((11, 11, 1))
    x = kind.LeakyReLU(negative_slope=0.2)(kind.Conv2D(4, 3, strides=2)(image))
    x = kind.LeakyReLU(negative_slope=0.2)(kind.Conv2D(8, 3, strides=2)(x))
    network = keras.Model(image, kind.Dense(1)(kind.Flatten()(x)))
    network.set_weights([REFERENCE[name] for name in ("k1", "b1", "k2", "b2", "w", "b")])
    return network


@pytest.fixture(params=[layers, keras.layers], ids=["ours", "keras"])
def discriminator(request):
    network = _discriminator(request.param)
    # In training, where this package's layers take their own lowering.
    return lambda images: network(images, training=True), network.trainable_variables


def test_scores_are_the_references(discriminator):
    np.testing.assert_allclose(discriminator[0](REAL)[:, 0], REFERENCE["logits_real"], atol=1e-6)
    np.testing.assert_allclose(discriminator[0](FAKE)[:, 0], REFERENCE["logits_fake"], atol=1e-6)


def test_values_equal_reference(discriminator):
    score = discriminator[0]
    between = penalties.interpolate(REAL, FAKE, ALPHA)
    values = {
        "gp_two_sided": penalties.gradient_penalty(score, between),
        "gp_one_sided": penalties.gradient_penalty(score, between, one_sided=True),
        "gp_zero_centered": penalties.gradient_penalty(score, between, target=0.0),
        "r1_sum_squares": penalties.r1(score, REAL),
        "r2_sum_squares": penalties.r2(score, FAKE),
    }
    for name, value in values.items():
        assert value.dtype == tf.float32
        np.testing.assert_allclose(value, REFERENCE[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_gradient_of_the_whole_critic_loss_equals_reference(discriminator, compiled):
    score, variables = discriminator

    def loss_and_gradients():
        with tf.GradientTape() as tape:
            loss = losses.Wasserstein().discriminator(score(REAL), score(FAKE))
            loss += 10.0 * penalties.gradient_penalty(score, penalties.interpolate(REAL, FAKE, ALPHA))
        return loss, tape.gradient(
            loss, [variable.value for variable in variables], unconnected_gradients="zero"
        )

    loss, gradients = (tf.function(loss_and_gradients) if compiled else loss_and_gradients)()
    np.testing.assert_allclose(loss, REFERENCE["wgan_gp_d_loss"], rtol=1e-5)
    for i, gradient in enumerate(gradients):
        np.testing.assert_allclose(
            gradient, REFERENCE[f"grad_{i}"], rtol=1e-5, atol=1e-5, err_msg=f"grad_{i}"
        )


def _linear(slope):
    return lambda images: slope * tf.reduce_sum(images, axis=[1, 2, 3])


@pytest.mark.parametrize(("slope", "two_sided", "one_sided"), [(0.1, 0.36, 0.0), (0.5, 1.0, 1.0)])
def test_closed_forms_of_a_linear_score(slope, two_sided, one_sided):
    """On 4x4 images the norm is 4 slope everywhere."""
    images = tf.zeros((3, 4, 4, 1))
    for options, expected in (
        ({}, two_sided),
        ({"one_sided": True}, one_sided),
        ({"target": 0.0}, (4 * slope) ** 2),
        ({"target": 0.0, "one_sided": True}, (4 * slope) ** 2),
        ({"target": 3.0}, (4 * slope - 3) ** 2),
    ):
        penalty = penalties.gradient_penalty(_linear(slope), images, **options)
        np.testing.assert_allclose(penalty, expected, rtol=1e-5, atol=1e-7)


def test_zero_gradient_gives_a_finite_step():
    factor = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        penalty = penalties.gradient_penalty(
            lambda images: factor * tf.reduce_sum(images, axis=[1, 2, 3]), tf.ones((2, 4, 4, 1))
        )
    np.testing.assert_allclose(penalty, 1.0, rtol=1e-5)
    assert np.isfinite(tape.gradient(penalty, factor))


def test_score_without_images_is_an_error():
    with pytest.raises(ValueError, match="does not depend on its images"):
        penalties.r1(lambda images: tf.zeros(images.shape[0]), tf.zeros((2, 4, 4, 1)))


def test_bfloat16_scores_give_float32_penalties():
    layer = keras.layers.Dense(1, dtype="mixed_bfloat16")
    penalty = penalties.r1(lambda images: layer(tf.reshape(images, (2, -1))), tf.ones((2, 4, 4, 1)))
    assert penalty.dtype == tf.float32
    np.testing.assert_allclose(penalty, np.square(layer.kernel).sum(), rtol=2e-2)


def test_interpolate():
    np.testing.assert_array_equal(penalties.interpolate(REAL, FAKE, tf.zeros((5, 1, 1, 1))), REAL)
    np.testing.assert_allclose(penalties.interpolate(REAL, FAKE, tf.ones((5, 1, 1, 1))), FAKE, atol=1e-6)
    drawn = penalties.interpolate(tf.zeros((500, 2, 2, 1)), tf.ones((500, 2, 2, 1)), seed=1).numpy()
    assert (drawn == drawn[:, :1, :1]).all()  # one alpha an image
    assert 0 <= drawn.min() < 0.05
    assert 0.95 < drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.05


@pytest.mark.parametrize(
    "penalty",
    [
        penalties.GradientPenalty(),
        penalties.GradientPenalty(3.0, 0.5, True),
        penalties.R1(),
        penalties.R2(2.0),
    ],
    ids=lambda penalty: f"{type(penalty).__name__}-{penalty.weight}",
)
def test_objects_call_the_functions_and_round_trip(penalty, discriminator):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(penalty))
    assert type(again) is type(penalty)
    assert again.get_config() == penalty.get_config()
    score, real, fake = discriminator[0], tf.constant(REAL), tf.constant(FAKE)
    stream = RandomStream(1, 2)
    if isinstance(penalty, penalties.GradientPenalty):
        between = penalties.interpolate(real, fake, RandomStream(1, 2).uniform(5, (1, 1, 1)))
        expected = penalties.gradient_penalty(score, between, penalty.target, penalty.one_sided)
    else:
        expected = penalties.r2(score, fake) if type(penalty) is penalties.R2 else penalties.r1(score, real)
    np.testing.assert_array_equal(again(score, real, fake, stream), expected)


@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_weight_out_of_range(weight):
    with pytest.raises(ValueError, match="zero or more; received weight="):
        penalties.R1(weight)


def test_penalty_without_a_call_says_so():
    with pytest.raises(NotImplementedError, match="Penalty must define __call__"):
        penalties.Penalty(1.0)(None, None, None, None)


def test_through_batch_normalization_its_gradient_is_that_of_its_values():
    """TensorFlow's moments take the mean for a constant, which is wrong in a second derivative."""
    keras.utils.set_random_seed(0)
    options = {"dtype": "float64"}
    discriminator = keras.Sequential(
        [
            keras.Input((4,), dtype="float64"),
            keras.layers.Dense(3, **options),
            keras.layers.BatchNormalization(**options),
            keras.layers.Dense(1, activation="tanh", **options),
        ]
    )
    images = tf.constant(np.random.default_rng(0).normal(size=(6, 4)))
    kernel = discriminator.layers[0].kernel

    def penalty():
        with tf.GradientTape() as tape:
            value = penalties.gradient_penalty(lambda x: discriminator(x, training=True), images)
        return float(value), tape.gradient(value, kernel.value).numpy()

    start, gradient = kernel.numpy(), penalty()[1]
    direction, step = np.random.default_rng(1).normal(size=start.shape), 1e-3
    values = []
    for side in (1, -1):
        kernel.assign(start + side * step * direction)
        values.append(penalty()[0])
    assert np.sum(gradient * direction) == pytest.approx((values[0] - values[1]) / (2 * step), rel=2e-3)
