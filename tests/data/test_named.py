import numpy as np
import pytest
import tensorflow as tf

from keras_gen.data import load, named
from keras_gen.data.geometry import Geometry
from keras_gen.data.named import open_named

tfds = pytest.importorskip("tensorflow_datasets")


def store(data_dir, name, images, shape, labels=True, dtype=np.uint8):
    """A prepared data set of `images`, by split, as tensorflow-datasets leaves one on disk."""
    features = {"image": tfds.features.Image(shape=shape, dtype=dtype)}
    if labels:
        features["label"] = tfds.features.ClassLabel(names=["even", "odd"])
    features = tfds.features.FeaturesDict(features)

    def split(arrays):
        def examples():
            for i, array in enumerate(arrays):
                yield {"image": array} | ({"label": i % 2} if labels else {})

        signature = {"image": tf.TensorSpec((None, None, shape[-1]), dtype)}
        signature |= {"label": tf.TensorSpec((), tf.int64)} if labels else {}
        return tf.data.Dataset.from_generator(examples, output_signature=signature)

    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=features,
        split_datasets={key: split(arrays) for key, arrays in images.items()},
        data_dir=data_dir,
        disable_shuffling=True,
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    tiny = [np.full((8, 6, 1), 10 * i, np.uint8) for i in range(10)]
    store(folder, "tiny", {"test": tiny[:3], "train": tiny}, (8, 6, 1))
    ragged = [np.full((8, 8 + 4 * i, 3), i, np.uint8) for i in range(4)]
    store(folder, "ragged", {"train": ragged}, (None, None, 3), labels=False)
    deep = [np.full((4, 4, 1), 257 * i, np.uint16) for i in range(3)]
    store(folder, "deep", {"train": deep}, (4, 4, 1), dtype=np.uint16)
    return str(folder)


@pytest.mark.parametrize(
    ("argument", "split", "expected"),
    [
        ("tiny", "train", list(range(10))),
        ("tiny", "train[:3]", [0, 1, 2]),
        ("tiny", "train[-20%:]", [8, 9]),
        ("tiny:test", "train", [0, 1, 2]),
        ("tiny:1.0.0", "test", [0, 1, 2]),
        ("tiny:1.0.0:train[4:6]", "train", [4, 5]),
        ("tiny", "all[9:11]", [9, 0]),
    ],
)
def test_splits_and_slices(data_dir, argument, split, expected):
    source = open_named(argument, split, f"tfds:{argument}", data_dir)
    assert source.num_examples == len(expected)
    read = source.read(Geometry((8, 6), 1))
    assert (read.images[:, 0, 0, 0] // 10).tolist() == expected
    assert read.labels.tolist() == [i % 2 for i in expected]


def test_properties(data_dir):
    source = open_named("tiny", "train", "tfds:tiny", data_dir)
    assert source.splits == {"train": 10, "test": 3}
    assert next(iter(source.splits)) == "train"
    assert source.class_names == ("even", "odd")
    assert source.common_size() == (8, 6)
    assert source.channels == 1
    assert source.training
    assert not open_named("tiny:test", "train", "tfds:tiny:test", data_dir).training


def test_stream_is_shuffled_by_its_seed(data_dir):
    stream = open_named("tiny", "train", "tfds:tiny", data_dir).stream(Geometry((8, 6), 1))

    def epoch(number, shuffle=True):
        key = tf.constant([0, number], tf.int64)
        return [image[0, 0, 0] // 10 for image, _ in stream.epoch(key, shuffle).as_numpy_iterator()]

    assert epoch(0, shuffle=False) == list(range(10))
    assert sorted(epoch(0)) == list(range(10))
    assert epoch(0) == epoch(0)
    assert epoch(0) != epoch(1)


def test_images_of_many_sizes(data_dir):
    source = open_named("ragged", "train", "tfds:ragged", data_dir)
    assert not source.has_labels
    with pytest.raises(ValueError, match="tfds:ragged has images of different sizes: pass image_size"):
        source.common_size()
    assert source.read(Geometry((4, 4), 3)).images.shape == (4, 4, 4, 3)
    images, sizes, _ = source.read(Geometry((4, 4), 3, "random"))
    assert images.shape == (4, 4, 10, 3)
    assert sizes.tolist() == [[4, 4], [4, 6], [4, 8], [4, 10]]
    assert [images[i, :, : sizes[i, 1]].mean() for i in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", [0, 5])
def test_the_order_is_free_of_tensorflows_global_seed(data_dir, seed):
    def order():
        data = load("tfds:ragged", 4, 1, 4, cache=False, data_dir=data_dir)
        return [batch[:, 0, 0, 0].tolist() for batch in data.repeat(4).as_numpy_iterator()]

    tf.random.set_seed(7)
    expected = order()
    tf.random.set_seed(seed)
    assert order() == expected
    tf.random.set_seed(seed)
    drawn = tf.random.normal(()).numpy()
    tf.random.set_seed(seed)
    order()
    assert tf.random.normal(()).numpy() == drawn  # and leaves it as it was


def test_loaded_with_and_without_the_cache(data_dir):
    def epochs(cache):
        data = load("tfds:ragged", 4, 1, 4, crop="random", flip=True, cache=cache, data_dir=data_dir)
        assert data.cardinality() == 1
        return [next(data.as_numpy_iterator()) for _ in range(3)]

    for cache in (True, False):
        first, again = epochs(cache), epochs(cache)
        np.testing.assert_array_equal(first, again)
        # Whatever the order, every image is there, and the padding of the cache is not.
        for batch in first:
            assert sorted(np.round((batch[:, 0, 0, 0] + 1) * 127.5)) == [0, 1, 2, 3]
            assert np.ptp(batch, axis=(1, 2)).max() == 0


def test_sixteen_bits(data_dir):
    read = open_named("deep", "train", "tfds:deep", data_dir).read(Geometry((4, 4), 1))
    assert read.images[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_errors(data_dir):
    with pytest.raises(ValueError, match=r"no split 'tets' .did you mean 'test'"):
        open_named("tiny", "tets", "tfds:tiny", data_dir)
    with pytest.raises(ValueError, match=r"no data set 'minst' .did you mean 'mnist'.*none in .*tfds"):
        open_named("minst", "train", "tfds:minst", data_dir)
    with pytest.raises(ValueError, match="malformed: expected tfds:NAME"):
        open_named(":train", "train", "tfds::train", data_dir)


def test_without_a_network_there_is_one_clear_sentence(tmp_path, monkeypatch):
    class Absent(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            raise ConnectionError("name not known")

        def _generate_examples(self):
            yield from ()

    monkeypatch.setattr(named, "_is_online", lambda: False)
    monkeypatch.setattr(named, "_builder", lambda *_: Absent(data_dir=tmp_path))
    with pytest.raises(FileNotFoundError, match=r"tfds:absent is not in .* \(there is no network\): connect"):
        open_named("absent", "train", "tfds:absent", str(tmp_path))
