"""Training in a folder: found paintings, previews, and a run that is interrupted and goes on."""

import itertools
import json
import math
import os
import signal
import types
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_gen.callbacks import TrainingInterrupted
from keras_gen.data import set_epoch
from keras_gen.networks.vgg import vgg16
from keras_gen.runs.folder import Run
from keras_gen.runs.lock import locked
from keras_gen.style import adain_training, painter
from keras_gen.style.adain_training import _hues, paired, train_adain, windows
from keras_gen.style.photographs import photographs
from keras_gen.style.settings import recall, remember
from keras_gen.style.training import Cosine, find_paintings, read_painting, train_style

SETTINGS = {"steps": 4, "width": 8, "batch_size": 2, "crop": 16, "precision_name": "float32"}


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


@pytest.mark.slow
def test_an_interrupted_run_goes_on_exactly(folder, tmp_path):
    straight = _train(folder, tmp_path / "straight", temporal_weight=5.0)
    assert straight.styles == ("a0", "b1")
    assert straight.calm
    assert int(straight.step.numpy()) == 4
    with pytest.raises(TrainingInterrupted, match="keras-gen train-style --resume --out"):
        _train(folder, tmp_path / "broken", temporal_weight=5.0, callbacks=[_Interrupt()])
    settings = recall(tmp_path / "broken")
    assert settings.pop("method") == "fast"
    again = train_style(**settings, out=tmp_path / "broken", resume=True, say=lambda line: None)
    assert int(again.step.numpy()) == 4
    for a, b in zip(straight.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    previews = sorted(path.name for path in (tmp_path / "broken" / "previews").iterdir())
    assert previews == ["step-000002.jpg", "step-000004.jpg"]
    sheet = Image.open(tmp_path / "broken" / "previews" / previews[-1])
    assert sheet.size == (3 * 16 + 4 * 2, 3 * 16 + 4 * 2)


def test_paintings_are_named_as_their_files(folder, tmp_path):
    found = find_paintings(folder / "paintings")
    assert list(found) == ["a0", "b1"]
    assert find_paintings([found["b1"]]) == {"b1": found["b1"]}
    painting = read_painting(found["a0"], size=24)
    assert painting.shape == (20, 24, 3)
    assert painting.dtype == np.float32
    assert np.abs(painting).max() <= 1
    with pytest.raises(FileNotFoundError, match="no images"):
        find_paintings(tmp_path)
    (tmp_path / "within").mkdir()
    Image.open(found["a0"]).save(tmp_path / "within" / "c.png")
    with pytest.raises(FileNotFoundError, match="in folders within it"):
        find_paintings(tmp_path)
    Image.open(found["a0"]).save(tmp_path / "d.png")
    assert list(find_paintings(tmp_path)) == ["d"]
    with pytest.raises(ValueError, match="same name"):
        find_paintings([found["a0"], found["a0"]])


def test_settings_are_kept_and_some_may_change(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    run = Run(tmp_path)
    arguments = {"styles": "paintings", "content": "photographs", "width": 8, "steps": 3, "out": tmp_path}
    remember(run, "fast", {**arguments, "resume": False, "say": print}, 0)
    monkeypatch.chdir(tmp_path)
    kept = {
        "method": "fast",
        "styles": str((folder / "paintings").resolve()),
        "content": str((folder / "photographs").resolve()),
        "width": 8,
        "steps": 3,
    }
    assert recall(tmp_path) == {**kept, "restraint_weight": 0}  # begun before there was any
    kept["restraint_weight"] = 0
    assert recall(tmp_path, {"steps": 9, "width": 8}) == {**kept, "steps": 9}
    with pytest.raises(ValueError, match=r"begun with --width 8, and --resume keeps that; received 16"):
        recall(tmp_path, {"width": 16})
    with pytest.raises(ValueError, match="begun without --blocks, and --resume keeps that"):
        recall(tmp_path, {"blocks": 9})
    with pytest.raises(ValueError, match=r"begun with --method fast"):
        recall(tmp_path, {"method": "adain"})
    run.config.write_text("[1]")
    with pytest.raises(ValueError, match="settings of a style training"):
        recall(tmp_path)


def test_another_learning_rate_falls_from_where_it_was_set(tmp_path):
    run, arguments = Run(tmp_path), {"styles": "paintings", "content": "photographs"}
    assert remember(run, "fast", {**arguments, "learning_rate": 4e-3}, 0) == 0
    assert remember(run, "fast", {**arguments, "learning_rate": 4e-3}, step=100) == 0
    assert remember(run, "fast", {**arguments, "learning_rate": 1e-3}, step=200) == 200
    again = recall(tmp_path)  # interrupted, and resumed as it is
    assert again.keys() == {"method", "styles", "content", "learning_rate", "restraint_weight"}
    assert remember(run, again.pop("method"), again, step=300) == 200
    assert remember(run, "fast", again, step=150) == 150  # an older checkpoint, put back
    kept = json.loads(run.config.read_text())
    del kept["learning_rate_since"]  # a run from before this was kept
    run.config.write_text(json.dumps(kept))
    assert remember(run, "fast", again, step=300) == 0


def test_the_learning_rate_rises_and_falls_along_a_cosine():
    model = types.SimpleNamespace(
        step=keras.Variable(0, dtype="int64"), model_optimizer=types.SimpleNamespace()
    )

    def rate(step, falling):
        model.step.assign(step)
        falling.set_model(model)
        falling.on_train_batch_begin(0)
        return model.model_optimizer.learning_rate

    for since in (0, 700):
        falling = Cosine(2e-3, since, since + 400)
        assert rate(since, falling) == pytest.approx(2e-3 / 50)
        assert rate(since + 100, falling) == pytest.approx(2e-3 * math.cos(math.pi / 8) ** 2)
        assert rate(since + 200, falling) == pytest.approx(1e-3)
        assert rate(since + 400, falling) == pytest.approx(0)


def test_windows_cover_a_painting_at_two_scales():
    painting = np.random.default_rng(0).uniform(-1, 1, (64, 100, 3)).astype("float32")
    found = windows(painting, 32)
    assert found.shape == (3 * 6 + 1 * 3, 32, 32, 3)
    np.testing.assert_allclose(found[0] / 127.5 - 1, painting[:32, :32], atol=0.005)
    np.testing.assert_allclose(found[17] / 127.5 - 1, painting[-32:, -32:], atol=0.005)
    assert windows(painting[:20], 32).shape[1:] == (32, 32, 3)


def test_pairs_are_the_same_in_a_resumed_epoch_and_show_every_painting(folder):
    colours = [np.full((1, 16, 16, 3), value, np.uint8) for value in (0, 100, 255)]
    colours[1][..., 0] = 50
    pairs = paired(photographs(str(folder / "photographs"), 16, 2, seed=3), colours, seed=3)
    set_epoch(pairs, 1)
    whole = list(pairs)
    assert len(whole) == 3
    assert whole[0][1].shape == (2, 16, 16, 3)
    set_epoch(pairs, 1)
    for resumed, straight in zip(pairs.skip(1), whole[1:], strict=True):
        for a, b in zip(resumed, straight, strict=True):
            np.testing.assert_array_equal(a, b)
    drawn = np.concatenate([styles[:, 0, 0] for _ in range(8) for _, styles in pairs])
    for colour in colours:
        assert np.isclose(drawn, colour[0, 0, 0] / 127.5 - 1, atol=1e-5).all(-1).any()
    # By other hues the one that is no grey has the same sum.
    hued = drawn[np.isclose(drawn.sum(-1), 250 / 127.5 - 3, atol=1e-4)]
    assert {0, 1, 2} == set(hued.argmin(-1).tolist())


def test_a_third_of_the_paintings_have_the_colours_of_another_photograph(folder):
    noise = np.random.default_rng(0).integers(64, 192, (1, 16, 16, 3)).astype(np.uint8)
    pairs = paired(photographs(str(folder / "photographs"), 16, 2, seed=3), [noise], seed=3)
    matched = []
    for images, styles in itertools.chain.from_iterable([pairs] * 12):
        for other, style in zip(images.numpy()[::-1], styles.numpy(), strict=True):
            assert np.abs(style).max() <= 1
            matched.append(np.abs(style.mean((0, 1)) - other.mean((0, 1))).max() < 0.01)
            contrast = (style - style.mean((0, 1))).std()
            assert 0.15 < contrast < 0.35  # the painting's own
    assert 0.2 < np.mean(matched) < 0.5


def test_windows_are_turned_and_mirrored(folder):
    """A gradient that rises downwards is seen to rise to either side as well."""
    ramp = np.broadcast_to(np.linspace(0, 255, 16)[:, None], (1, 16, 16, 3)).astype(np.uint8)
    pairs = paired(photographs(str(folder / "photographs"), 16, 2, seed=3), [ramp], seed=3)
    corners = {
        tuple((one[[0, 0, 15, 15], [0, 15, 0, 15]].mean(-1) > 0).tolist())
        for _ in range(12)
        for _, styles in pairs
        for one in styles.numpy()
    }
    assert corners == {(False, True, False, True), (True, False, True, False), (False, False, True, True)}


def test_hues_turn_about_grey():
    turns = _hues(tf.constant([0.0, 1 / 3, 0.17, 0.0]), tf.constant([False, False, False, True])).numpy()
    np.testing.assert_allclose(turns[0], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(turns[1], np.roll(np.eye(3), 1, 1), atol=1e-6)
    np.testing.assert_allclose(turns[2] @ turns[2].T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(np.ones(3) @ turns[2], np.ones(3), atol=1e-6)
    np.testing.assert_allclose(turns[3], np.eye(3)[::-1], atol=1e-6)


def test_a_painting_is_read_as_any_picture(tmp_path):
    Image.fromarray(np.full((40, 40), 20000, np.uint16)).save(tmp_path / "sixteen.png")
    np.testing.assert_allclose(read_painting(tmp_path / "sixteen.png"), 20000 / 32767.5 - 1, atol=0.01)


@pytest.mark.slow
def test_a_run_that_failed_at_once_goes_on(folder, tmp_path):
    class Fail(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            raise MemoryError

    with pytest.raises(MemoryError):
        _train(folder, tmp_path / "run", callbacks=[Fail()])
    again = _train(folder, tmp_path / "run", resume=True, steps=1)
    assert int(again.step.numpy()) == 1
    with pytest.raises(ValueError, match="is at step 1 already, of --steps 1: ask for more"):
        _train(folder, tmp_path / "run", resume=True, steps=1)


@pytest.mark.slow
@pytest.mark.parametrize("train", [train_style, train_adain])
def test_a_runs_restraint_is_its_models(folder, tmp_path, train):
    """Whatever a caller says who goes on: it is recorded as it is, and an older run goes on without."""

    def trained(**options):
        arguments = {**SETTINGS, "backbone": str(folder / "vgg.weights.h5"), "say": lambda line: None}
        places = folder / "paintings", str(folder / "photographs"), tmp_path
        return train(*places, **{**arguments, **options})

    trained(restraint_weight=0.0, steps=1)
    model = trained(restraint_weight=0.5, steps=2, resume=True)
    assert model.restraint_weight == recall(tmp_path)["restraint_weight"] == 0
    config = Run(tmp_path).config
    settings = json.loads(config.read_text())
    del settings["restraint_weight"]  # as before there was any
    config.write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"begun with --restraint-weight 0\.0, .*received 0\.5"):
        recall(tmp_path, {"restraint_weight": 0.5})
    settings = recall(tmp_path, {"restraint_weight": 0.0, "steps": 3})
    del settings["method"]
    model = train(**settings, out=tmp_path, resume=True, say=lambda line: None)
    assert (int(model.step.numpy()), model.restraint_weight) == (3, 0)


@pytest.mark.slow
def test_what_a_run_was_begun_with_stays(folder, tmp_path):
    """Going on by Python, a function's other arguments are its defaults, and count for nothing."""
    begun = _train(folder, tmp_path, steps=1, temporal_weight=5.0, blocks=1, calm_blocks=2, seed=3)
    parts = begun.network.get_layer("blend")
    counts = [
        sum(layer.name.endswith("b_depthwise") for layer in part.layers)
        for part in (parts.calm, parts.patterned)
    ]
    assert counts[0] - counts[1] == 1
    settings = recall(tmp_path)
    again = train_style(
        "", settings["content"], tmp_path, steps=2, crop=16, resume=True, say=lambda line: None
    )
    assert again.temporal_weight == begun.temporal_weight == 5
    changed = {"steps": 2, "batch_size": 4, "learning_rate": 4e-3}
    assert recall(tmp_path) == {**settings, **changed}
    for weight in (-4.0, [1.0, 2.0, 3.0], float("nan")):
        with pytest.raises(ValueError, match="style_weight must be a number of at least 0, or one for each"):
            _train(folder, tmp_path, steps=3, resume=True, style_weight=weight)
    with pytest.raises(ValueError, match=r"total_variation_weight must be .* received -1"):
        _train(folder, tmp_path, steps=3, resume=True, total_variation_weight=-1)
    assert recall(tmp_path) == {**settings, **changed}
    with pytest.raises(FileExistsError, match="holds a run already"):
        _train(folder, tmp_path, steps=3)
    with pytest.raises(ValueError, match="received 2, and a temporal_weight of 0"):
        _train(folder, tmp_path / "other", calm_blocks=2)


@pytest.mark.slow
def test_any_paintings_network_goes_on_by_the_paintings_it_was_begun_with(folder, tmp_path, monkeypatch):
    arguments = {**SETTINGS, "backbone": str(folder / "vgg.weights.h5"), "say": lambda line: None, "steps": 1}
    photographs = str(folder / "photographs")
    train_adain(folder / "paintings", photographs, tmp_path, **arguments, painting_size=24)
    read, settings = [], recall(tmp_path)
    real = adain_training.read_painting
    monkeypatch.setattr(adain_training, "read_painting", lambda *given: read.append(given) or real(*given))
    train_adain("", photographs, tmp_path, steps=2, crop=16, resume=True, say=lambda line: None)
    assert [(path.parent, size) for path, size in read] == [((folder / "paintings").resolve(), 24)] * 2
    assert {name: recall(tmp_path)[name] for name in ("styles", "painting_size")} == {
        name: settings[name] for name in ("styles", "painting_size")
    }


@pytest.mark.parametrize("train", [train_style, train_adain])
@pytest.mark.parametrize("resume", [True, False])
def test_two_do_not_train_in_one_folder(folder, tmp_path, train, resume):
    with locked(tmp_path), pytest.raises(BlockingIOError, match="in use by another process"):
        train(folder / "paintings", str(folder / "photographs"), tmp_path, resume=resume)
    with pytest.raises(FileNotFoundError):
        train(folder / "none", "folder:none", tmp_path / "run", resume=resume)
    assert not (tmp_path / "run").exists()
    (tmp_path / ".mine-2024.png").touch()  # as temporary files are called, but it is no run
    with pytest.raises(FileNotFoundError if resume else FileExistsError):
        train(folder / "paintings", str(folder / "photographs"), tmp_path, resume=resume)
    assert (tmp_path / ".mine-2024.png").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", None])
def test_a_damaged_checkpoint_is_named(folder, tmp_path, content):
    last = tmp_path / "checkpoints" / "last.keras"
    last.parent.mkdir()
    if content is None:  # an archive, but of nothing
        with zipfile.ZipFile(last, "w") as archive:
            archive.writestr("config.json", "{")
    else:
        last.write_bytes(content)
    with pytest.raises(ValueError, match=r"last\.keras is damaged, .*: begin another"):
        _train(folder, tmp_path, resume=True)
    with pytest.raises(ValueError, match=r"last\.keras is damaged, .* [gG]ive a run of train-style"):
        painter.load(tmp_path)


def test_nothing_to_resume(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        _train(folder, tmp_path, resume=True)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        recall(tmp_path)
