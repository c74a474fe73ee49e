import numpy as np
import pytest
from PIL import Image

from keras_gen import runs, walks
from keras_gen.image import make_grid


def test_one_unit_a_row_the_most_active_first(cli, vae, tmp_path):
    out = tmp_path / "grid.png"
    result = cli("traverse", vae, "--steps", 4, "--reach", 2, "--seed", 1, "--out", out)
    assert result.exit_code == 0, result.output
    run = runs.Run(vae)
    model = run.load()
    variances = model.encode(runs.first_images(run.settings(), 1000)[0])[0].var(axis=0)
    order = np.argsort(-variances)
    points = walks.traverse(model.latents(1, 1)[0], order, 4, 2.0).reshape(-1, 3)
    np.testing.assert_array_equal(
        np.asarray(Image.open(out)), make_grid(model.generate(points), columns=4)[..., 0]
    )
    assert f"Latent units {', '.join(map(str, order))}, a row each" in result.stdout


@pytest.mark.parametrize("kind", ["trained", "conditional"])
def test_any_model_of_vectors_will_do(cli, request, tmp_path, kind):
    result = cli("traverse", request.getfixturevalue(kind), "-n", 2, "--out", tmp_path / "grid.png")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width / grid.height == pytest.approx(9 / 2, rel=0.05)
