"""Data specs: `digits`, `idx:FOLDER`, `folder:PATH`, `npz:FILE` and `tfds:NAME`."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from os import PathLike, fspath
from pathlib import Path
from typing import Protocol

import numpy as np

from keras_gen.data.arrays import ArraySource, Images, Stream, select
from keras_gen.data.folder import open_folder
from keras_gen.data.geometry import Geometry
from keras_gen.data.idx import open_idx
from keras_gen.data.named import open_named
from keras_gen.data.npz import open_npz
from keras_gen.data.splits import suggest

SPECS = {
    "digits": "5,000 handwritten digits of MNIST, 28x28 grey, embedded (train 4,000, test 1,000)",
    "idx:FOLDER": "IDX files as MNIST's, gzipped or not (train-images-idx3-ubyte, t10k-images-idx3-ubyte, …)",
    "folder:PATH": "image files of any size and mode: PATH/*.jpg, PATH/class/*.jpg or PATH/split/class/*.jpg",
    "npz:FILE": "NumPy archive with images and labels, or x_train, y_train, x_test, y_test",
    "tfds:NAME[/CONFIG][:SPLIT]": "any image data set of tensorflow-datasets, downloaded if not in data_dir",
}
"""Each form of data spec and a line of help."""


class Source(Protocol):
    """The chosen split of a data set, before anything large has been read."""

    @property
    def origin(self) -> str: ...
    @property
    def num_examples(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def has_labels(self) -> bool: ...
    @property
    def class_names(self) -> tuple[str, ...] | None: ...
    @property
    def splits(self) -> Mapping[str, int]: ...
    @property
    def training(self) -> bool: ...

    def common_size(self) -> tuple[int, int]:
        """The height and width of all images, or a ValueError where they differ."""

    def stored_bytes(self, geometry: Geometry) -> int:
        """An estimate of the memory that `read` takes."""

    def read(self, geometry: Geometry) -> Images:
        """All images, in memory."""

    def stream(self, geometry: Geometry) -> Stream:
        """The images, to be read anew each epoch."""


_OPENERS: dict[str, Callable[[str, str, str], Source]] = {
    "idx": open_idx,
    "folder": open_folder,
    "npz": open_npz,
}


def open_source(spec: str, split: str = "train", data_dir: str | PathLike | None = None) -> Source:
    """Finds what a data spec names.

    Args:
        spec: one of the forms of `SPECS`.
        split: a name or a slice, see `keras_gen.data.splits`.
        data_dir: for `tfds:`, the folder of prepared data sets.

    Raises:
        FileNotFoundError: what the spec names is not there, or holds no images.
        ValueError: an unknown spec or split, or data that are not images as described.
    """
    if not isinstance(spec, str):
        hint = f": to read a folder, write 'folder:{fspath(spec)}'" if isinstance(spec, PathLike) else ""
        raise ValueError(f"A data spec is a string, {_forms()}; received {spec!r}{hint}")
    if not isinstance(split, str):
        raise ValueError(f"split is a name such as 'train' or 'train[:100]'; received {split!r}")
    scheme, _, argument = spec.partition(":")
    if spec == "digits":
        return _open_digits(split)
    if scheme == "tfds" and argument:
        folder = None if data_dir is None else str(Path(data_dir).expanduser())
        return open_named(argument, split, spec, folder)
    if scheme in _OPENERS and argument:
        return _OPENERS[scheme](argument, split, spec)
    raise ValueError(_unknown(spec, scheme))


def _open_digits(split: str) -> ArraySource:
    with np.load(str(files("keras_gen.data") / "digits.npz")) as archive:
        images, labels = archive["images"][..., None], archive["labels"].astype(np.int64)
    # The digits come in no order of class: the last thousand have 84 to 113 of each.
    parts = {"train": slice(0, 4000), "test": slice(4000, 5000)}
    splits = {name: len(labels[part]) for name, part in parts.items()}
    return select("digits", split, splits, lambda name: images[parts[name]], lambda name: labels[parts[name]])


def _unknown(spec: str, scheme: str) -> str:
    schemes = {form.split(":")[0]: form for form in SPECS}
    if scheme == "digits":
        return f"Data spec {spec!r} has too much after 'digits': write 'digits' and give the split apart"
    if scheme in schemes:
        return f"Data spec {spec!r} lacks what follows the colon: expected {schemes[scheme]}"
    path = Path(spec).expanduser()
    if spec and path.is_dir():
        return (
            f"Data spec {spec!r} is a folder: write 'folder:{spec}' for images or 'idx:{spec}' for IDX files"
        )
    if path.is_file() and path.suffix in (".npz", ".npy"):
        return f"Data spec {spec!r} is a file: write 'npz:{spec}'"
    missing = "" if not spec or ":" in spec or path.exists() else f"There is no folder {spec}. "
    return f"{missing}Unknown data spec {spec!r}{suggest(scheme, schemes)}: expected {_forms()}."


def _forms() -> str:
    *most, last = SPECS
    return f"{', '.join(most)} or {last}"
