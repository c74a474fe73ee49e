import json

import keras
import numpy as np
import pytest

from keras_gen import pictures
from keras_gen.cli import errors
from keras_gen.pictures import Picture
from keras_gen.style import pack


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two paintings and eight photographs."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for folder, names in (("paintings", ["wave", "mosaic"]), ("photos", list("abcdefgh"))):
        for name in names:
            small = random.integers(0, 256, (6, 8, 3), "uint8")
            pictures.write(Picture(small.repeat(12, 0).repeat(12, 1)), root / folder / f"{name}.png")
    return root / "paintings", root / "photos"


def options(folders, run, *more):
    small = (
        "--width",
        8,
        "--batch-size",
        2,
        "--crop",
        36,
        "--painting-size",
        48,
        "--backbone",
        "random",
        "--precision",
        "float32",
    )
    return ("--styles", folders[0], "--content", folders[1], "--out", run, *small, *more)


def blocks_of(network):
    names = [layer.name for layer in network.layers]
    return sum(name.startswith("block") and name.endswith("_sum") for name in names)


def test_trains_previews_resumes_and_stylizes(cli, folders, tmp_path):
    run = tmp_path / "run"
    given = options(folders, run, "--blocks", 2, "--restraint-weight", 0.25, "--steps", 1)
    result = cli("train-style", *given)
    assert result.exit_code == 0, result.output
    assert "2 styles after 1 step;" in result.stdout
    assert len(list((run / "previews").iterdir())) == 1
    again = cli("train-style", "--resume", "--out", run, "--steps", 2, "--learning-rate", 1e-3)
    assert again.exit_code == 0, again.output
    assert "2 styles after 2 steps" in again.stdout
    assert json.loads((run / "config.json").read_text())["learning_rate_since"] == 1
    finished = cli("train-style", "--resume", "--out", run)
    assert finished.exit_code == errors.FAILED
    assert "is at step 2 already, of --steps 2: ask for more" in finished.stderr
    model = keras.saving.load_model(run / "checkpoints" / "last.keras")
    assert int(model.step.numpy()) == 2
    assert model.restraint_weight == 0.25
    assert blocks_of(model.network) == 2
    photo, out = folders[1] / "a.png", tmp_path / "out.png"
    result = cli("stylize", photo, "--model", run, "--style", "mos", "-o", out)
    assert result.exit_code == 0, result.output
    expected = model.stylize(pictures.read(photo).pixels / np.float32(127.5) - 1, "mosaic")
    np.testing.assert_allclose(pictures.read(out).pixels, expected * 127.5 + 127.5, atol=1)


@pytest.mark.slow
def test_trains_a_network_for_any_painting(cli, folders, tmp_path):
    run, photo, painting = tmp_path / "run", folders[1] / "a.png", folders[0] / "mosaic.png"
    given = options(folders, run, "--method", "adain", "--decoder-width", 4, "--blocks", 2, "--steps", 1)
    given += ("--restraint-weight", 0.25)
    result = cli("train-style", *given)
    assert result.exit_code == 0, result.output
    assert "A network for any painting after 1 step;" in result.stdout
    assert len(list((run / "previews").iterdir())) == 1
    result = cli("stylize", photo, "--model", run, "--style", painting, "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    model = keras.saving.load_model(run / "checkpoints" / "last.keras")
    assert blocks_of(model.network.decoder) == 2
    assert model.restraint_weight == 0.25
    expected = model.stylize(
        *(pictures.read(path).pixels / np.float32(127.5) - 1 for path in (photo, painting))
    )
    np.testing.assert_allclose(pictures.read(tmp_path / "out.png").pixels, expected * 127.5 + 127.5, atol=1)
    pack(model, tmp_path / "any.npz")
    packed = ("--model", tmp_path / "any.npz", "--style", painting, "-o", tmp_path / "packed.png")
    assert cli("stylize", photo, *packed).exit_code == 0
    difference = pictures.read(tmp_path / "packed.png").pixels - expected * 127.5 - 127.5
    assert np.abs(difference).max() < 4
    result = cli("stylize", photo, "--model", run, "--sheet", "-o", tmp_path / "sheet.png")
    assert "has no styles of its own" in result.stderr


def test_mistakes_are_one_sentence(cli, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "paintings" / "of before").mkdir(parents=True)
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    thin, damaged = tmp_path / "thin", tmp_path / "damaged"
    pictures.write(Picture(np.zeros((10, 96, 3), "uint8")), thin / "thin.png")
    damaged.mkdir()
    (damaged / "cut.png").write_bytes((folders[0] / "wave.png").read_bytes()[:200])
    for arguments, said in (
        (options(folders, full), "is not empty"),
        (["--styles", folders[0], "--content", folders[1]], "runs/paintings is not empty"),
        (["--resume", "--out", tmp_path / "none"], "no checkpoint"),
        (options((full, folders[1]), tmp_path / "a"), "no images"),
        (options(folders, tmp_path / "c", "--decoder-width", 4), "not an option of --method fast"),
        (options(folders, tmp_path / "d", "--method", "gatis"), "no method 'gatis'"),
        (options((damaged, folders[1]), tmp_path / "f"), "cut.png is not an image"),
        (options((thin, folders[1]), tmp_path / "g"), "has 48x5 pixels"),
    ):
        result = cli("train-style", *arguments)
        assert result.exit_code == errors.FAILED, result.output
        assert said in result.stderr
    assert cli("train-style", "--styles", folders[0], "--out", tmp_path / "e").exit_code == 2
    assert cli("train-style", "--resume").exit_code == 2
