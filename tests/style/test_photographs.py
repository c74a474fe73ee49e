"""Crops of photographs: of many sizes, in other colours, the same in a resumed epoch."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_gen.data import set_epoch
from keras_gen.style.photographs import photographs, recoloured


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six square photographs: red rises to the right, green downwards, blue is each one's own."""
    folder = tmp_path_factory.mktemp("photographs")
    rise = np.linspace(0, 255, 96).round().astype(np.uint8)
    for i in range(6):
        pixels = np.stack([*np.meshgrid(rise, rise), np.full((96, 96), 40 * i, np.uint8)], axis=-1)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return str(folder)


def _drawn(folder, epochs, **options):
    batches = photographs(folder, **{"crop": 48, "batch_size": 2, "seed": 0, **options})
    return np.concatenate([batch for _ in range(epochs) for batch in batches])


def test_shapes_and_range(folder):
    crops = _drawn(folder, 4)
    assert crops.shape == (24, 48, 48, 3)
    assert crops.dtype == np.float32
    assert np.abs(crops).max() <= 1


def test_windows_are_of_all_sizes_and_places_each_epoch_others(folder, monkeypatch):
    monkeypatch.setattr("keras_gen.style.photographs._RECOLOURED", 0)
    crops = _drawn(folder, 30)
    # Where a window goes beyond the photograph, its ramps turn; that shows all of it, or nearly.
    steps = np.diff(crops[..., 0], axis=2)
    beyond = (steps.max((1, 2)) > 0.01) & (steps.min((1, 2)) < -0.01)
    assert 0.3 < beyond.mean() < 0.55
    assert np.ptp(crops[beyond][..., 0], axis=(1, 2)).min() > 1.6
    # Square photographs too, which leave the loader no place to choose.
    assert len(np.unique(crops.reshape(180, -1).round(3), axis=0)) > 160
    crops = crops[~beyond]
    assert len(np.unique(crops.mean((1, 2)).round(3), axis=0)) > len(crops) * 160 / 180
    # What a window of the ramp spans is its side: from 0.6 to all of the photograph.
    red = np.abs(crops[:, :, -1, 0] - crops[:, :, 0, 0]).mean(1) / 2
    green = (crops[:, -1, :, 1] - crops[:, 0, :, 1]).mean(1) / 2
    np.testing.assert_allclose(red, green, atol=0.03)
    assert 0.55 < red.min() < 0.65
    assert 0.88 < red.max() <= 1
    tops = crops[red < 0.7][:, 0, :, 1].mean(1)
    assert tops.min() < -0.8
    assert tops.max() > -0.5


def test_half_are_recoloured(folder):
    # Blue is the same all over a photograph: one of six values where nothing was changed.
    blue = _drawn(folder, 30)[..., 2].reshape(180, -1)
    unchanged = [np.abs(blue - (40 * i / 127.5 - 1)).max(1) < 1e-4 for i in range(6)]
    assert 60 < np.any(unchanged, axis=0).sum() < 120


def test_recoloured_pictures_stay_recognizable():
    picture = tf.constant(np.random.default_rng(0).uniform(-1, 1, (16, 16, 3)), tf.float32)
    found = np.stack([recoloured(picture, tf.constant([i, 0])) for i in range(64)])
    assert np.abs(found).max() < 2.3
    light, dark = picture.numpy().sum(-1) > 2, picture.numpy().sum(-1) < -2
    assert (found[:, light].mean((1, 2)) > found[:, dark].mean((1, 2)) + 0.1).all()
    spread = found.std((1, 2)).mean(1)
    assert spread.min() < 0.4 * spread.max()
    assert np.ptp(found.mean((1, 2, 3))) > 0.5


def test_the_same_in_a_resumed_epoch(folder):
    batches = photographs(folder, 48, 2, seed=3)
    set_epoch(batches, 1)
    whole = list(batches)
    set_epoch(batches, 1)
    for resumed, straight in zip(batches.skip(1), whole[1:], strict=True):
        np.testing.assert_array_equal(resumed, straight)


def test_one_photograph_is_many(folder, tmp_path):
    Image.open(f"{folder}/3.png").save(tmp_path / "one.png")
    crops = _drawn(str(tmp_path), 20, batch_size=1)
    assert len(np.unique(crops.mean((1, 2, 3)).round(4))) > 15
    with pytest.raises(ValueError, match=r"one\.png is one photograph: put it in a folder"):
        photographs(str(tmp_path / "one.png"), 20, 1, seed=0)


def test_a_crop_that_is_too_small(folder):
    with pytest.raises(ValueError, match="at least 16 pixels; received 8"):
        photographs(folder, 8, 2, seed=0)


def test_fewer_photographs_than_a_batch(folder):
    with pytest.warns(UserWarning, match="only 6 images"):
        batches = photographs(folder, 16, 8, seed=0)
    assert [batch.shape[0] for batch in batches] == [6]
