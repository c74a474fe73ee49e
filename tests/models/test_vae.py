"""VAE: the bound and its parts, importance weighting, networks made by hand, saving, collapse, errors."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen as kg

SHAPE = (8, 8, 1)
LATENT = 4


def _images(count=32, shape=SHAPE):
    return np.random.default_rng(0).uniform(-1, 1, (count, *shape)).astype("float32")


def _data(count=32, batch=8):
    return tf.data.Dataset.from_tensor_slices(_images(count)).batch(batch)


def _vae(kind=kg.VAE, seed=1, **options):
    keras.utils.set_random_seed(0)
    networks = (
        kg.networks.dense_encoder(SHAPE, LATENT, (16,)),
        kg.networks.dense_decoder(SHAPE, LATENT, (16,)),
    )
    model = kind(*networks, LATENT, seed=seed, **options)
    model.compile(ema_decay=0.9, gradient_clip_norm=100.0)
    return model


@pytest.fixture(scope="module")
def linear():
    """p(x|z) = N(Wz + b, σ²) and a posterior wider than the exact one, so that the bound is not tight."""
    random = np.random.default_rng(1)
    size, variance = 4, 0.02
    weight = 0.2 * random.standard_normal((2, size)).astype("float32")
    bias = 0.1 * random.standard_normal(size).astype("float32")
    covariance = np.linalg.inv(np.eye(2) + weight @ weight.T / variance)
    encoder_in = keras.Input((2, 2, 1))
    flat = keras.layers.Flatten()(encoder_in)
    mean = keras.layers.Dense(2, name="mean")
    log_variance = keras.layers.Dense(2, kernel_initializer="zeros", name="log_variance")
    encoder = keras.Model(encoder_in, [mean(flat), log_variance(flat)])
    linear = weight.T @ covariance / variance
    mean.set_weights([linear, -bias @ linear])
    log_variance.set_weights([np.zeros((size, 2)), np.log(1.5 * np.diag(covariance))])
    decoder_in = keras.Input((2,))
    dense = keras.layers.Dense(size)
    decoder = keras.Model(decoder_in, keras.layers.Reshape((2, 2, 1))(dense(decoder_in)))
    dense.set_weights([weight, bias])
    model = kg.VAE(encoder, decoder, 2, likelihood="gaussian", variance=variance)
    latents = random.standard_normal((40, 2))
    images = latents @ weight + bias + math.sqrt(variance) * random.standard_normal((40, size))
    images = np.clip(images, -1, 1).astype("float32")
    marginal = weight.T @ weight + variance * np.eye(size)
    centred = images - bias
    exact = -0.5 * (
        np.einsum("ni,ij,nj->n", centred, np.linalg.inv(marginal), centred)
        + np.linalg.slogdet(marginal)[1]
        + size * math.log(2 * math.pi)
    )
    return model, images.reshape(-1, 2, 2, 1), exact


def test_importance_weighted_bound_meets_the_closed_form(linear):
    model, images, exact = linear
    found = model.log_likelihood(images, samples=2000)
    np.testing.assert_allclose(found.nats, exact, atol=0.15)
    assert found.nats.mean() == pytest.approx(exact.mean(), abs=0.02)
    np.testing.assert_allclose(found.bits_per_dimension, -found.nats / (4 * math.log(2)), rtol=1e-6)


def test_importance_weighted_bound_rises_with_samples(linear):
    model, images, exact = linear
    bounds = [
        np.mean([model.log_likelihood(images, samples=k, seed=seed).nats.mean() for seed in range(20)])
        for k in (1, 4, 16)
    ]
    assert bounds[0] + 0.05 < bounds[1] < bounds[1] + 0.01 < bounds[2] < exact.mean() + 0.01
    elbo = np.mean([model.elbo(images, seed=seed).elbo.mean() for seed in range(20)])
    assert elbo == pytest.approx(bounds[0], abs=0.1)


def test_elbo_is_the_sum_of_its_parts_and_what_evaluate_says():
    model = _vae()
    images = _images()
    elbo = model.elbo(images)
    np.testing.assert_allclose(elbo.elbo, elbo.reconstruction - elbo.kl, rtol=1e-6)
    mean, log_variance = model.encode(images)
    np.testing.assert_allclose(elbo.kl, kg.losses.gaussian_kl(mean, log_variance), rtol=1e-5)
    measured = model.evaluate(images, batch_size=8, verbose=0, return_dict=True)
    assert measured["kl"] == pytest.approx(elbo.kl.mean(), rel=1e-4)
    assert measured["negative_elbo"] == pytest.approx(-elbo.elbo.mean(), rel=0.05)
    np.testing.assert_array_equal(model.reconstruct(images), model.decode(mean))
    assert np.abs(model.decode(mean)).max() <= 1


def test_learns_and_uses_its_latent_vectors():
    """Images of one unknown, black to white: one unit suffices, and the bound tells of it."""
    grey = np.random.default_rng(0).uniform(-1, 1, (512, 1, 1, 1))
    images = np.broadcast_to(grey, (512, *SHAPE)).astype("float32")
    model = _vae(likelihood="gaussian")
    model.compile(kg.optimizers.Adam(5e-3))
    before = model.elbo(images).elbo.mean()
    model.fit(images, batch_size=64, epochs=40, verbose=0)
    assert model.elbo(images).elbo.mean() > before + 30
    assert np.square(model.reconstruct(images) - images).mean() < 0.03
    assert model.active_units(images).sum() >= 1
    assert float(model.network.likelihood.log_variance) < math.log(0.1)


def test_saved_and_resumed_equals_going_on(tmp_path):
    whole, half = _vae(likelihood="gaussian"), _vae(likelihood="gaussian")
    whole.fit(_data(), epochs=4, verbose=0)
    half.fit(_data(), epochs=2, verbose=0)
    half.save(tmp_path / "half.keras")
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    resumed.fit(_data(), epochs=2, verbose=0)
    variables = [*whole.weights, *whole.model_optimizer.variables]
    for a, b in zip(variables, [*resumed.weights, *resumed.model_optimizer.variables], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6, err_msg=a.path)
    np.testing.assert_allclose(whole.sample(3, seed=0), resumed.sample(3, seed=0), atol=1e-5)
    assert whole.log_likelihood(_images(4), samples=3).nats == pytest.approx(
        resumed.log_likelihood(_images(4), samples=3).nats, rel=1e-5
    )


def test_encoder_and_decoder_are_averaged_together():
    model = _vae()
    model.fit(_data(), verbose=0)
    for part in ("encoder", "decoder"):
        average, trained = (getattr(net, part).get_weights() for net in (model.ema_network, model.network))
        assert any((a != b).any() for a, b in zip(average, trained, strict=True))
    mean, _ = model.encode(_images(2))
    expected = model.ema_network.encoder(_images(2))[0]
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
class UsersEncoder(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.flatten, self.both = keras.layers.Flatten(), keras.layers.Dense(2 * LATENT)

    def call(self, images):
        return tf.split(self.both(self.flatten(images)), 2, axis=-1)


def test_subclassed_networks(tmp_path):
    decoder = keras.Sequential([keras.Input((LATENT,)), keras.layers.Dense(64), keras.layers.Reshape(SHAPE)])
    model = kg.VAE(UsersEncoder(), decoder, LATENT)
    model.compile(ema_decay=0.5)
    model.fit(_data(), verbose=0)
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded.reconstruct(_images(3)), model.reconstruct(_images(3)))


def test_imputation_keeps_what_is_known():
    model = _vae()
    images = _images(3)
    known = np.zeros((3, 8, 8, 1), bool)
    known[:, :4] = True
    filled = model.impute(np.where(known, images, np.nan), known, rounds=2)
    np.testing.assert_array_equal(filled[:, :4], images[:, :4])
    assert np.isfinite(filled).all()


def test_collapse_is_warned_about():
    model = _vae(kg.BetaVAE, beta=1000.0)
    model.compile(kg.optimizers.Adam(1e-2))
    with pytest.warns(UserWarning, match="collapsed: after 180 steps none of the 4 latent units .* BetaVAE"):
        model.fit(_data(480), epochs=3, verbose=0)


def test_images_out_of_range_are_found_at_the_first_batch():
    with pytest.raises(ValueError, match=r"must be in \[-1, 1\]; at step 0 the largest magnitude is 255"):
        _vae().fit(np.full((4, *SHAPE), 255.0), verbose=0)
    with pytest.raises(ValueError, match=r"must be in \[-1, 1\]; the largest magnitude is 255"):
        _vae().encode(np.full((4, *SHAPE), 255.0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda m: m.encode(np.zeros((2, 9, 9, 1))), r"shape \(count, 8, 8, 1\); received \(2, 9, 9, 1\)"),
        (lambda m: m.decode(np.zeros((2, 3))), r"shape \(count, 4\); received \(2, 3\)"),
        (lambda m: m.elbo(np.zeros((2, *SHAPE)), labels=[0, 1]), "VAE has no labels; ConditionalVAE has"),
        (lambda m: m.log_likelihood(np.zeros((2, *SHAPE)), samples=0), "samples must be 1 or more"),
        (lambda m: kg.VAE(m.encoder, m.decoder, 5), "decoder does not take latent vectors of shape .*5"),
        (lambda m: kg.VAE(m.decoder, m.decoder, LATENT), "encoder does not take images of shape"),
        (lambda m: kg.VAE(m.encoder, m.decoder, LATENT, variance=1.0), "variance is of the Gaussian"),
        (lambda m: kg.VAE(m.encoder, m.decoder, LATENT, likelihood="gaussian", variance=0), "above zero"),
        (lambda m: m.sample(0), "n must be 1 or more"),
    ],
)
def test_what_is_wrong_is_said(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong(_vae())


def test_conditional_images_follow_their_labels(tmp_path):
    """Class 0 is black, class 1 white: only the label says which, and the latent vectors need not."""
    labels = np.arange(256) % 2
    images = np.broadcast_to((2.0 * labels - 1)[:, None, None, None], (256, *SHAPE)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(32)
    model = kg.ConditionalVAE(
        kg.networks.dense_encoder((8, 8, 3), LATENT, (16,)),
        kg.networks.dense_decoder(SHAPE, LATENT + 2, (16,)),
        LATENT,
        num_classes=2,
        seed=0,
    )
    model.compile(kg.optimizers.Adam(1e-2))
    model.fit(data, epochs=40, verbose=0)
    drawn = model.sample(6, seed=0, labels=[0, 1, 0, 1, 1, 1]).mean(axis=(1, 2, 3))
    assert (np.sign(drawn) == [-1, 1, -1, 1, 1, 1]).all()
    np.testing.assert_array_equal(model.sample(4, seed=1), model.sample(4, seed=1, labels=[0, 1, 0, 1]))
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded.sample(4, seed=1), model.sample(4, seed=1))
    assert model.elbo(images[:4], labels[:4]).elbo.mean() > model.elbo(images[:4], 1 - labels[:4]).elbo.mean()
    with pytest.raises(ValueError, match="Labels must be from 0 to num_classes - 1; at step 320 there is 2"):
        model.fit(tf.data.Dataset.from_tensors((images[:2], [0, 2])), verbose=0)
    with pytest.raises(ValueError, match="images alone"):
        model.fit(images, verbose=0)
    with pytest.raises(ValueError, match="integers from 0 to 1"):
        model.sample(1, labels=2)
