import warnings

import numpy as np
import pytest
from PIL import Image

from keras_gen.data.folder import open_folder
from keras_gen.data.geometry import Geometry


def image(path, value=0, size=(8, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, np.uint8)).convert(mode).save(path)


def values(source):
    return source.read(Geometry((4, 4), 1)).images[:, 0, 0, 0].tolist()


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_split_class_files(tmp_path):
    for i, name in enumerate(["train/cat/a.png", "train/cat/b.webp", "train/dog/c.PNG", "test/dog/d.bmp"]):
        image(tmp_path / name, 10 * i)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    image(tmp_path / "train" / ".thumbnails" / "a.png")
    train = open_folder(str(tmp_path), "train", "folder:x")
    assert train.splits == {"train": 3, "test": 1}
    assert train.class_names == ("cat", "dog")
    assert train.labels.tolist() == [0, 0, 1]
    assert values(train) == [0, 10, 20]
    # A class keeps its number in a split that lacks others.
    assert open_folder(str(tmp_path), "test", "x").labels.tolist() == [1]
    assert open_folder(str(tmp_path), "all[1:]", "x").labels.tolist() == [0, 1, 1]


def test_class_files(tmp_path):
    for name in ("b/1.png", "a/2.png", "a/3.png"):
        image(tmp_path / name, int(name[2]))
    source = open_folder(str(tmp_path), "train", "folder:x")
    assert source.class_names == ("a", "b")
    assert values(source) == [2, 3, 1]
    assert source.labels.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match=r"no split 'test'.*'train', 'all'"):
        open_folder(str(tmp_path), "test", "folder:x")


def test_flat_folder_and_flat_splits(tmp_path):
    image(tmp_path / "flat" / "a.png", 1)
    assert not open_folder(str(tmp_path / "flat"), "train", "x").has_labels
    for split in ("train", "val"):
        image(tmp_path / "splits" / split / "a.png", 5)
    source = open_folder(str(tmp_path / "splits"), "validation", "x")
    assert source.splits == {"train": 1, "val": 1}
    assert not source.has_labels


def test_the_layout_that_holds_more_images_is_taken(tmp_path):
    for i in range(3):
        image(tmp_path / f"{i}.png", i)
    image(tmp_path / "originals" / "a.png")
    with pytest.warns(UserWarning, match="ignored 1 folders"):
        source = open_folder(str(tmp_path), "train", "x")
    assert source.num_examples == 3
    for i in range(4):
        image(tmp_path / "more" / f"{i}.png", i)
    with pytest.warns(UserWarning, match="ignored 3 files"):
        source = open_folder(str(tmp_path), "train", "x")
    assert source.class_names == ("more", "originals")


def test_broken_files_are_named_counted_and_skipped(tmp_path):
    for i in range(4):
        image(tmp_path / "k" / f"{i}.png", 10 * i)
        image(tmp_path / "l" / f"{i}.png", 100 + i)
    (tmp_path / "k" / "1.png").write_bytes(b"not an image")
    data = (tmp_path / "l" / "2.png").read_bytes()
    (tmp_path / "l" / "2.png").write_bytes(data[: len(data) // 2])  # the header is whole
    (tmp_path / "l" / "3.png").write_bytes(b"")
    source = open_folder(str(tmp_path), "train", "folder:x")
    geometry = Geometry((4, 4), 1)
    with pytest.warns(
        UserWarning, match=r"folder:x: skipped 3 of 8 .*k/1.png \(not an image\), .*l/2.png \("
    ) as seen:
        read = source.read(geometry)
    assert len(seen) == 1
    assert read.images[:, 0, 0, 0].tolist() == [0, 20, 30, 100, 101]
    assert read.labels.tolist() == [0, 0, 0, 1, 1]
    with pytest.warns(UserWarning, match="skipped 3 of 8"):
        stream = source.stream(geometry)
    assert stream.num_examples == 5


def test_long_lists_of_broken_files_are_cut(tmp_path):
    image(tmp_path / "a.png")
    for i in range(13):
        (tmp_path / f"{i:02}.jpg").write_bytes(b"x")
    with pytest.warns(UserWarning, match=r"skipped 13 of 14 .*09.jpg \(not an image\), and 3 more$"):
        open_folder(str(tmp_path), "train", "x").read(Geometry((4, 4), 3))


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        open_folder(str(tmp_path / "none"), "train", "folder:x")
    with pytest.raises(FileNotFoundError, match=r"there are no images in .* \(.*\.jpg"):
        open_folder(str(tmp_path), "train", "folder:x")
    image(tmp_path / "a" / "b" / "c" / "d.png")
    with pytest.raises(FileNotFoundError, match=r"the first image below it is in .*a/b/c"):
        open_folder(str(tmp_path), "train", "folder:x")
    (tmp_path / "e.jpg").write_bytes(b"x")
    with pytest.raises(
        ValueError, match=r"none of its 1 files can be read, for example .*e.jpg \(not an image"
    ):
        open_folder(str(tmp_path), "train", "folder:x")
    with pytest.raises(ValueError, match="is a file; give the folder"):
        open_folder(str(tmp_path / "e.jpg"), "train", "folder:x")


def test_sizes_and_channels_come_from_the_headers(tmp_path):
    image(tmp_path / "a.png", mode="L")
    image(tmp_path / "b.png", mode="LA")
    source = open_folder(str(tmp_path), "train", "folder:x")
    assert source.common_size() == (8, 6)
    assert source.channels == 1
    image(tmp_path / "c.png", size=(5, 6))
    source = open_folder(str(tmp_path), "train", "folder:x")
    assert source.channels == 3
    with pytest.raises(ValueError, match=r"\(a.png is 8x6, c.png is 5x6\): pass image_size"):
        source.common_size()


def test_random_crops_keep_the_length_of_each_image(tmp_path):
    for name, size in (("a.png", (8, 16)), ("b.png", (12, 8))):
        image(tmp_path / name, 255, size)
    source = open_folder(str(tmp_path), "train", "x")
    geometry = Geometry((4, 4), 1, "random")
    images, sizes, _ = source.read(geometry)
    assert sizes.tolist() == [[4, 8], [6, 4]]
    assert images.shape == (2, 6, 8, 1)
    assert images.nbytes == source.stored_bytes(geometry)
    assert images[0, :4].min() == images[1, :, :4].min() == 255
