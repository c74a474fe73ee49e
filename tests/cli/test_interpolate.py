import numpy as np
import pytest
from PIL import Image

from keras_gen import runs
from keras_gen.image import make_grid
from keras_gen.walks import slerp


def grid_of(model, points, **classes):
    """The picture of walks (rows, steps, latent_dim)."""
    return make_grid(model.generate(points.reshape(-1, points.shape[-1]), **classes), points.shape[1])[..., 0]


@pytest.mark.parametrize("kind", ["trained", "vae"])
def test_rows_lead_from_one_sample_to_another(cli, request, tmp_path, kind):
    run, out = request.getfixturevalue(kind), tmp_path / "grid.png"
    result = cli("interpolate", run, "-n", 3, "--steps", 4, "--seed", 5, "--out", out)
    assert result.exit_code == 0, result.output
    model = runs.Run(run).load()
    ends = model.latents(6, 5)
    points = slerp(ends[:3], ends[3:], 4).swapaxes(0, 1)
    np.testing.assert_allclose(points[:, [0, -1]].swapaxes(0, 1).reshape(6, -1), ends, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), grid_of(model, points))


def test_between_images(cli, vae, tmp_path):
    out = tmp_path / "grid.png"
    assert cli("interpolate", vae, "-n", 2, "--steps", 3, "--images", "--out", out).exit_code == 0
    run = runs.Run(vae)
    model = run.load()
    mean, _ = model.encode(runs.first_images(run.settings(), 4)[0])
    points = slerp(mean[:2], mean[2:], 3).swapaxes(0, 1)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), grid_of(model, points))


def test_the_class_stays_along_a_row(cli, conditional, tmp_path):
    out = tmp_path / "grid.png"
    assert cli("interpolate", conditional, "-n", 2, "--steps", 3, "--out", out).exit_code == 0
    model = runs.Run(conditional).load()
    ends = model.latents(4, 0)
    points = slerp(ends[:2], ends[2:], 3).swapaxes(0, 1)
    labels = np.repeat([0, 1], 3)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), grid_of(model, points, labels=labels))
    assert cli("interpolate", conditional, "--images", "--out", out).exit_code == 0


def test_a_gan_has_no_images_to_begin_at(cli, trained):
    result = cli("interpolate", trained, "--images")
    assert result.exit_code == 1
    assert "A GAN has no encoder" in result.stderr
    assert "--steps" in cli("interpolate", trained, "--steps", 1).stderr
