import json

import pytest
import tensorflow as tf

from keras_gen import runs
from keras_gen.cli.demo import next_free
from keras_gen.image import load_image
from keras_gen.metrics import projection_features


@pytest.fixture(autouse=True)
def _without_classifier(monkeypatch):
    """The fixed feature space: the demo's own is trained for a quarter of a minute."""

    def projection(*arguments, **options):
        return projection_features((28, 28, 1))

    monkeypatch.setattr(runs.training, "classifier_features", projection)
    monkeypatch.setattr(runs.evaluation, "feature_extractor", projection)


@pytest.mark.slow
def test_a_few_steps_leave_all_that_the_demo_promises(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("demo", "--steps", 2)
    assert result.exit_code == 0, result.output
    run = tmp_path / "runs" / "demo"
    for name in ("samples.png", "losses.png", "history.csv", "config.json", "checkpoints/last.keras"):
        assert (run / name).stat().st_size > 100
    assert json.loads((run / "evaluation.json").read_text())["step"] == 2
    assert "Fréchet distance" in result.stdout
    assert "Look at runs/demo/samples.png" in result.stdout
    served = tf.saved_model.load(str(run / "saved_models" / "digits" / "1")).signatures["sample"]
    images = served(seed=tf.constant([0], tf.int64), index=tf.constant([3], tf.int64))["image"]
    assert images.shape == (1, 28, 28, 1)
    report = json.loads((run / "saved_models/digits/digits-float16.tflite.json").read_text())
    assert report["passed"]
    assert load_image(run / "great-wave.png").shape == (351, 598, 3)


def test_its_folder_is_the_next_that_is_free(tmp_path):
    for name in ("demo", "demo-2"):
        assert next_free(tmp_path / "demo") == tmp_path / name
        (tmp_path / name).mkdir()
        assert next_free(tmp_path / "demo") == tmp_path / name  # empty
        (tmp_path / name / "kept.txt").touch()
    assert next_free(tmp_path / "demo") == tmp_path / "demo-3"


@pytest.mark.parametrize("arguments", [("--minutes", 0), ("--steps", 0)])
def test_no_time_and_no_steps_are_refused(cli, tmp_path, arguments):
    result = cli("demo", *arguments, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "above zero" in result.stderr
