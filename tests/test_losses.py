"""Adversarial losses: numbers from PyTorch, closed forms, dtypes and configs."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from keras_gen import losses

FOLDER = Path(__file__).parent / "reference"
REFERENCE = np.load(FOLDER / "adversarial.npz")
NAMES = {
    "nonsaturating": losses.NonSaturating,
    "minimax": losses.Minimax,
    "least_squares": losses.LeastSquares,
    "hinge": losses.Hinge,
    "wasserstein": losses.Wasserstein,
    "relativistic_average": losses.RelativisticAverage,
}
ALL = list(NAMES.values())
REAL, FAKE = (REFERENCE[f"logits_{kind}"].astype("float32") for kind in ("real", "fake"))


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["batch", "batch-by-1"])
@pytest.mark.parametrize("name", NAMES)
def test_equals_reference(name, shape):
    loss = NAMES[name]()
    real, fake = REAL.reshape(shape), FAKE.reshape(shape)
    generator = loss.generator(fake, real) if loss.needs_real_logits else loss.generator(fake)
    # The minimax game's discriminator is the non-saturating one's.
    key = "nonsaturating_d" if name == "minimax" else f"{name}_d"
    np.testing.assert_allclose(loss.discriminator(real, fake), REFERENCE[key], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(generator, REFERENCE[f"{name}_g"], rtol=1e-5, atol=1e-6)


def test_minimax_is_zero_sum_up_to_what_the_generator_cannot_change():
    loss = losses.Minimax()
    scores = tf.Variable(FAKE)
    with tf.GradientTape(persistent=True) as tape:
        discriminator, generator = loss.discriminator(REAL, scores), loss.generator(scores)
    np.testing.assert_allclose(
        tape.gradient(discriminator, scores), -tape.gradient(generator, scores), rtol=1e-6
    )


@pytest.mark.parametrize("kind", ALL)
def test_finite_with_finite_gradients_at_huge_scores(kind):
    loss = kind()
    real, fake = tf.constant([1e4, -1e4, 0.0]), tf.constant([-1e4, 1e4, 0.0])
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        total = loss.discriminator(real, fake) + loss.generator(fake, real)
    assert np.isfinite(total)
    for gradient in tape.gradient(total, [real, fake], unconnected_gradients="zero"):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_half_precision_scores_are_taken_as_float32(kind, dtype):
    loss, real, fake = kind(), tf.cast(REAL, dtype), tf.cast(FAKE, dtype)
    wide = "float64" if dtype == "float64" else "float32"
    for part in (loss.discriminator(real, fake), loss.generator(fake, real)):
        assert part.dtype == wide
        assert part.shape == ()
    expected = loss.discriminator(tf.cast(real, wide), tf.cast(fake, wide))
    np.testing.assert_array_equal(loss.discriminator(real, fake), expected)


def test_relativistic_generator_without_real_scores():
    assert losses.RelativisticAverage().needs_real_logits
    with pytest.raises(ValueError, match="real_logits"):
        losses.RelativisticAverage().generator(FAKE)


@pytest.mark.parametrize("kind", ALL)
def test_round_trip_and_equality(kind):
    loss = kind()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again == loss
    assert hash(again) == hash(loss)
    assert [loss == other() for other in ALL].count(True) == 1
    assert repr(loss) == f"{kind.__name__}()"


def test_a_loss_without_its_parts_says_which():
    with pytest.raises(NotImplementedError, match="AdversarialLoss must define discriminator"):
        losses.AdversarialLoss().discriminator(REAL, FAKE)
    with pytest.raises(NotImplementedError, match="must define generator"):
        losses.AdversarialLoss().generator(FAKE)


@pytest.fixture(scope="module")
def vae():
    with np.load(FOLDER / "vae.npz") as values:
        return dict(values)


def test_bound_equals_the_reference(vae):
    nll = losses.bernoulli_nll(vae["x"], vae["logits"])
    kl = losses.gaussian_kl(vae["mean"], vae["log_variance"])
    assert nll.shape == kl.shape == (6,)
    np.testing.assert_allclose(nll, vae["bce"], rtol=1e-6)
    np.testing.assert_allclose(kl, vae["kl"], rtol=1e-6)
    np.testing.assert_allclose(np.mean(nll + kl), vae["negative_elbo"], rtol=1e-6)
    wide = {name: value.astype("float64") for name, value in vae.items()}
    np.testing.assert_allclose(losses.bernoulli_nll(wide["x"], wide["logits"]), vae["bce"], rtol=1e-14)


def test_gaussian_nll_equals_the_reference_and_scipy(vae):
    images, mean = vae["x"], 1 / (1 + np.exp(-vae["logits"]))
    half = 0.5 * vae["mse"] + 49 * np.log(2 * np.pi)
    np.testing.assert_allclose(losses.gaussian_nll(images, mean), half, rtol=1e-6)
    expected = -norm.logpdf(images, mean, np.sqrt(0.3)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.gaussian_nll(images, mean, np.log(0.3)), expected, rtol=1e-5)


def test_kl_is_what_monte_carlo_estimates(vae):
    mean, log_variance = vae["mean"].astype("float64"), vae["log_variance"].astype("float64")
    deviation = np.exp(0.5 * log_variance)
    latents = mean + deviation * np.random.default_rng(0).standard_normal((200_000, *mean.shape))
    ratios = (norm.logpdf(latents, mean, deviation) - norm.logpdf(latents)).sum(axis=-1)
    error = ratios.std(axis=0) / np.sqrt(len(ratios))
    difference = np.abs(losses.gaussian_kl(mean, log_variance).numpy() - ratios.mean(axis=0))
    assert (difference < 4 * error).all()
    assert error.max() < 0.02
