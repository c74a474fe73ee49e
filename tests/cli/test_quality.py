"""What training is for: samples that come close to the digits, by the settings of the demo."""

import pytest

from keras_gen import runs
from keras_gen.metrics import FrechetDistance, classifier_features


@pytest.mark.slow
def test_the_demo_learns_digits_within_four_hundred_steps(cli, tmp_path):
    result = cli("demo", "--steps", 400, "--minutes", 20, "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    run = runs.Run(tmp_path / "demo")
    settings = run.settings()
    labelled, name = settings.labelled()
    untrained = FrechetDistance(classifier_features(labelled, fingerprint=name))
    for batch in settings.in_order("test"):
        untrained.update_real(batch)
    untrained.update_fake(runs.training.build_model(settings).sample(1000, seed=0))
    trained = runs.evaluate(run)["frechet_distance"]
    print(trained, float(untrained.result()))
    assert trained < float(untrained.result()) / 4
