"""VQVAE: straight-through gradient, codebook, prior, sampling, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen as kg

SHAPE = (28, 28, 1)


def _model(**options):
    keras.utils.set_random_seed(0)
    networks = (
        kg.networks.grid_encoder(SHAPE, 8, width=4),
        kg.networks.grid_decoder(SHAPE, 8, width=4),
        kg.networks.transformer_prior(49, 16, width=16, depth=1, heads=2),
    )
    model = kg.VQVAE(*networks, 8, num_codes=16, seed=1, **options)
    model.compile(ema_decay=0.5)
    return model


def _images(count=8):
    return np.random.default_rng(0).uniform(-1, 1, (count, *SHAPE)).astype("float32")


def test_gradient_passes_straight_through_the_codebook():
    inputs, outputs = tf.constant([1.2, 2.9]), tf.constant([1.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch([inputs, outputs])
        passed = kg.layers.straight_through(inputs, outputs)
        loss = tf.reduce_sum(passed**2)
    np.testing.assert_allclose(passed, outputs)
    by_inputs, by_outputs = tape.gradient(loss, [inputs, outputs])
    np.testing.assert_allclose(by_inputs, 2 * outputs)
    assert by_outputs is None


def test_prior_sees_only_the_codes_before():
    prior = _model().prior
    codes = np.random.default_rng(0).integers(0, 16, (1, 49))
    changed = codes.copy()
    changed[0, 20] = (changed[0, 20] + 1) % 16
    difference = np.abs(prior(codes) - prior(changed)).max(axis=(0, 2))
    assert (difference[:20] == 0).all()
    assert (difference[20:] > 0).all()


def test_learns_codes_and_their_prior():
    """Images of two kinds: a code each would do, and the prior learns that a grid is of one kind."""
    images = np.where(np.arange(64) % 2, 1.0, -1.0)[:, None, None, None] * np.ones(SHAPE)
    model = _model()
    model.compile(kg.optimizers.Adam(3e-3), kg.optimizers.Adam(3e-3))
    history = model.fit(images.astype("float32"), batch_size=16, epochs=30, verbose=0).history
    assert history["reconstruction"][-1] < 0.2 * history["reconstruction"][0]
    assert history["prior_loss"][-1] < 0.2 * history["prior_loss"][0]
    assert 1 <= history["perplexity"][-1] <= 16
    drawn = model.sample(16, seed=0)
    means = drawn.mean(axis=(1, 2, 3))
    assert (np.abs(means) > 0.7).mean() > 0.8
    assert {-1.0, 1.0} <= set(np.sign(means))


def test_bound_and_codes():
    model = _model()
    model.fit(_images(), batch_size=4, verbose=0)
    codes = model.encode(_images())
    assert codes.shape == (8, 7, 7)
    np.testing.assert_array_equal(model.decode(codes), model.reconstruct(_images()))
    elbo = model.elbo(_images())
    np.testing.assert_allclose(elbo.elbo, elbo.reconstruction - elbo.kl, rtol=1e-6)
    measured = model.evaluate(_images(), batch_size=4, verbose=0, return_dict=True)
    assert measured["negative_elbo"] == pytest.approx(-elbo.elbo.mean(), rel=1e-5)
    np.testing.assert_array_equal(model.latents(3, seed=2), model.latents(3, seed=2))
    np.testing.assert_array_equal(model.latents(3, seed=2), model.latents(3, seed=2).clip(0, 15))


def test_saved_and_resumed_equals_going_on(tmp_path):
    data = tf.data.Dataset.from_tensor_slices(_images()).batch(4)
    whole, half = _model(), _model()
    whole.fit(data, epochs=4, verbose=0)
    half.fit(data, epochs=2, verbose=0)
    half.save(tmp_path / "half.keras")
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    resumed.fit(data, epochs=2, verbose=0)
    for a, b in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5, err_msg=a.path)
    np.testing.assert_array_equal(whole.latents(2, seed=0), resumed.latents(2, seed=0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda m: m.decode(np.zeros((1, 7, 7))), r"integers \(count, 7, 7\)"),
        (lambda m: m.decode(np.full((1, 7, 7), 16)), "from 0 to 15; received up to 16"),
        (lambda m: m.compile(*[kg.optimizers.Adam()] * 2), "same optimizer object"),
        (lambda m: kg.VQVAE(m.encoder, m.decoder, m.prior, 8, num_codes=17), r"logits \(batch, 49, 17\)"),
        (lambda m: kg.VQVAE(m.encoder, m.decoder, m.prior, 9, num_codes=16), "length latent_dim=9"),
    ],
)
def test_what_is_wrong_is_said(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong(_model())
