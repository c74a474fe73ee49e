"""The classifier of the data itself: accuracy, cache, any size and form of data, broken input."""

import random
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen.data
from keras_gen.metrics import classifier, classifier_features, frechet_distance, train_classifier

STEPS = 3  # enough for all but the accuracy


@pytest.fixture(scope="module")
def digits():
    with np.load(Path(keras_gen.data.__path__[0]) / "digits.npz") as archive:
        return archive["images"][..., None] / np.float32(127.5) - 1, archive["labels"].astype("int32")


@pytest.fixture
def few(digits):
    return digits[0][:200], digits[1][:200]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "classifiers"


@pytest.fixture
def trainings(monkeypatch):
    """Counts trainings."""
    calls = []
    train = classifier._train
    monkeypatch.setattr(classifier, "_train", lambda *arguments: calls.append(1) or train(*arguments))
    return calls


def test_held_out_digits_are_recognized(digits):
    images, labels = digits
    network = train_classifier(images[:4000], labels[:4000], steps=400)  # a third of the default
    predicted = network.predict(images[4000:], verbose=0).argmax(axis=1)
    assert (predicted == labels[4000:]).mean() >= 0.97


def test_features_and_their_name(few):
    extractor = classifier_features(*few, steps=STEPS)
    features = extractor.predict(few[0], verbose=0)
    assert features.shape == (200, 64)
    assert features.dtype == np.float32
    assert extractor.name.startswith("classifier-28x28x1-")
    assert extractor.trainable_variables == []
    network = train_classifier(*few, steps=STEPS)
    last = network.get_layer("network").layers[-1]
    np.testing.assert_allclose(last(features), network.predict(few[0], verbose=0), atol=1e-4)


def test_second_call_reads_the_cache(few, cache, trainings):
    first = classifier_features(*few, steps=STEPS)
    assert [path.suffix for path in cache.iterdir()] == [".keras"]
    second = classifier_features(*few, steps=STEPS)
    assert len(trainings) == 1
    assert second.name == first.name
    np.testing.assert_array_equal(second.predict(few[0], verbose=0), first.predict(few[0], verbose=0))


def test_training_again_gives_the_same_space(few, tmp_path):
    names = set()
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        names.add(classifier_features(*few, steps=STEPS, cache_dir=tmp_path / str(seed)).name)
    assert len(names) == 1


def test_random_state_of_the_caller_is_untouched(few):
    keras.utils.set_random_seed(5)
    expected = (random.random(), np.random.rand(), float(tf.random.uniform(())))  # noqa: NPY002
    keras.utils.set_random_seed(5)
    train_classifier(*few, steps=1)
    assert (random.random(), np.random.rand(), float(tf.random.uniform(()))) == expected  # noqa: NPY002


def test_order_and_form_of_the_data_do_not_matter(few, trainings):
    order = np.random.default_rng(0).permutation(200)
    batched = tf.data.Dataset.from_tensor_slices((few[0][order], few[1][order].astype("int64"))).batch(33)
    names = {
        classifier_features(*few, steps=STEPS).name,
        classifier_features(few[0][order], few[1][order].tolist(), steps=STEPS).name,
        classifier_features(batched, steps=STEPS).name,
        classifier_features(batched.unbatch(), steps=STEPS).name,
    }
    assert len(names) == len(trainings) == 1


def test_other_data_has_another_space(few, trainings):
    flipped = few[0][:, :, ::-1]
    relabelled = (few[1] + 1) % 10
    names = {
        classifier_features(*data, steps=STEPS).name
        for data in (few, (flipped, few[1]), (few[0], relabelled))
    }
    assert len(names) == len(trainings) == 3


def test_fingerprint_spares_reading_the_data(few, trainings):
    first = classifier_features(*few, fingerprint="digits:train", steps=STEPS)

    def unreadable():
        raise AssertionError("the data was read")
        yield

    spec = (tf.TensorSpec((None, 28, 28, 1)), tf.TensorSpec((None,), tf.int32))
    data = tf.data.Dataset.from_generator(unreadable, output_signature=spec)
    assert classifier_features(data, fingerprint="digits:train", steps=STEPS).name == first.name
    classifier_features(*few, fingerprint="digits:test", steps=STEPS)
    assert len(trainings) == 2


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_damaged_cache_is_mended(few, cache, trainings, damage):
    first = classifier_features(*few, steps=STEPS)
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-500] if damage is None else damage)
    with pytest.warns(UserWarning, match="damaged and is trained again"):
        assert classifier_features(*few, steps=STEPS).name == first.name
    assert classifier_features(*few, steps=STEPS).name == first.name
    assert len(trainings) == 2


def test_unwritable_cache_is_done_without(few, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("where a folder should be")
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="could not be cached.*KERAS_GEN_CACHE"):
        assert classifier_features(*few, steps=STEPS).output_shape == (None, 64)


def test_cache_folder(monkeypatch, tmp_path):
    assert classifier.default_cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("KERAS_GEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert classifier.default_cache_dir() == tmp_path / "xdg" / "keras-gen"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert classifier.default_cache_dir() == tmp_path / ".cache" / "keras-gen"


def test_precision_policy_does_not_reach_the_features(few, tmp_path):
    expected = classifier_features(*few, steps=STEPS, cache_dir=tmp_path / "float32")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trained, cached = (
            classifier_features(*few, steps=STEPS, cache_dir=tmp_path / "bfloat16") for _ in range(2)
        )
        answers = [extractor.predict(few[0], verbose=0) for extractor in (trained, cached)]
    finally:
        keras.config.set_dtype_policy("float32")
    assert trained.name == cached.name == expected.name
    for answer in answers:
        np.testing.assert_array_equal(answer, expected.predict(few[0], verbose=0))


def test_large_colour_images_and_any_label_values(cache):
    # Two kinds that differ by colour, labelled 7 and 100: the classifier must tell them apart.
    random = np.random.default_rng(0)
    labels = np.repeat([7, 100], 60)
    images = random.uniform(-0.5, 0.5, (120, 50, 70, 3)).astype("float32")
    images[60:, ..., 0] += 0.4
    network = train_classifier(images, labels, steps=60)
    predicted = np.array([7, 100])[network.predict(images, verbose=0).argmax(axis=1)]
    assert (predicted == labels).mean() > 0.95
    extractor = classifier_features(images, labels, steps=STEPS)
    assert extractor.input_shape == (None, 50, 70, 3)
    assert classifier_features(images, labels, steps=STEPS).name == extractor.name


def test_distance_grows_with_damage(few, digits):
    extractor = classifier_features(*few, steps=60)
    noise = np.random.default_rng(0).standard_normal((1000, 28, 28, 1)).astype("float32")
    real = extractor.predict(digits[0][:1000], verbose=0)

    def distance(level):
        noisy = np.clip(digits[0][1000:2000] + level * noise, -1, 1)
        return frechet_distance(real, extractor.predict(noisy, verbose=0))

    assert distance(0.0) < distance(0.5) < distance(1.0)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 28, 28, 1)), None, "needs labels"),
        (tf.data.Dataset.from_tensors(np.zeros((4, 28, 28, 1))), None, "needs labels"),
        (np.zeros((4, 28, 28)), [0, 1, 0, 1], r"\(count, height, width, channels\)"),
        (np.zeros((4, 8, 8, 1)), [0, 1, 0], "one per image"),
        (np.zeros((4, 8, 8, 1)), np.eye(4), "one per image"),
        (np.zeros((4, 8, 8, 1)), [0, 0, 0, 0], "two classes"),
        (np.zeros((4, 8, 8, 1)), [0.5, 1.0, 0.0, 2.0], "whole numbers"),
        (np.full((4, 8, 8, 1), 255.0), [0, 1, 0, 1], "from 255 to 255"),
        (np.full((4, 8, 8, 1), np.nan), [0, 1, 0, 1], r"lie in \[-1, 1\]"),
        (np.zeros((0, 8, 8, 1)), [], "at least one image"),
    ],
)
def test_broken_data_is_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        classifier_features(images, labels, steps=STEPS)


def test_scope_of_a_strategy_is_refused(few):
    with (
        tf.distribute.MirroredStrategy(["cpu:0"]).scope(),
        pytest.raises(RuntimeError, match="outside strategy"),
    ):
        train_classifier(*few, steps=1)
