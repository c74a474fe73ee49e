"""BetaVAE: the weight of the divergence, its schedules, and the capacity."""

import keras
import numpy as np
import pytest

import keras_gen as kg

SHAPE = (8, 8, 1)


def _model(**options):
    keras.utils.set_random_seed(0)
    networks = kg.networks.dense_encoder(SHAPE, 4, (16,)), kg.networks.dense_decoder(SHAPE, 4, (16,))
    model = kg.BetaVAE(*networks, 4, seed=1, **options)
    model.compile()
    return model


def _images(count=16):
    return np.random.default_rng(0).uniform(-1, 1, (count, *SHAPE)).astype("float32")


@pytest.mark.parametrize(
    ("annealing", "expected"),
    [
        ("constant", [3, 3, 3, 3, 3, 3, 3, 3]),
        ("warm-up", [0, 0.75, 1.5, 2.25, 3, 3, 3, 3]),
        ("cyclical", [0, 1.5, 3, 3, 0, 1.5, 3, 3]),
    ],
)
def test_beta_follows_its_schedule(annealing, expected):
    model = _model(beta=3.0, annealing=annealing, annealing_steps=4)
    model.run_eagerly = True
    for value in expected:
        log = model.fit(_images(4), verbose=0).history
        assert log["beta"][0] == pytest.approx(value)
        weighted = log["reconstruction"][0] + value * log["kl"][0]
        assert log["loss"][0] == pytest.approx(weighted, rel=1e-5)
        assert log["negative_elbo"][0] == pytest.approx(log["reconstruction"][0] + log["kl"][0], rel=1e-5)


def test_divergence_settles_at_the_capacity():
    model = _model(beta=50.0, capacity=2.0, capacity_steps=50)
    model.compile(kg.optimizers.Adam(3e-3))
    history = model.fit(_images(64), batch_size=16, epochs=75, verbose=0).history
    assert history["capacity"][-1] == pytest.approx(2.0)
    assert history["kl"][-1] == pytest.approx(2.0, abs=0.5)


def test_config_holds_its_settings():
    model = _model(beta=2.0, annealing="cyclical", annealing_steps=7, capacity=1.0, likelihood="gaussian")
    again = kg.BetaVAE.from_config(model.get_config())
    assert (again.beta, again.annealing, again.annealing_steps, again.capacity) == (2.0, "cyclical", 7, 1.0)
    assert again.likelihood == "gaussian"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beta": -1.0}, "beta must be zero or more"),
        ({"annealing": "cosine"}, "one of constant, warm-up, cyclical; received 'cosine'"),
        ({"annealing_steps": 0}, "must be 1 or more"),
        ({"capacity": -1.0}, "capacity must be zero or more"),
    ],
)
def test_what_is_wrong_is_said(options, said):
    with pytest.raises(ValueError, match=said):
        _model(**options)
