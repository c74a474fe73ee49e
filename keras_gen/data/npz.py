"""NumPy archives: `images` and `labels`, or `x_train`, `y_train`, `x_test`, `y_test` as Keras names them."""

import zipfile
from pathlib import Path

import numpy as np

from keras_gen.data.arrays import ArraySource, check_labels, select

_IMAGE_KEYS = {
    "train": (
        "x_train",
        "train_images",
        "images_train",
        "train_x",
        "X_train",
        "images",
        "x",
        "X",
        "data",
        "arr_0",
    ),
    "validation": ("x_val", "val_images", "x_valid", "valid_images", "x_validation", "validation_images"),
    "test": ("x_test", "test_images", "images_test", "test_x", "X_test"),
}
_LABEL_KEYS = {
    "train": ("y_train", "train_labels", "labels_train", "train_y", "labels", "label", "y", "targets"),
    "validation": ("y_val", "val_labels", "y_valid", "valid_labels", "y_validation", "validation_labels"),
    "test": ("y_test", "test_labels", "labels_test", "test_y"),
}
_TOLERANCE = 1e-3  # float images a rounding past their range


def open_npz(argument: str, split: str, origin: str) -> ArraySource:
    """Images in an `.npz` (or one array in an `.npy`), `(n, h, w)` or `(n, h, w, c)` with 1 to 4 channels.

    uint8 (or other integers) in 0 … 255, or floats in [0, 1] or [-1, 1]; negative numbers tell the two apart.
    Floats keep their precision.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not an archive; no images in it; a shape, type or range that is none of the above.
    """
    path = Path(argument).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{origin}: there is no file {path}")
    try:
        with path.open("rb") as file:
            if not file.read(6).startswith((b"\x93NUMPY", b"PK")):
                raise ValueError("it starts as neither .npz nor .npy")
        archive = np.load(path, allow_pickle=False)
        # Arrays are read when asked for; headers alone tell the counts.
        shapes = {"arr_0": archive.shape} if isinstance(archive, np.ndarray) else _shapes(path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{origin}: {path} is not a readable .npz file ({error})") from error

    image_keys = {name: _first(keys, shapes) for name, keys in _IMAGE_KEYS.items()}
    found = ", ".join(f"{key} {shape}" for key, shape in shapes.items()) or "nothing"
    if not any(image_keys.values()):
        ranked = [key for key, shape in shapes.items() if len(shape) in (3, 4)]
        if len(ranked) != 1:
            raise ValueError(
                f"{origin} holds {found}: expected images (or x_train, x_test) and optionally labels"
            )
        image_keys["train"] = ranked[0]
    label_keys = {name: _first(keys, shapes) for name, keys in _LABEL_KEYS.items()}

    def array(key: str) -> np.ndarray:
        try:
            return archive if isinstance(archive, np.ndarray) else archive[key]
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{origin}: {key} cannot be read ({error})") from error

    def images(name: str) -> np.ndarray:
        key = image_keys[name]
        assert key is not None
        return _check_images(array(key), f"{origin}: {key}")

    def labels(name: str) -> np.ndarray | None:
        key = label_keys[name]
        return None if key is None else check_labels(array(key), splits[name], f"{origin}: {key}")

    splits = {name: (*shapes[key], 0)[0] for name, key in image_keys.items() if key is not None}
    return select(origin, split, splits, images, labels)


def _first(keys: tuple[str, ...], present: dict[str, tuple[int, ...]]) -> str | None:
    return next((key for key in keys if key in present), None)


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of an archive's arrays, from their headers."""
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                version = np.lib.format.read_magic(file)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shapes[name.removesuffix(".npy")] = read(file)[0]
    return shapes


def _check_images(images: np.ndarray, origin: str) -> np.ndarray:
    """uint8, or float32 in [-1, 1], `(n, h, w, c)`."""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"{origin} has shape {images.shape}: expected (count, height, width[, channels])")
    if images.shape[-1] not in (1, 2, 3, 4):
        hint = (
            ": move the channels last with numpy.moveaxis(x, 1, -1)" if images.shape[1] in (1, 3, 4) else ""
        )
        raise ValueError(
            f"{origin} has shape {images.shape}: expected 1 to 4 channels on the last axis{hint}"
        )
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "iuf":
        raise ValueError(
            f"{origin} is of type {images.dtype}: expected uint8 0..255, or floats in [0, 1] or [-1, 1]"
        )
    low, high = images.min(), images.max()
    if images.dtype.kind in "iu" and low >= 0 and high <= 255:
        return images.astype(np.uint8)
    if images.dtype.kind == "f" and low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE:
        images = images.astype(np.float32)
        return np.clip(images if low < -_TOLERANCE else images * 2 - 1, -1, 1)
    raise ValueError(
        f"{origin} is {images.dtype} with values from {low:.4g} to {high:.4g}: "
        "expected uint8 0..255, or floats in [0, 1] or [-1, 1]"
    )
