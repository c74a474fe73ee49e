import numpy as np
import pytest

from keras_gen.data.npz import open_npz

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (6, 5, 4), np.uint8)
UNIT = RNG.uniform(0, 1, (6, 5, 4, 3))


def opened(tmp_path, split="train", **arrays):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    return open_npz(str(tmp_path / "a.npz"), split, "npz:a.npz")


def test_bytes_stay_bytes(tmp_path):
    source = opened(tmp_path, images=BYTES, labels=[[0], [1], [2], [0], [1], [2]])
    np.testing.assert_array_equal(source.images, BYTES[..., None])
    assert source.images.dtype == np.uint8
    assert source.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert opened(tmp_path, images=BYTES.astype(np.int64)).images.dtype == np.uint8


def test_floats_of_both_ranges_keep_their_precision(tmp_path):
    np.testing.assert_allclose(opened(tmp_path, x=UNIT).images, UNIT * 2 - 1, atol=1e-6)
    signed = (UNIT * 2 - 1).astype(np.float32)
    np.testing.assert_array_equal(opened(tmp_path, x=signed).images, signed)


def test_keras_names(tmp_path):
    arrays = {"x_train": BYTES, "y_train": [0, 1, 2, 3, 4, 5], "x_test": BYTES[:2], "y_test": [7, 0]}
    test = opened(tmp_path, "test", **arrays)
    assert test.splits == {"train": 6, "test": 2}
    np.testing.assert_array_equal(test.images[..., 0], BYTES[:2])
    assert test.labels.tolist() == [7, 0]
    # The number of classes is that of the data set, not of a split.
    assert len(opened(tmp_path, "train", **arrays).class_names) == 8


def test_only_array_of_an_archive_or_file(tmp_path):
    assert opened(tmp_path, faces=BYTES, other=[1.0]).num_examples == 6
    np.save(tmp_path / "a.npy", BYTES)
    assert open_npz(str(tmp_path / "a.npy"), "train[:2]", "npz:a.npy").num_examples == 2


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"scores": [1.0, 2.0]}, r"holds scores \(2,\): expected images"),
        ({"a": BYTES, "b": BYTES}, r"holds a \(6, 5, 4\), b \(6, 5, 4\): expected images"),
        ({}, "holds nothing"),
        ({"images": BYTES[0]}, r"shape \(5, 4\): expected \(count, height, width"),
        ({"images": BYTES[:0]}, "selects no images"),
        ({"images": np.zeros((2, 3, 8, 8), np.uint8)}, "channels last with numpy.moveaxis"),
        ({"images": UNIT * 255}, "values from .* expected uint8 0..255, or floats"),
        ({"images": np.where(UNIT < 0.5, np.nan, UNIT)}, "values from nan"),
        ({"images": np.array([["a"]] * 3)[..., None]}, "is of type <U1"),
        ({"images": BYTES, "labels": [1, 2]}, r"labels of shape \(2,\) for 6 images"),
        ({"images": BYTES, "labels": [0.5] * 6}, "expected integers from 0 up"),
        ({"images": BYTES, "labels": [-1] * 6}, "expected integers from 0 up"),
    ],
)
def test_says_what_was_found(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, **arrays)


def test_not_an_archive(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        open_npz(str(path), "train", "npz:a.npz")
    path.write_text("hello")
    with pytest.raises(ValueError, match=r"not a readable .npz file \(it starts as neither"):
        open_npz(str(path), "train", "npz:a.npz")
    np.savez(path, images=BYTES)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"not a readable .npz file"):
        open_npz(str(path), "train", "npz:a.npz")
    np.savez(path, images=np.array([{}, {}], object))
    with pytest.raises(ValueError, match=r"cannot be read|shape"):
        open_npz(str(path), "train", "npz:a.npz")
