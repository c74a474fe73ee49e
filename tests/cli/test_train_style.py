import keras
import numpy as np
import pytest

from keras_gen import pictures
from keras_gen.cli import errors
from keras_gen.pictures import Picture


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


def options(folders, run):
    small = ("--width", 8, "--batch-size", 2, "--crop", 32, "--painting-size", 48, "--backbone", "random")
    return ("--content", folders[1], "--out", run, *small, "--precision", "float32")


def test_trains_previews_resumes_and_stylizes(cli, folders, tmp_path):
    run = tmp_path / "run"
    result = cli("train-style", "--styles", folders[0], *options(folders, run), "--steps", 3)
    assert result.exit_code == 0, result.output
    assert "2 styles after 3 steps" in result.stdout
    assert len(list((run / "previews").iterdir())) == 1
    again = cli("train-style", "--resume", *options(folders, run), "--steps", 5)
    assert again.exit_code == 0, again.output
    assert "2 styles after 5 steps" in again.stdout
    model = keras.saving.load_model(run / "checkpoints" / "last.keras")
    assert int(model.step.numpy()) == 5
    photo, out = folders[1] / "a.png", tmp_path / "out.png"
    result = cli("stylize", photo, "--model", run, "--style", "mos", "-o", out)
    assert result.exit_code == 0, result.output
    expected = model.stylize(pictures.read(photo).pixels / np.float32(127.5) - 1, "mosaic")
    np.testing.assert_allclose(pictures.read(out).pixels, expected * 127.5 + 127.5, atol=1)


def test_mistakes_are_one_sentence(cli, folders, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    styles = ("--styles", folders[0])
    for arguments, said in (
        ([*styles, *options(folders, full)], "is not empty"),
        (["--resume", *options(folders, tmp_path / "none")], "no checkpoint"),
        (["--styles", full, *options(folders, tmp_path / "a")], "no pictures"),
        ([*styles, *options(folders, tmp_path / "b"), "--crop", 33], "multiple of 4"),
    ):
        result = cli("train-style", *arguments)
        assert result.exit_code == errors.FAILED, result.output
        assert said in result.stderr
    assert cli("train-style", *styles).exit_code == 2
