import numpy as np

from keras_gen import runs


def test_the_arrays_are_the_encoders(cli, vae, tmp_path):
    out = tmp_path / "embedding.npz"
    result = cli("embed", vae, "-n", 7, "--split", "train", "--out", out)
    assert result.exit_code == 0, result.output
    run = runs.Run(vae)
    mean, log_variance = run.load().encode(runs.first_images(run.settings(), 7, "train")[0])
    with np.load(out) as found:
        assert sorted(found) == ["log_variance", "mean"]
        np.testing.assert_array_equal(found["mean"], mean)
        np.testing.assert_array_equal(found["log_variance"], log_variance)
    assert "(replaced)" in cli("embed", vae, "-n", 7, "--out", out).stdout


def test_labels_are_kept_beside_them(cli, conditional, tmp_path):
    out = tmp_path / "embedding.npz"
    assert cli("embed", conditional, "--out", out).exit_code == 0
    with np.load(out) as found:
        np.testing.assert_array_equal(found["labels"], np.arange(24) % 3)
        assert found["mean"].shape == (24, 3)


def test_wrong_requests_are_one_sentence(cli, vae, trained, tmp_path):
    for run, out, said in (
        (vae, "embedding.csv", "must end in .npz"),
        (trained, "embedding.npz", "A GAN has no encoder"),
    ):
        result = cli("embed", run, "--out", tmp_path / out)
        assert result.exit_code == 1
        assert said in result.stderr
