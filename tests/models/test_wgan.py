"""WGAN and WGAN-GP: clipped critics, penalties by choice, the papers' settings."""

import keras
import numpy as np
import pytest

import keras_gen as kg

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (12, *SHAPE)).astype("float32")


def _make(kind, **options):
    keras.utils.set_random_seed(0)
    networks = kg.networks.mlp_generator(SHAPE, 4, (16,)), kg.networks.mlp_discriminator(SHAPE, (16,))
    model = kind(*networks, 4, seed=1, **options)
    model.compile()
    return model


@pytest.mark.parametrize("clip", [0.01, 0.002])
def test_critic_stays_within_the_clip(clip):
    model = _make(kg.WGAN, clip=clip)
    model.fit(IMAGES, batch_size=3, epochs=2, verbose=0)
    largest = max(np.abs(weight).max() for weight in model.discriminator.get_weights())
    assert largest == np.float32(clip)
    assert max(np.abs(weight).max() for weight in model.generator.get_weights()) > clip


def test_wgan_settings_are_the_papers():
    model = _make(kg.WGAN)
    assert (model.clip, model.discriminator_steps) == (0.01, 5)
    assert model.loss_function == kg.losses.Wasserstein()
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.RMSprop)
        assert float(optimizer.learning_rate) == pytest.approx(5e-5)


def test_wgan_gp_settings():
    model = _make(kg.WGANGP)
    assert (model.penalty_weight, model.discriminator_steps, model.target, model.one_sided) == (
        10,
        5,
        1,
        False,
    )
    assert model.loss_function == kg.losses.Wasserstein()
    optimizer = model.generator_optimizer
    assert (optimizer.beta_1, optimizer.beta_2) == (0.5, 0.9)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (kg.WGAN, {"clip": 0.5, "discriminator_steps": 2}),
        (kg.WGANGP, {"penalty_weight": 3.0, "target": 0.0, "discriminator_steps": 1}),
        (kg.WGANGP, {"one_sided": True}),
    ],
    ids=str,
)
def test_options_round_trip_through_config_and_file(kind, options, tmp_path):
    model = _make(kind, **options)
    model.save(tmp_path / "a.keras")
    for again in (kind.from_config(model.get_config()), keras.saving.load_model(tmp_path / "a.keras")):
        assert type(again) is kind
        assert [n.name for n in again.players.values()] == ["generator", "discriminator"]
        assert again.discriminator_steps == model.discriminator_steps
        for name, value in options.items():
            assert getattr(again, name) == value
        assert [p.get_config() for p in again.penalties] == [p.get_config() for p in model.penalties]


def test_penalty_draws_the_norm_to_its_target():
    """The mean of (norm − target)² falls; the zero-centred norm falls too."""
    for target in (1.0, 0.0):
        model = _make(kg.WGANGP, penalty_weight=100.0, target=target, discriminator_steps=5)
        model.compile(discriminator_optimizer=kg.optimizers.Adam(1e-2, beta_1=0.5))
        before, after = [], []
        for scores, epochs in ((before, 1), (after, 10)):
            scores.append(model.evaluate(IMAGES, verbose=0, return_dict=True)["gradient_penalty"])
            model.fit(IMAGES, batch_size=12, epochs=epochs, verbose=0)
        assert after[0] < 0.5 * before[0]


def test_penalty_of_zero_weight_changes_nothing():
    """A weight of 0 is the plain Wasserstein critic."""
    free = kg.AdversarialModel(*_same_networks(), 4, loss=kg.losses.Wasserstein(), seed=1)
    free.compile(kg.optimizers.Adam(1e-3), kg.optimizers.Adam(1e-3))
    penalized = kg.WGANGP(*_same_networks(), 4, penalty_weight=0.0, discriminator_steps=1, seed=1)
    penalized.compile(kg.optimizers.Adam(1e-3), kg.optimizers.Adam(1e-3))
    critics = []
    for model in (free, penalized):
        model.fit(IMAGES, batch_size=12, verbose=0)
        critics.append(model.discriminator.get_weights())
    for a, b in zip(*critics, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def _same_networks():
    keras.utils.set_random_seed(0)
    return kg.networks.mlp_generator(SHAPE, 4, (16,)), kg.networks.mlp_discriminator(SHAPE, (16,))


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (kg.WGAN, {"clip": 0.0}, "limit above zero"),
        (kg.WGANGP, {"penalty_weight": -1.0}, "zero or more; received weight=-1.0"),
        (kg.WGANGP, {"discriminator_steps": 0}, "1 or more; received 0"),
    ],
)
def test_options_out_of_range(kind, options, said):
    with pytest.raises(ValueError, match=said):
        _make(kind, **options)
