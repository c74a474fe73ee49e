import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_gen.cli.main import app


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def cli():
    """Runs a command; gives its result with the exit code, stdout and stderr."""

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A data spec of 40 grey 8x8 images without labels, and 24 for tests: five batches of eight."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(
        path,
        x_train=random.integers(0, 256, (40, 8, 8, 1), np.uint8),
        x_test=random.integers(0, 256, (24, 8, 8, 1), np.uint8),
    )
    return f"npz:{path}"


@pytest.fixture(scope="session")
def labelled(images, tmp_path_factory):
    """The same images with labels of three classes."""
    arrays = dict(np.load(images.removeprefix("npz:")))
    path = tmp_path_factory.mktemp("data") / "labelled.npz"
    np.savez(path, **arrays, y_train=np.arange(40) % 3, y_test=np.arange(24) % 3)
    return f"npz:{path}"


def _train(run, model, data, **more):
    options = {"--data": data, "--epochs": 2, "--batch-size": 8, "--seed": 3, "--frechet-samples": 40}
    options |= {"--precision": "float32", "--out": run, **more}
    result = CliRunner().invoke(
        app, ["train", model, *(str(part) for pair in options.items() for part in pair)]
    )
    assert result.exit_code == 0, result.output
    return run


@pytest.fixture(scope="session")
def _trained_once(images, tmp_path_factory):
    return _train(tmp_path_factory.mktemp("runs") / "run", "gan", images)


@pytest.fixture
def trained(_trained_once, tmp_path):
    """A run folder of a tiny GAN after two epochs, to do with as the test likes."""
    return Path(shutil.copytree(_trained_once, tmp_path / "run"))


_DENSE = {"--epochs": 1, "--frechet-samples": 0, "--preset": "vae-mlp", "--latent-dim": 3}


@pytest.fixture(scope="session")
def vae(images, tmp_path_factory):
    """A run folder of a tiny VAE of three latent units after an epoch, to be left as it is."""
    return _train(tmp_path_factory.mktemp("runs") / "vae", "vae", images, **_DENSE)


@pytest.fixture(scope="session")
def conditional(labelled, tmp_path_factory):
    """The same of a conditional VAE of three classes."""
    return _train(tmp_path_factory.mktemp("runs") / "conditional", "conditional-vae", labelled, **_DENSE)
