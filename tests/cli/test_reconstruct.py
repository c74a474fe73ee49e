import numpy as np
import pytest
from PIL import Image

from keras_gen import runs
from keras_gen.corruption import add_noise, known_pixels
from keras_gen.image import make_grid


def test_pairs_of_image_and_reconstruction(cli, vae, tmp_path):
    out = tmp_path / "grid.png"
    result = cli("reconstruct", vae, "-n", 4, "--out", out)
    assert result.exit_code == 0, result.output
    run = runs.Run(vae)
    images, _ = runs.first_images(run.settings(), 4)
    made = run.load().reconstruct(images)
    pairs = np.stack([images, made], 1).reshape(-1, 8, 8, 1)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), make_grid(pairs, columns=2)[..., 0])
    assert f"mean squared error {np.square(made - images).mean():.4f}" in result.stdout


def test_masked_pixels_are_filled_in_and_the_others_kept(cli, vae, tmp_path):
    out = tmp_path / "grid.png"
    result = cli("reconstruct", vae, "-n", 4, "--mask", "left", "--out", out)
    assert result.exit_code == 0, result.output
    run = runs.Run(vae)
    images, _ = runs.first_images(run.settings(), 4)
    known = known_pixels("left", (8, 8, 1), 4)
    made = run.load().impute(images, known)
    np.testing.assert_array_equal(made[:, :, 4:], images[:, :, 4:])
    shown = np.stack([images, np.where(known, images, 0), made], 1).reshape(-1, 8, 8, 1)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), make_grid(shown, columns=3)[..., 0])


def test_noise_is_shown_and_taken_away(cli, vae, tmp_path):
    out = tmp_path / "grid.png"
    assert cli("reconstruct", vae, "-n", 4, "--noise", 0.5, "--seed", 2, "--out", out).exit_code == 0
    run = runs.Run(vae)
    images, _ = runs.first_images(run.settings(), 4)
    noisy = add_noise(images, 0.5, 2)
    shown = np.stack([images, noisy, run.load().reconstruct(noisy)], 1).reshape(-1, 8, 8, 1)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), make_grid(shown, columns=3)[..., 0])


def test_a_conditional_model_is_told_the_labels(cli, conditional, tmp_path):
    for task in ((), ("--mask", 0.3), ("--noise", 0.1)):
        result = cli("reconstruct", conditional, "-n", 3, *task, "--out", tmp_path / "grid.png")
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--mask", "left", "--noise", 1), "give one of them"),
        (("--mask", "middle"), "a share of pixels"),
        (("--noise", 0), "above zero"),
        (("--split", "tset"), "did you mean 'test'"),
    ],
)
def test_wrong_requests_are_one_sentence(cli, vae, arguments, said):
    result = cli("reconstruct", vae, *arguments)
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.parametrize(("arguments", "said"), [((), "reconstruct images"), (("--mask", 0.5), "fill in")])
def test_a_gan_is_refused(cli, trained, arguments, said):
    result = cli("reconstruct", trained, *arguments)
    assert result.exit_code == 1
    assert f"A GAN cannot {said}" in result.stderr
