"""Training in a folder: found paintings, previews, and a run that is interrupted and goes on."""

import os
import signal

import keras
import numpy as np
import pytest
from PIL import Image

from keras_gen.callbacks import TrainingInterrupted
from keras_gen.networks.vgg import vgg16
from keras_gen.style.training import find_paintings, read_painting, train_style

SETTINGS = {"steps": 5, "width": 8, "batch_size": 2, "crop": 16, "precision_name": "float32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs, paintings, and a file of VGG weights."""
    folder = tmp_path_factory.mktemp("style")
    rng = np.random.default_rng(0)
    for name, count in (("photographs", 6), ("paintings", 2)):
        (folder / name).mkdir()
        for i in range(count):
            pixels = rng.integers(0, 255, (40 + i, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{'ab'[i % 2]}{i}.png")
    keras.utils.set_random_seed(0)
    vgg16(["relu4_3"], backbone="random").save_weights(folder / "vgg.weights.h5")
    return folder


def _train(folder, out, **options):
    arguments = {**SETTINGS, "backbone": str(folder / "vgg.weights.h5"), "say": lambda line: None, **options}
    return train_style(folder / "paintings", str(folder / "photographs"), out, **arguments)


class _Interrupt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step.numpy()) == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_run_goes_on_exactly(folder, tmp_path):
    straight = _train(folder, tmp_path / "straight")
    assert straight.styles == ("a0", "b1")
    assert int(straight.step.numpy()) == 5
    with pytest.raises(TrainingInterrupted):
        _train(folder, tmp_path / "broken", callbacks=[_Interrupt()])
    again = _train(folder, tmp_path / "broken", resume=True)
    assert int(again.step.numpy()) == 5
    for a, b in zip(straight.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    previews = sorted(path.name for path in (tmp_path / "broken" / "previews").iterdir())
    assert previews == ["step-000002.jpg", "step-000005.jpg"]
    sheet = Image.open(tmp_path / "broken" / "previews" / previews[-1])
    assert sheet.size == (3 * 16 + 4 * 2, 2 * 16 + 3 * 2)


def test_paintings_are_named_as_their_files(folder, tmp_path):
    found = find_paintings(folder / "paintings")
    assert list(found) == ["a0", "b1"]
    assert find_paintings([found["b1"]]) == {"b1": found["b1"]}
    painting = read_painting(found["a0"], size=24)
    assert painting.shape == (20, 24, 3)
    assert painting.dtype == np.float32
    assert np.abs(painting).max() <= 1
    with pytest.raises(FileNotFoundError, match="no pictures"):
        find_paintings(tmp_path)
    with pytest.raises(ValueError, match="same name"):
        find_paintings([found["a0"], found["a0"]])


def test_nothing_to_resume(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        _train(folder, tmp_path, resume=True)
