"""GAN and DCGAN: the tutorial's losses and settings, the minimax choice."""

import keras
import numpy as np
import pytest

import keras_gen as kg


def _gan(kind=kg.GAN, **options):
    shape = (8, 8, 1)
    keras.utils.set_random_seed(0)
    networks = kg.networks.mlp_generator(shape, 4, (16,)), kg.networks.mlp_discriminator(shape, (16,))
    model = kind(*networks, 4, seed=1, **options)
    model.compile()
    return model


@pytest.mark.parametrize(("saturating", "loss"), [(False, "NonSaturating"), (True, "Minimax")])
@pytest.mark.parametrize("kind", [kg.GAN, kg.DCGAN])
def test_loss_is_a_choice(kind, saturating, loss):
    model = _gan(kind, saturating=saturating)
    assert model.loss_function == getattr(kg.losses, loss)()
    assert not model.penalties
    assert not model.constraints
    again = kind.from_config(model.get_config())
    assert type(again) is kind
    assert again.loss_function == model.loss_function
    assert again.get_config() == model.get_config()


def test_default_is_non_saturating_with_adam_as_in_the_tutorial():
    model = _gan()
    assert model.loss_function == kg.losses.NonSaturating()
    for optimizer in (model.generator_optimizer, model.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert float(optimizer.learning_rate) == pytest.approx(2e-4)
        assert optimizer.beta_1 == 0.5


def test_minimax_is_what_is_trained():
    images = np.random.default_rng(0).uniform(-1, 1, (8, 8, 8, 1)).astype("float32")
    first = {}
    for saturating in (False, True):
        first[saturating] = _gan(saturating=saturating).evaluate(
            images, batch_size=8, verbose=0, return_dict=True
        )
    assert first[True]["generator_loss"] < 0 < first[False]["generator_loss"]
    assert first[True]["discriminator_loss"] == pytest.approx(first[False]["discriminator_loss"])


def test_learns_a_distribution():
    """A constant image: the generator's mean goes there."""
    images = np.full((256, 8, 8, 1), 0.5, "float32")
    model = _gan()
    model.compile(kg.optimizers.Adam(2e-3, beta_1=0.5), kg.optimizers.Adam(2e-3, beta_1=0.5))
    before = np.abs(model.sample(64, seed=0) - 0.5).mean()
    model.fit(images, batch_size=32, epochs=25, verbose=0)
    assert np.abs(model.sample(64, seed=0) - 0.5).mean() < 0.6 * before


@pytest.mark.parametrize("kind", [kg.GAN, kg.DCGAN, kg.WGAN, kg.WGANGP])
@pytest.mark.parametrize(
    "options",
    [
        {"loss": kg.losses.Hinge()},
        {"penalties": [kg.penalties.R1()]},
        {"constraints": [kg.constraints.ClipWeights()]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_a_variant_decides_cannot_be_given_beside_it(kind, options):
    """It would be lost with the saved model, whose config holds the variant's own options."""
    with pytest.raises(TypeError, match=next(iter(options))):
        _gan(kind, **options)
