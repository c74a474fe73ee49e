import numpy as np
import pytest
from PIL import Image

from keras_gen import runs
from keras_gen.image import make_grid


def test_the_grid_holds_the_models_samples(cli, trained, tmp_path):
    out = tmp_path / "a" / "grid.png"
    assert cli("sample", trained, "-n", 9, "--seed", 5, "--out", out).exit_code == 0
    np.testing.assert_array_equal(
        np.asarray(Image.open(out)), make_grid(runs.Run(trained).load().sample(9, seed=5))[..., 0]
    )


def test_the_seed_decides(cli, trained, tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for path, seed in zip(files, (1, 1, 2), strict=True):
        assert cli("sample", trained, "-n", 4, "--seed", seed, "--out", path).exit_code == 0
    first, same, other = (path.read_bytes() for path in files)
    assert first == same
    assert first != other


def test_what_is_replaced_is_said(cli, trained, tmp_path):
    arguments = ("sample", trained, "-n", 4, "--out", tmp_path / "grid.png")
    assert "(replaced)" not in cli(*arguments).stdout
    assert "grid.png (replaced)" in cli(*arguments).stdout


def test_without_the_last_checkpoint_the_best_is_drawn_from(cli, trained, tmp_path):
    (trained / "checkpoints" / "last.keras").unlink()
    result = cli("sample", trained, "-n", 4, "--seed", 1, "--out", tmp_path / "grid.png")
    assert result.exit_code == 0, result.output
    assert "using best.keras" in result.stderr
    (trained / "checkpoints" / "best.keras").unlink()
    assert "first checkpoint" in cli("sample", trained).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-n", 0), "1 or more"),
        (("--out", "grid.xyz"), "image format"),
        (("--checkpoint", "worst"), "'last' or 'best'"),
    ],
)
def test_wrong_requests_are_one_sentence(cli, trained, arguments, said):
    result = cli("sample", trained, *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_folder_without_a_run_is_named(cli, tmp_path):
    result = cli("sample", tmp_path / "nothing")
    assert result.exit_code == 1
    assert "not a run folder" in result.stderr


def test_a_class_that_is_asked_for(cli, conditional, trained, tmp_path):
    out = tmp_path / "grid.png"
    assert cli("sample", conditional, "-n", 4, "--seed", 5, "--label", 2, "--out", out).exit_code == 0
    model = runs.Run(conditional).load()
    np.testing.assert_array_equal(
        np.asarray(Image.open(out)), make_grid(model.sample(4, seed=5, labels=2))[..., 0]
    )
    assert "from 0 to 2" in cli("sample", conditional, "--label", 3).stderr
    assert "knows no classes" in cli("sample", trained, "--label", 0).stderr
