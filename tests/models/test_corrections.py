"""The singularity correction in the VAE family: a player's own loss again, logs, saving, bfloat16."""

import keras
import numpy as np
import pytest

import keras_gen as kg
from keras_gen.curvature import SingularityCorrection
from keras_gen.curvature.operators import Hessian

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (16, *SHAPE)).astype("float32")
LABELS = np.arange(16) % 3


def _networks(inputs=SHAPE, latent=4, posterior=4):
    return kg.networks.dense_encoder(inputs, posterior, (16,)), kg.networks.dense_decoder(
        SHAPE, latent, (16,)
    )


def _vae():
    return kg.VAE(*_networks(), 4, seed=1)


def _beta_vae():
    return kg.BetaVAE(*_networks(), 4, seed=1, capacity=2.0)


def _conditional_vae():
    return kg.ConditionalVAE(*_networks((8, 8, 4), 7), 4, num_classes=3, seed=1)


def _vq_vae():
    encoder = keras.Sequential([keras.Input(SHAPE), kg.layers.Conv2D(4, 4, strides=4)])
    decoder = keras.Sequential([keras.Input((2, 2, 4)), kg.layers.Conv2DTranspose(1, 4, strides=4)])
    prior = kg.networks.transformer_prior(4, 8, width=8, depth=1, heads=2)
    return kg.VQVAE(encoder, decoder, prior, 4, num_codes=8, seed=1)


def _vae_gan():
    inputs = keras.Input(SHAPE)
    features = kg.layers.Dense(8, activation="tanh")(kg.layers.Flatten()(inputs))
    scores = kg.layers.Dense(1)(kg.layers.Dropout(0.25)(features))
    return kg.VAEGAN(*_networks(), keras.Model(inputs, [scores, features]), 4, seed=1)


MODELS = {
    "vae": (_vae, ("correction",)),
    "beta-vae": (_beta_vae, ("correction",)),
    "conditional-vae": (_conditional_vae, ("correction",)),
    "vq-vae": (_vq_vae, ("correction", "prior_correction")),
    "vae-gan": (_vae_gan, ("encoder_correction", "decoder_correction", "discriminator_correction")),
}


class Spy(SingularityCorrection):
    """Keeps the gradient that it was given, and that of the loss when it comes again."""

    def correct(self, gradients, variables, loss_fn):
        hessian = Hessian(loss_fn, variables)
        self.seen = hessian.flatten(gradients), hessian.gradient()
        return super().correct(gradients, variables, loss_fn)


def _compiled(name, correction=SingularityCorrection, **options):
    keras.utils.set_random_seed(0)
    make, players = MODELS[name]
    model = make()
    corrections = {player: correction(iterations=3, damping=2.0) for player in players}
    model.compile(**corrections, **options)
    return model, corrections


def _fit(model, images=IMAGES, **options):
    labels = (LABELS[: len(images)],) if model.labelled else ()
    return model.fit(images, *labels, batch_size=8, shuffle=False, verbose=0, **options).history


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_that_comes_again_is_the_players_own(name):
    """Also where other players have been updated since."""
    model, spies = _compiled(name, Spy, run_eagerly=True)
    _fit(model, IMAGES[:8])
    for player, spy in spies.items():
        given, again = spy.seen
        assert np.abs(given).max() > 0, player
        np.testing.assert_allclose(given, again, rtol=1e-4, atol=1e-5 * np.abs(given).max(), err_msg=player)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in ("vq-vae", "vae-gan") else ()) for name in MODELS],
)
def test_logs_and_resuming(name, tmp_path):
    model, _ = _compiled(name)
    history = _fit(model)
    for player in model.players:
        assert history[f"{player}_products"] == [5]
        for log in ("residual", "step_ratio", "largest_ritz"):
            assert 0 < history[f"{player}_{log}"][0] < np.inf
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        _fit(each, IMAGES[:8])
    assert len(model.get_weights()) == len(loaded.get_weights())
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_bfloat16():
    """Curvature is in float32 where the network computes in bfloat16, and so are weights and state."""
    runs = {}
    for precision in ("float32", "bfloat16"):
        with kg.precision.scope(precision):
            model, _ = _compiled("vae", optimizer=keras.optimizers.SGD(0.01))
            assert precision in {layer.compute_dtype for layer in model.encoder.layers}
            runs[precision] = _fit(model)
        assert {str(weight.dtype) for weight in model.model_correction.weights} == {"float32", "int64"}
        assert {str(weight.dtype) for weight in model.network.weights} == {"float32"}
    # The Hessian is the same one; the gradient that it corrects is rounded.
    for name in ("model_residual", "model_step_ratio", "model_smallest_ritz", "model_largest_ritz"):
        np.testing.assert_allclose(runs["bfloat16"][name], runs["float32"][name], rtol=0.05, err_msg=name)
