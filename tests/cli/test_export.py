"""`keras-gen export`: what it writes for a run, a file and the package's styles, and what it refuses."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import runs
from keras_gen.runs.folder import Run
from keras_gen.runs.trained import load_trained
from keras_gen.style.settings import remember


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_goes_both_ways_into_saved_models(cli, trained, here):
    result = cli("export", trained, "--web", "page")
    assert result.exit_code == 0, result.output
    assert "docker run" in result.stdout
    assert "npm install --prefix page" in result.stdout
    page = json.loads((here / "page/model.json").read_text())
    assert (page["title"], page["kind"], page["files"][0]["file"]) == ("run", "walk", "run-float16.tflite")
    assert json.loads((here / "saved_models/run/run-float16.tflite.json").read_text())["passed"]
    served = tf.saved_model.load("saved_models/run/1").signatures
    images = served["sample"](seed=tf.constant([4, 4], tf.int64), index=tf.constant([0, 1], tf.int64))[
        "image"
    ]
    np.testing.assert_allclose(images, runs.Run(trained).load().sample(2, seed=4), atol=1e-5)

    keras.saving.load_model(trained / "checkpoints" / "last.keras").save("mine.keras")
    only = ("--format", "saved-model", "--signature", "sample", "--out", "saved_models/run")
    assert cli("export", "mine.keras", *only).exit_code == 0
    assert set(tf.saved_model.load("saved_models/run/2").signatures) == {
        "serving_default",
        "sample",
        "sample_jpeg",
    }


def test_data_of_the_run_are_what_int8_is_measured_on(cli, vae, here):
    options = (
        "--format",
        "tflite",
        "--quantization",
        "int8",
        "--signature",
        "encode",
        "--keep-float",
        "auto",
    )
    result = cli("export", vae, *options, "--out", "encoder.tflite")
    assert result.exit_code == 0, result.output
    assert json.loads((here / "encoder.tflite.json").read_text())["format"] == "int8"
    result = cli("export", vae / "checkpoints" / "last.keras", *options)
    assert (result.exit_code, "give some by --representative" in result.stderr) == (1, True)
    moved = shutil.copytree(vae, here / "moved")
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "data": "npz:gone.npz"}))
    result = cli("export", moved, *options)
    assert (result.exit_code, "gone.npz" in result.stderr) == (1, True)
    assert not (here / "saved_models").exists()


def test_models_by_what_a_user_calls_them(trained, here):
    assert load_trained("eight-styles").name == "eight-styles"
    assert load_trained("adain").name == "adain"
    assert load_trained(trained).settings.model == "gan"
    by_file = load_trained(trained / "checkpoints" / "last.keras")
    assert (by_file.name, by_file.settings) == ("last", None)
    run = Run(here / "painter")
    run.checkpoints.mkdir(parents=True)
    load_trained("eight-styles").model.save(run.checkpoints / "last.keras")
    remember(run, "fast", {"styles": "paintings", "content": "photos"}, 0)
    assert load_trained(run.folder).name == "painter"
    assert len(load_trained(run.folder).model.styles) == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "onnx"), "--format must be one of saved-model, tflite, both; received 'onnx'"),
        (("--quantization", "int4"), "--quantization must be one of float32, float16, dynamic, int8"),
        (("--format", "saved-model", "--uint8"), "--uint8 is of TFLite files"),
        (("--image-size", "big"), "--image-size is pixels or HEIGHTxWIDTH"),
        (("--image-size", "5x"), "from 1 to 4096, e.g. 512 or 384x512; received '5x'"),
        (("--image-size", 0), "from 1 to 4096"),
        (("--image-size", 100000), "from 1 to 4096"),
        (("--keep-float", "auto"), "--keep-float is for int8: add --quantization int8"),
        (("--web", "file"), "file is a file, and --web takes a folder"),
        (("--out", "file"), "file is a file, and --out takes a folder"),
        (("--out", "a.tflite"), "a.tflite is a TFLite file"),
        (("--format", "tflite", "--image-size", 64), "8x8 pixels"),
        (("--format", "tflite", "--signature", "sample"), "random numbers"),
        (("--format", "tflite", "--signature", "paint"), "no signature 'paint'"),
        (("--format", "tflite", "--out", "file/model"), "file"),
        (("--format", "saved-model", "--out", "file/model"), "file"),
    ],
)
def test_wrong_requests_are_one_sentence_and_leave_nothing(cli, trained, here, arguments, said):
    (here / "file").touch()
    result = cli("export", trained, *arguments)
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert "Unexpected" not in result.stderr
    assert sorted(path.name for path in here.iterdir()) == ["file", "run"]


def test_what_is_no_model_is_said(cli, here):
    (here / "cut.keras").write_bytes(b"PK")
    (here / "folder").mkdir()
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save("other.keras")
    for name, said in (
        ("nothing", "There is no 'nothing': give a run folder, a .keras file, or eight-styles or adain"),
        ("cut.keras", "not a model of Keras"),
        ("folder", "not a run folder"),
        ("other.keras", "cannot be exported: A Sequential has no export signatures"),
    ):
        result = cli("export", name)
        assert result.exit_code == 1
        assert said in result.stderr
