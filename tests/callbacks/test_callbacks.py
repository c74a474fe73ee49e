import csv
import os
import signal
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from keras_gen import callbacks as kc
from keras_gen.callbacks import stopping
from keras_gen.image import make_grid
from keras_gen.metrics import frechet_distance, projection_features


def fit(model, images, *callbacks, epochs=2):
    return model.fit(images, batch_size=4, epochs=epochs, verbose=0, callbacks=list(callbacks))


class Logs(keras.callbacks.Callback):
    """Sets a log, epoch by epoch."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, iter(values)

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = next(self.values)


def test_checkpoints_are_the_last_and_the_best(model, images, tmp_path):
    samples = []
    seen = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: samples.append(model.sample(2, seed=0)))
    checkpoint = kc.Checkpoint(tmp_path, monitor="distance")
    fit(model, images, Logs("distance", [3.0, 1.0, 2.0]), seen, checkpoint, epochs=3)
    load = keras.saving.load_model
    np.testing.assert_allclose(load(tmp_path / "last.keras").sample(2, seed=0), samples[2], atol=1e-6)
    np.testing.assert_allclose(load(tmp_path / "best.keras").sample(2, seed=0), samples[1], atol=1e-6)
    assert checkpoint.best == 1.0


def test_an_earlier_best_is_kept(model, images, tmp_path):
    (tmp_path / "best.keras").write_text("of before")
    fit(model, images, Logs("distance", [3.0]), kc.Checkpoint(tmp_path, "distance", best=2.0), epochs=1)
    assert (tmp_path / "best.keras").read_text() == "of before"


def test_without_a_monitor_the_best_is_the_last(model, images, tmp_path):
    fit(model, images, kc.Checkpoint(tmp_path, monitor=None), epochs=2)
    assert (tmp_path / "best.keras").read_bytes() == (tmp_path / "last.keras").read_bytes()


def test_history_has_a_row_an_epoch(model, images, tmp_path):
    path = tmp_path / "history.csv"
    result = fit(model, images, Logs("distance", [1.5, 0.5]), kc.History(path))
    rows = kc.read_history(path)
    assert [(row["epoch"], row["step"], row["distance"]) for row in rows] == [(1, 4, 1.5), (2, 8, 0.5)]
    assert [row["generator_loss"] for row in rows] == pytest.approx(result.history["generator_loss"])
    fit(model, images, kc.History(path), epochs=1)
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["epoch"] for row in table] == ["1", "2", "3"]
    assert table[2]["distance"] == ""


def test_history_of_another_kind_is_refused(tmp_path):
    assert kc.read_history(tmp_path / "none.csv") == []
    (tmp_path / "history.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="not a history"):
        kc.read_history(tmp_path / "history.csv")


def test_losses_are_drawn(model, images, tmp_path):
    plot = kc.LossPlot(tmp_path / "history.csv", tmp_path / "losses.png")
    plot.draw()
    assert not (tmp_path / "losses.png").exists()
    fit(model, images, kc.History(tmp_path / "history.csv"), plot)
    pixels = np.asarray(Image.open(tmp_path / "losses.png").convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 20


def test_grids_are_of_the_same_latents(model, images, tmp_path):
    fit(model, images, kc.SampleGrid(tmp_path, n=9, seed=4, every=2), epochs=4)
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["epoch-0002.png", "epoch-0004.png"]
    grid = np.asarray(Image.open(tmp_path / "samples" / "epoch-0004.png"))
    np.testing.assert_array_equal(grid, make_grid(model.sample(9, seed=4))[..., 0])


def test_what_does_not_sample_has_no_grid(tmp_path):
    with pytest.raises(TypeError, match="Sequential does not"):
        kc.SampleGrid(tmp_path).set_model(keras.Sequential())


def test_the_distance_is_that_of_the_metrics(model, images):
    features = projection_features((8, 8, 1))
    result = fit(model, images, kc.FrechetDistance(images, features, n=20, seed=1), epochs=1)
    expected = frechet_distance(features(images), features(model.sample(20, seed=1)))
    assert result.history["frechet_distance"] == [pytest.approx(expected, rel=1e-4)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: kc.SampleGrid("a", n=0),
        lambda: kc.SampleGrid("a", every=0),
        lambda: kc.FrechetDistance(None, None, n=1),
        lambda: kc.TimeBudget(0),
    ],
)
def test_numbers_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="received"):
        make()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_after_the_step(model, images, number):
    saved = []
    send = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: os.kill(os.getpid(), number) if batch == 1 else None
    )
    before = signal.getsignal(number)
    stop = kc.StopOnSignal([lambda: saved.append(int(model.step.numpy()))])
    with pytest.raises(kc.TrainingInterrupted, match="after step 2") as caught:
        fit(model, images, send, stop)
    assert caught.value.received == number
    assert saved == [2]
    assert signal.getsignal(number) is before


def test_the_second_signal_is_not_held_back(model):
    before = signal.getsignal(signal.SIGINT)  # a shell ignores it in what runs in the background
    stop = kc.StopOnSignal()
    stop.set_model(model)
    stop.on_train_begin()
    try:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == signal.SIGINT
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        stop.restore()
    assert signal.getsignal(signal.SIGINT) is before


def test_handlers_are_given_back_after_training(model, images):
    before = signal.getsignal(signal.SIGTERM)
    fit(model, images, kc.StopOnSignal(), epochs=1)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("first", "epochs"), [(0.5, 6), (1.25, 4)])
def test_the_time_budget_ends_before_it_is_overdrawn(model, images, monkeypatch, first, epochs):
    now = [100.0]
    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def passes(epoch, logs):
        now[0] += 0.5 if epoch else first  # the first one also compiles

    slow = keras.callbacks.LambdaCallback(on_epoch_end=passes)
    result = fit(model, images, slow, kc.TimeBudget(3.0), epochs=100)
    assert len(result.epoch) == epochs
    assert now[0] <= 103.0


def test_progress_is_a_line_an_epoch_where_there_is_no_terminal(model, images):
    import io

    from rich.console import Console

    text = io.StringIO()
    fit(model, images, kc.Progress(2, 4, Console(file=text)))
    lines = text.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "generator loss" in lines[0]


def test_progress_is_a_bar_on_a_terminal(model, images):
    import io

    from rich.console import Console

    text = io.StringIO()
    fit(model, images, kc.Progress(1, 4, Console(file=text, force_terminal=True, width=200)), epochs=1)
    assert "4/4" in text.getvalue()
