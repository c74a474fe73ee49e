import numpy as np
import pytest

from keras_gen import data, runs
from keras_gen.models.registry import build


@pytest.fixture
def settings(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    return runs.Settings(
        "wgan-gp",
        f"npz:{tmp_path / 'images.npz'}",
        preset="mlp",
        epochs=2,
        batch_size=8,
        precision="float32",
        seed=1,
        ema=0.0,
        frechet_samples=0,
        learning_rate=1e-3,
    )


def test_a_run_is_build_and_fit(settings, tmp_path):
    """The weights are those of the public functions, called by hand."""
    run = runs.Run(tmp_path / "run")
    with run.new(settings) as made:
        trained = runs.train(run, made)
    by_hand = build("wgan-gp", (8, 8, 3), preset="mlp", seed=1)
    for optimizer in (by_hand.generator_optimizer, by_hand.discriminator_optimizer):
        optimizer.learning_rate = 1e-3
    by_hand.fit(data.load(settings.data, batch_size=8, seed=1), epochs=2, verbose=0)
    for one, other in zip(trained.weights, by_hand.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6, err_msg=one.path)
    np.testing.assert_array_equal(run.load("best").sample(3, seed=0), trained.sample(3, seed=0))


def test_other_data_than_before_are_refused(settings, tmp_path):
    run = runs.Run(tmp_path / "run")
    with run.new(settings) as made:
        runs.train(run, made)
    np.savez(tmp_path / "images.npz", images=np.zeros((80, 8, 8, 3), np.uint8))
    with run.resumed({"epochs": 3}) as made, pytest.raises(ValueError, match="other data"):
        runs.train(run, made, resume=True)


def test_steps_per_epoch_see_new_images_each_epoch(settings, tmp_path):
    run = runs.Run(tmp_path / "run")
    with run.new(runs.Settings(**{**vars(settings), "steps_per_epoch": 1})) as made:
        assert int(runs.train(run, made).step.numpy()) == 2
    assert [row["step"] for row in runs.training.kc.read_history(run.history)] == [1, 2]
