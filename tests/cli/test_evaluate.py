import json

import keras
import numpy as np
import pytest

from keras_gen import data, runs
from keras_gen.metrics import frechet_distance, projection_features


@pytest.fixture
def projection(monkeypatch):
    """The fixed feature space, without looking for Inception's weights."""
    monkeypatch.setattr(
        runs.evaluation, "feature_extractor", lambda shape, *_, **__: projection_features(shape)
    )


def test_the_numbers_are_those_of_the_metrics(cli, trained, images, projection):
    result = cli("evaluate", trained, "--json", "-n", 30, "--seed", 2)
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)
    assert measured == json.loads((trained / "evaluation.json").read_text())
    assert (measured["split"], measured["images"], measured["samples"]) == ("test", 24, 30)
    assert (measured["epoch"], measured["step"]) == (2, 10)

    model, features = runs.Run(trained).load(), projection_features((8, 8, 1))
    real = np.concatenate(list(data.load(images, split="test", shuffle=False).as_numpy_iterator()))
    expected = frechet_distance(features(real), features(model.sample(30, seed=2)))
    assert measured["frechet_distance"] == pytest.approx(expected, rel=1e-4)
    assert measured["feature_space"] == features.name
    batches = data.load(images, split="test", shuffle=False, batch_size=8)
    losses = model.evaluate(batches, verbose=0, return_dict=True)
    assert measured["losses"] == pytest.approx(
        {name: float(value) for name, value in losses.items()}, rel=1e-5
    )


def test_the_table_names_the_feature_space(cli, trained, projection):
    result = cli("evaluate", trained)
    assert result.exit_code == 0, result.output
    assert "generator loss" in result.stdout
    assert "24 samples and 24 images, in the feature space projection-8x8x1-64" in result.stdout


def test_the_checkpoint_that_was_measured_is_named(cli, trained, projection):
    (trained / "checkpoints" / "last.keras").unlink()
    assert cli("evaluate", trained).exit_code == 0
    assert json.loads((trained / "evaluation.json").read_text())["checkpoint"] == "best"


def test_a_download_is_said_beforehand(cli, trained, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(keras.applications, "InceptionV3", fail)
    result = cli("evaluate", trained)
    assert result.exit_code == 0, result.output
    assert "88 MB are downloaded" in result.stdout
    assert "could not be downloaded (no network). Going on with projection-8x8x1-64" in result.stderr
    assert "weights=" not in result.output


@pytest.mark.parametrize(
    ("arguments", "said"), [(("-n", 1), "two samples"), (("--split", "tset"), "did you mean 'test'")]
)
def test_wrong_requests_are_one_sentence(cli, trained, arguments, said):
    result = cli("evaluate", trained, *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
