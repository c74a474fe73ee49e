import json
from dataclasses import asdict

import numpy as np
import pytest

from keras_gen.runs import Settings
from keras_gen.runs.settings import absolute_spec


def test_resolved_settings_leave_nothing_open():
    made = Settings("wgan-gp", "digits", epochs=4).resolved()
    assert (made.preset, made.latent_dim, made.image_size, made.channels) == ("dcgan-28", 128, 28, 1)
    assert made.options == {
        "penalty_weight": 10.0,
        "discriminator_steps": 5,
        "target": 1.0,
        "one_sided": False,
    }
    assert made.precision in ("float32", "bfloat16")
    assert isinstance(made.seed, int)
    assert made.resolved() == made


def test_the_moving_average_fits_the_number_of_steps():
    """The initial weights keep e^-4 at most, and the decay is at most 0.999."""
    few = Settings("gan", "digits", epochs=5).resolved()
    assert few.ema ** (5 * 62) == pytest.approx(2.718281828**-4, rel=0.05)
    assert Settings("gan", "digits", epochs=500).resolved().ema == 0.999
    assert Settings("gan", "digits", epochs=1, steps_per_epoch=1).resolved().ema == 0
    assert Settings("gan", "digits", ema=0.5).resolved().ema == 0.5
    assert Settings("vq-vae", "digits", epochs=500).resolved().ema == 0


def test_settings_are_read_as_they_were_written(tmp_path):
    made = Settings("gan", "digits", options={"saturating": True}, seed=3).resolved()
    made.write(tmp_path / "config.json")
    assert Settings.read(tmp_path / "config.json") == made
    found = json.loads((tmp_path / "config.json").read_text())
    assert set(found) == {*asdict(made), "versions"}


@pytest.mark.parametrize("text", ["", "[]", '{"model": "gan"}'])
def test_damaged_settings_are_named(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config.json does not hold the settings"):
        Settings.read(path)


def test_a_seed_that_cannot_be_is_refused_before_anything_is_written():
    with pytest.raises(ValueError, match=r"--seed must be .*received -1"):
        Settings("gan", "digits", seed=-1).resolved()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("learning_rate", (-1, 0, float("nan"), float("inf"))),
        ("gradient_clip", (-1, float("nan"))),
        ("latent_dim", (0, -3)),
    ],
)
def test_numbers_out_of_range_are_refused_by_the_options_name(name, values):
    option = "--" + name.replace("_", "-")
    for value in values:
        with pytest.raises(ValueError, match=f"{option} must be .* received {value}"):
            Settings("gan", "digits", **{name: value}).resolved()


def test_options_are_of_the_kind_of_their_defaults():
    with pytest.raises(ValueError, match="saturating must be true or false; received maybe"):
        Settings("gan", "digits", options={"saturating": "maybe"}).resolved()


def test_all_classes_of_the_data_are_counted():
    assert Settings("conditional-vae", "digits").resolved().options["num_classes"] == 10
    with pytest.raises(ValueError, match=r"num_classes must be 10 or more.*received 3"):
        Settings("conditional-vae", "digits", options={"num_classes": 3}).resolved()


def test_a_slice_of_a_single_class_gives_no_labels(tmp_path):
    images = np.zeros((12, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "ordered.npz", images=images, labels=np.repeat([0, 1], 6))
    spec = f"npz:{tmp_path / 'ordered.npz'}"
    assert Settings("gan", spec, split="train[:5]").labelled() == (None, None)
    assert Settings("gan", spec, split="train[:8]").labelled()[0] is not None


def test_data_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_spec("folder:photos") == f"folder:{tmp_path / 'photos'}"
    assert absolute_spec("npz:../a.npz") == f"npz:{tmp_path.parent / 'a.npz'}"
    assert absolute_spec("digits") == "digits"
    assert absolute_spec("tfds:mnist") == "tfds:mnist"
