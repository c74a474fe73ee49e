import os
import pickle
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_gen.data.pipeline
from keras_gen.data import describe, load, set_epoch
from keras_gen.data.arrays import ArraySource

DIGITS = np.load(Path(keras_gen.data.__file__).parent / "digits.npz")


def epoch(data):
    """All of one epoch, joined: images, or images and labels."""
    batches = list(data.as_numpy_iterator())
    if isinstance(batches[0], tuple):
        return tuple(np.concatenate(part) for part in zip(*batches, strict=True))
    return np.concatenate(batches)


@pytest.fixture
def folder(tmp_path):
    """Twelve grey images of one height and many widths: columns count from 0, so a crop tells its place."""
    for i in range(12):
        columns = np.tile(np.arange(20 + i, dtype=np.uint8) * 5, (16, 1))
        Image.fromarray(columns).save(tmp_path / f"{i:02}.png")
    return f"folder:{tmp_path}"


def test_digits_as_model_fit_takes_them():
    data = load("digits", labels=True)
    images, labels = data.element_spec
    assert images.shape == (64, 28, 28, 1)
    assert images.dtype == tf.float32
    assert labels.shape == (64,)
    assert labels.dtype == tf.int64
    assert data.cardinality() == 62 == len(list(data))
    images, _ = epoch(data)
    assert images.min() == -1.0
    assert images.max() == 1.0


def test_each_image_comes_once_with_its_label():
    images, labels = epoch(load("digits", split="test", labels=True))
    assert len(images) == 1000  # nothing is dropped outside training
    test = zip(DIGITS["images"][4000:], DIGITS["labels"][4000:], strict=True)
    known = {image.tobytes(): label for image, label in test}
    pixels = np.round((images + 1) * 127.5).astype(np.uint8)
    assert [known.pop(image.tobytes()) for image in pixels] == labels.tolist()
    assert not known


def test_without_shuffling_the_order_is_that_of_the_source():
    images = epoch(load("digits", split="train[:100]", batch_size=30, shuffle=False))
    np.testing.assert_allclose(images[..., 0], DIGITS["images"][:100] / 127.5 - 1, atol=1e-6)


def test_the_epoch_can_be_set_through_what_is_derived_from_a_data_set():
    def labels(data):
        return [batch[1].numpy().tolist() for batch in data]

    data = load("digits", labels=True, split="train[:100]", batch_size=25)
    epochs = [labels(data) for _ in range(3)]
    derived = data.map(lambda images, labels: (images, labels)).take(2).prefetch(1)
    set_epoch(derived, 1)
    assert labels(derived) == epochs[1][:2]
    assert labels(derived) == epochs[2][:2]
    set_epoch(data, 0)
    assert labels(data) == epochs[0]
    set_epoch(tf.data.Dataset.range(3), 5)  # others are left alone


@pytest.mark.parametrize("cache", [True, False])
def test_epochs_differ_and_are_reproducible(cache):
    def loaded(**options):
        return load(
            "digits",
            split="train[:300]",
            crop="random",
            image_size=(28, 20),
            flip=True,
            cache=cache,
            **options,
        )

    data = loaded()
    first, second = epoch(data), epoch(data)
    assert not np.array_equal(first, second)
    again = loaded()
    np.testing.assert_array_equal(epoch(again), first)
    np.testing.assert_array_equal(epoch(again), second)
    # A run resumed at the second epoch sees what it would have seen.
    np.testing.assert_array_equal(epoch(loaded(initial_epoch=1)), second)
    assert not np.array_equal(epoch(loaded(seed=1)), first)


def test_the_cache_changes_nothing():
    options = {"split": "train[:200]", "image_size": (20, 24), "channels": 3, "flip": True, "labels": True}
    for crop in ("center", "random", None):
        cached = epoch(load("digits", cache=True, crop=crop, **options))
        streamed = epoch(load("digits", cache=False, crop=crop, **options))
        # Rounding to bytes may fall to either side.
        np.testing.assert_allclose(cached[0], streamed[0], atol=1.01 / 127.5)
        assert np.mean(cached[0] != streamed[0]) < 1e-3
        np.testing.assert_array_equal(cached[1], streamed[1])


def test_the_cache_of_a_folder_changes_nothing(folder):
    for crop in ("center", "random"):
        options = {"image_size": 8, "batch_size": 5, "crop": crop, "flip": True, "drop_remainder": False}
        np.testing.assert_array_equal(
            epoch(load(folder, cache=True, **options)), epoch(load(folder, cache=False, **options))
        )


def test_large_data_are_not_cached(monkeypatch):
    cached = []
    read = ArraySource.read

    def note(self, geometry):
        cached.append(self.num_examples)
        return read(self, geometry)

    monkeypatch.setattr(ArraySource, "read", note)
    monkeypatch.setattr(keras_gen.data.pipeline, "CACHE_BYTES", 99 * 14 * 14)
    for count in (99, 100):
        assert load("digits", 14, split=f"train[:{count}]", batch_size=1).cardinality() == count
    assert cached == [99]


def test_random_crops_and_flips_reach_every_place(folder):
    data = load(folder, 16, batch_size=12, crop="random", flip=True)
    images = np.concatenate([epoch(data) for _ in range(30)])
    columns = np.round((images[:, 0, :, 0] + 1) * 127.5 / 5).astype(int)
    flipped = columns[:, 0] > columns[:, -1]
    assert 0.35 < flipped.mean() < 0.65
    left = np.where(flipped, columns[:, -1], columns[:, 0])
    assert left.min() == 0
    assert left.max() == 31 - 16
    np.testing.assert_array_equal(np.sort(columns, axis=1), left[:, None] + np.arange(16))


def test_center_crops_and_unbatched_images(folder):
    data = load(folder, 16, batch_size=None, shuffle=False)
    assert data.cardinality() == 12
    images = list(data.as_numpy_iterator())
    assert [image.shape for image in images] == [(16, 16, 1)] * 12
    left = [round((image[0, 0, 0] + 1) * 127.5 / 5) for image in images]
    assert left == [(20 + i - 16) // 2 for i in range(12)]


def test_float_images_keep_their_precision(tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (5, 4, 4, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=images)
    np.testing.assert_array_equal(
        epoch(load(f"npz:{tmp_path / 'a.npz'}", batch_size=5, shuffle=False)), images
    )


def test_fewer_images_than_a_batch():
    with pytest.warns(UserWarning, match="digits has only 10 images, fewer than batch_size=64: using 10"):
        data = load("digits", split="train[:10]")
    assert epoch(data).shape == (10, 28, 28, 1)


def test_remainders():
    options = {"split": "train[:100]", "batch_size": 30}
    assert len(epoch(load("digits", **options))) == 90
    assert len(epoch(load("digits", drop_remainder=False, **options))) == 100
    assert len(epoch(load("digits", shuffle=False, **options))) == 100
    assert load("digits", drop_remainder=False, **options).cardinality() == 4


def test_describe_tells_what_load_gives(folder):
    about = describe("digits", (32, 24), 3, "test[:7]")
    data = load("digits", (32, 24), 3, None, "test[:7]")
    assert about.image_shape == tuple(data.element_spec.shape)
    assert about.num_examples == data.cardinality() == 7
    assert about.num_classes == 10
    assert about.splits == {"train": 4000, "test": 1000}
    about = describe(folder, 16)
    assert about.image_shape == (16, 16, 1)
    assert about.num_classes is None
    with pytest.raises(ValueError, match=r"00.png is 16x20, 01.png is 16x21\): pass image_size"):
        describe(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, r"image_size is a number of pixels.*received 0"),
        ({"image_size": (28, 28, 1)}, r"image_size .*received \(28, 28, 1\)"),
        ({"image_size": 28.5}, r"image_size .*received 28.5"),
        ({"channels": 2}, "channels is 1 .grey., 3 .colour. or None"),
        ({"batch_size": 0}, "batch_size is 1 or more, or None"),
        ({"seed": "a"}, "seed is an integer"),
        ({"initial_epoch": -1}, "initial_epoch is 0 or more"),
        ({"crop": "centre"}, "crop is 'center', 'random' or None"),
        ({"cache": "disk"}, "cache is 'auto', True or False"),
        ({"split": "tset"}, "did you mean 'test'"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        load("digits", **options)


def test_labels_where_there_are_none(folder):
    with pytest.raises(ValueError, match="has no labels: load it with labels=False"):
        load(folder, 16, labels=True)


def run(script, *arguments):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "SCRIPT": script}
    command = [sys.executable, "-c", "import os; exec(os.environ['SCRIPT'])", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


SHARES = """
import json, os, pickle, sys
import tensorflow as tf
out, folder, workers, index, port = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
cpu = tf.config.list_physical_devices("CPU")[0]
if workers == 1:
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
else:
    cluster = {"worker": [f"localhost:{port + i}" for i in range(workers)]}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
from keras_gen.data import load
with strategy.scope():
    sets = [
        load("digits", 8, batch_size=10, split="train[:40]", labels=True, flip=True),
        load(folder, 8, batch_size=6, crop="random", flip=True, cache=False),
    ]
values = lambda x: [v.numpy() for v in strategy.experimental_local_results(x)]
steps = [
    [[values(part) for part in tf.nest.flatten(batch)] for batch in distributed]
    for distributed in map(strategy.experimental_distribute_dataset, sets)
    for epoch in range(2)
]
with open(out, "wb") as file:
    pickle.dump(steps, file)
"""


def free_ports():
    """The first of two neighbouring ports that nobody listens on."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("localhost", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("localhost", port + 1))
            except OSError:
                continue
            return port


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_replicas_share_the_global_batches_of_one_process(folder, tmp_path, workers):
    port = free_ports()
    outs = [tmp_path / f"{i}.pickle" for i in range(workers)]
    running = [run(SHARES, out, folder, workers, i, port) for i, out in enumerate(outs)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()[-2000:]
    shares = [pickle.loads(out.read_bytes()) for out in outs]

    sets = [
        load("digits", 8, batch_size=10, split="train[:40]", labels=True, flip=True),
        load(folder, 8, batch_size=6, crop="random", flip=True, cache=False),
    ]
    epochs = [list(data.as_numpy_iterator()) for data in sets for _ in range(2)]
    assert [len(steps) for steps in epochs] == [4, 4, 2, 2]
    for i, steps in enumerate(epochs):
        assert all(len(share[i]) == len(steps) for share in shares)
        for step, batch in enumerate(steps):
            for part, whole in enumerate(tf.nest.flatten(batch)):
                pieces = [piece for share in shares for piece in share[i][step][part]]
                assert [len(piece) for piece in pieces] == [len(whole) // 2] * 2
                np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_no_warnings_in_daily_use(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        epoch(load("digits", labels=True, split="train[:64]"))
        epoch(load(folder, 16, batch_size=4, cache=False))
