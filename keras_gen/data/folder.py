"""Folders of image files: `PATH/split/class/*`, `PATH/class/*`, `PATH/split/*` or `PATH/*`."""

import os
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_gen.data.arrays import Images, Stream
from keras_gen.data.epochs import order
from keras_gen.data.files import Header, read_header, read_image
from keras_gen.data.geometry import Geometry
from keras_gen.data.splits import SPLIT_NAMES, TRAINING, is_training, resolve

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
EXTENSIONS = frozenset(
    (*_JPEG, ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif", ".jp2")
)
_NAMED_AT_MOST = 10
_HIDDEN = (".", "__")  # .git, __MACOSX and the like

# split -> class (None where there are no classes) -> files
Tree = dict[str, dict[str | None, list[Path]]]


@dataclass(frozen=True)
class FolderSource:
    """Image files, decoded by Pillow; those that cannot be decoded are skipped and named in a warning."""

    origin: str
    files: list[Path]
    headers: list[Header]
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None
    splits: Mapping[str, int]
    training: bool
    broken: dict[Path, str] = field(default_factory=dict)

    @property
    def num_examples(self) -> int:
        return len(self.files)

    @property
    def has_labels(self) -> bool:
        return self.labels is not None

    @property
    def channels(self) -> int:
        """1 where every file is grey, else 3."""
        return 1 if all(header.grey for header in self.headers) else 3

    def common_size(self) -> tuple[int, int]:
        first = self.headers[0]
        for path, header in zip(self.files, self.headers, strict=True):
            if (header.height, header.width) != (first.height, first.width):
                raise ValueError(
                    f"{self.origin} has images of different sizes "
                    f"({self.files[0].name} is {first.height}x{first.width}, "
                    f"{path.name} is {header.height}x{header.width}): pass image_size"
                )
        return first.height, first.width

    def stored_bytes(self, geometry: Geometry) -> int:
        height, width = self._canvas(geometry)
        return len(self.files) * height * width * geometry.channels

    def read(self, geometry: Geometry) -> Images:
        images = np.zeros((len(self.files), *self._canvas(geometry), geometry.channels), np.uint8)
        sizes = np.zeros((len(self.files), 2), np.int32)

        def place(i: int, image: np.ndarray) -> None:
            sizes[i] = image.shape[:2]
            images[i, : image.shape[0], : image.shape[1]] = image

        good = self._decode_all(geometry, place)
        labels = self._labels()
        if len(good) == len(self.files):
            return Images(images, sizes, labels)
        return Images(images[good], sizes[good], labels[good])

    def stream(self, geometry: Geometry) -> Stream:
        # Every file is decoded once before training, so that the number of examples is exact and a broken one
        # is named now rather than hours later.
        good = self._decode_all(geometry, lambda i, image: None)
        paths = tf.constant([os.fsencode(self.files[i]) for i in good])
        labels = tf.constant(self._labels()[good])

        def decode(path: bytes) -> np.ndarray:
            return read_image(Path(os.fsdecode(path)), geometry)

        def load(i: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image = tf.numpy_function(decode, [paths[i]], tf.uint8)
            size = (None, None) if geometry.crop == "random" else geometry.size
            return tf.ensure_shape(image, (*size, geometry.channels)), labels[i]

        def epoch(seed: tf.Tensor, shuffle: bool) -> tf.data.Dataset:
            indices = tf.data.Dataset.from_tensor_slices(order(seed, len(good), shuffle))
            return indices.map(load, num_parallel_calls=tf.data.AUTOTUNE)

        return Stream(len(good), epoch)

    def warn(self, broken: Mapping[Path, str] | None = None) -> None:
        """Names the files that are skipped, where there are any."""
        broken = self.broken if broken is None else broken
        if not broken:
            return
        named = [f"{path} ({reason})" for path, reason in sorted(broken.items())]
        more = f", and {len(named) - _NAMED_AT_MOST} more" if len(named) > _NAMED_AT_MOST else ""
        total = len(self.files) + len(self.broken)
        warnings.warn(
            f"{self.origin}: skipped {len(named)} of {total} files that cannot be read: "
            f"{', '.join(named[:_NAMED_AT_MOST])}{more}",
            stacklevel=2,
        )

    def _canvas(self, geometry: Geometry) -> tuple[int, int]:
        sizes = {geometry.stored(header.height, header.width) for header in self.headers}
        return max(height for height, _ in sizes), max(width for _, width in sizes)

    def _labels(self) -> np.ndarray:
        return np.zeros(len(self.files), np.int64) if self.labels is None else self.labels

    def _decode_all(self, geometry: Geometry, use: Callable[[int, np.ndarray], None]) -> list[int]:
        """Decodes every file, gives each image to `use`, warns of broken ones, returns the good indices."""

        def attempt(i: int) -> str | None:
            try:
                use(i, read_image(self.files[i], geometry))
            except Exception as error:  # Pillow's decoders raise nearly anything on damaged input
                return _reason(error)
            return None

        reasons = _in_threads(attempt, range(len(self.files)))
        broken = {self.files[i]: reason for i, reason in enumerate(reasons) if reason is not None}
        self.warn(self.broken | broken)
        if len(broken) == len(self.files):
            raise _nothing_readable(self.origin, self.broken | broken)
        return [i for i, reason in enumerate(reasons) if reason is None]


def open_folder(argument: str, split: str, origin: str) -> FolderSource:
    """A folder of images. Classes are numbered in the order of their names. Only headers are read yet.

    Raises:
        FileNotFoundError: no such folder, or no images in it.
        ValueError: a file instead of a folder, an unknown split, or no image that can be read.
    """
    root = Path(argument).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"{origin}: there is no folder {root}")
    if not root.is_dir():
        raise ValueError(f"{origin}: {root} is a file; give the folder that holds the images")
    tree, class_names = _read_tree(root, origin)
    examples = {
        name: [(f, c) for c, files in classes.items() for f in files] for name, classes in tree.items()
    }
    examples = {name: pairs for name, pairs in examples.items() if pairs}
    splits = {name: len(pairs) for name, pairs in examples.items()}
    chosen = [
        pair for name, start, stop in resolve(split, splits, origin) for pair in examples[name][start:stop]
    ]

    def attempt(pair: tuple[Path, str | None]) -> Header | str:
        try:
            return read_header(pair[0])
        except Exception as error:
            return _reason(error)

    found = list(zip(chosen, _in_threads(attempt, chosen), strict=True))
    broken = {path: header for (path, _), header in found if isinstance(header, str)}
    good = [(path, label, header) for (path, label), header in found if isinstance(header, Header)]
    if not good:
        raise _nothing_readable(origin, broken)
    index = {name: i for i, name in enumerate(class_names or ())}
    return FolderSource(
        origin,
        [path for path, _, _ in good],
        [header for _, _, header in good],
        np.array([index[str(label)] for _, label, _ in good], np.int64) if class_names else None,
        class_names,
        splits,
        is_training(split),
        broken,
    )


def _read_tree(root: Path, origin: str) -> tuple[Tree, tuple[str, ...] | None]:
    loose = _images_in(root)
    direct = {folder.name: files for folder in _folders_in(root) if (files := _images_in(folder))}
    nested = [
        folder for folder in _folders_in(root) if any(_images_in(below) for below in _folders_in(folder))
    ]
    # PATH/train/class/*; a stray file in PATH/train does not turn train into a class.
    if nested and all(name in SPLIT_NAMES for name in direct):
        import tensorflow_datasets as tfds

        # tfds.ImageFolder reads the layout: splits, and classes over all of them. The files are listed and
        # decoded here, because it knows neither WebP, GIF, TIFF nor damaged files.
        info = tfds.ImageFolder(str(root)).info
        names = tuple(sorted(name for name in info.features["label"].names if not name.startswith(_HIDDEN)))
        tree: Tree = {
            split: {name: _images_in(root / split / name) for name in names}
            for split in sorted(info.splits, key=lambda name: (not name.startswith(TRAINING), name))
            if not split.startswith(_HIDDEN)
        }
        return tree, names
    if direct and all(name in SPLIT_NAMES for name in direct):
        return {name: {None: files} for name, files in direct.items()}, None
    if len(loose) >= sum(map(len, direct.values())) and loose:
        _warn_ignored(origin, "folders", len(direct), "there are more images beside them")
        return {TRAINING: {None: loose}}, None
    if direct:
        _warn_ignored(origin, "files", len(loose), "they are in no class folder")
        return {TRAINING: dict(direct.items())}, tuple(direct)
    deeper = next((path.parent for path in sorted(root.rglob("*")) if _is_image(path)), None)
    hint = f"; the first image below it is in {deeper}" if deeper else f" ({', '.join(sorted(EXTENSIONS))})"
    raise FileNotFoundError(f"{origin}: there are no images in {root}{hint}")


def _warn_ignored(origin: str, kind: str, count: int, reason: str) -> None:
    if count:
        warnings.warn(f"{origin}: ignored {count} {kind}, because {reason}", stacklevel=2)


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(_HIDDEN))


def _images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _is_image(path)) if folder.is_dir() else []


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()


def _reason(error: Exception) -> str:
    # Pillow's message for an unknown format repeats the path, which stands before it already.
    text = (
        "not an image"
        if type(error).__name__ == "UnidentifiedImageError"
        else str(error) or type(error).__name__
    )
    return " ".join(text.split())


def _nothing_readable(origin: str, broken: Mapping[Path, str]) -> ValueError:
    path, reason = next(iter(broken.items()))
    return ValueError(f"{origin}: none of its {len(broken)} files can be read, for example {path} ({reason})")


def _in_threads(function: Callable, items) -> list:
    # Pillow decodes and resizes without holding Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(function, items))
