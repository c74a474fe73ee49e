"""VAEGAN: three players, each moved by its own loss; saving."""

import keras
import numpy as np
import pytest

import keras_gen as kg

SHAPE = (28, 28, 1)


def _model(**options):
    keras.utils.set_random_seed(0)
    model = kg.VAEGAN(
        kg.networks.convolutional_encoder(SHAPE, 4, width=4),
        kg.networks.transposed_decoder(SHAPE, 4, width=4),
        kg.networks.feature_discriminator(SHAPE, width=4),
        4,
        seed=1,
        **options,
    )
    model.compile()
    return model


def _images(count=16):
    return np.random.default_rng(0).uniform(-1, 1, (count, *SHAPE)).astype("float32")


def test_losses_are_sums_of_their_parts():
    log = _model(similarity_weight=0.5).evaluate(_images(), verbose=0, return_dict=True)
    assert log["encoder_loss"] == pytest.approx(log["kl"] + log["similarity"], rel=1e-5)
    other = _model(similarity_weight=0.0).evaluate(_images(), verbose=0, return_dict=True)
    assert log["decoder_loss"] - other["decoder_loss"] == pytest.approx(0.5 * log["similarity"], rel=1e-4)


def test_every_player_learns(tmp_path):
    model = _model()
    before = {name: player.get_weights() for name, player in model.players.items()}
    history = model.fit(_images(), batch_size=8, epochs=2, verbose=0).history
    assert np.isfinite([values[-1] for values in history.values()]).all()
    for name, player in model.players.items():
        assert any((a != b).any() for a, b in zip(before[name], player.get_weights(), strict=True)), name
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded.sample(2, seed=0), model.sample(2, seed=0))
    assert loaded.discriminator_optimizer.iterations == 4


def test_what_is_wrong_is_said():
    model = _model()
    with pytest.raises(ValueError, match="two outputs: a score an image"):
        kg.VAEGAN(model.encoder, model.decoder, kg.networks.mlp_discriminator(SHAPE), 4)
    same = kg.optimizers.Adam()
    with pytest.raises(ValueError, match="same optimizer object"):
        model.compile(same, same)
    with pytest.raises(ValueError, match="similarity_weight must be zero or more"):
        _model(similarity_weight=-1.0)
