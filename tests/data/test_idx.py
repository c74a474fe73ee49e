import gzip
from pathlib import Path

import numpy as np
import pytest

from keras_gen.data.idx import open_idx, read_idx

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 5, 4), np.uint8)
LABELS = np.arange(10, dtype=np.uint8) % 3
FASHION = Path("/usr/share/datasets/fashion-mnist")


def encode(array, code=8):
    header = bytes([0, 0, code, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def write(folder, names=("train-images-idx3-ubyte", "train-labels-idx1-ubyte"), pack=lambda data: data):
    for name, array in zip(names, (IMAGES, LABELS), strict=False):
        (folder / name).write_bytes(pack(encode(array)))


@pytest.mark.parametrize(
    "names",
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("emnist-digits-train-images-idx3-ubyte.gz", "emnist-digits-train-labels-idx1-ubyte.gz"),
    ],
)
@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
def test_reads_images_and_labels_whatever_the_suffix_says(tmp_path, names, pack):
    write(tmp_path, names, pack)
    source = open_idx(str(tmp_path), "train", "idx:x")
    np.testing.assert_array_equal(source.images, IMAGES[..., None])
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.class_names == ("0", "1", "2")


def test_t10k_is_the_test_split_and_labels_are_optional(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(encode(IMAGES[:4]))
    assert open_idx(str(tmp_path), "train", "x").splits == {"train": 10, "test": 4}
    test = open_idx(str(tmp_path), "test", "x")
    assert test.num_examples == 4
    assert not test.has_labels
    assert not open_idx(str(tmp_path), "all", "x").has_labels


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encode(IMAGES)[:-1], "truncated: it holds 215 bytes where .* asks for 216"),
        (encode(IMAGES) + b"x", "too long"),
        (encode(IMAGES)[:9], "truncated"),
        (b"", "starts with nothing"),
        (b"<html>", "not an IDX file: it starts with 3c 68 74 6d"),
        (encode(IMAGES.astype(">f4"), code=0x0D), "type 0x0d: expected unsigned bytes"),
        (encode(LABELS), r"shape \(10,\): expected"),
        (gzip.compress(encode(IMAGES))[:-30], "damaged gzip"),
        (encode(IMAGES[:0]), "selects no images"),
    ],
)
def test_damaged_files(tmp_path, data, message):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        open_idx(str(tmp_path), "train", "idx:x")


def test_counts_that_differ(tmp_path):
    write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(encode(LABELS[:-1]))
    with pytest.raises(ValueError, match=r"labels of shape \(9,\) for 10 images"):
        open_idx(str(tmp_path), "train", "idx:x")


def test_two_data_sets_in_one_folder(tmp_path):
    write(tmp_path)
    write(tmp_path, ("fashion-train-images-idx3-ubyte",))
    with pytest.raises(ValueError, match="both are train images"):
        open_idx(str(tmp_path), "train", "idx:x")


def test_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no IDX images; expected train-images-idx3"):
        open_idx(str(tmp_path), "train", "idx:x")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        open_idx(str(tmp_path / "none"), "train", "idx:x")
    write(tmp_path)
    with pytest.raises(ValueError, match="is a file; give the folder"):
        open_idx(str(tmp_path / "train-images-idx3-ubyte"), "train", "idx:x")
    with pytest.raises(ValueError, match=r"no split 'test'.*choose from 'train', 'all'"):
        open_idx(str(tmp_path), "test", "idx:x")


@pytest.mark.skipif(not FASHION.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_fashion_mnist_whole():
    source = open_idx(str(FASHION), "test", "idx:x")
    assert source.splits == {"train": 60_000, "test": 10_000}
    assert source.images.shape == (10_000, 28, 28, 1)
    assert np.bincount(source.labels).tolist() == [1000] * 10
    assert read_idx(FASHION / "t10k-labels-idx1-ubyte.gz").dtype == np.uint8
