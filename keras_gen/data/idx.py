"""IDX files, the format of MNIST, Fashion-MNIST, KMNIST and EMNIST, gzipped or not.

Format (http://yann.lecun.com/exdb/mnist/): two zero bytes, a type code, the number of axes, the axes as
big-endian 32-bit integers, then the values.
"""

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from keras_gen.data.arrays import ArraySource, check_labels, select

_FILE = re.compile(
    r"(?:.*[-_.])?(train|t10k|test|validation|valid|val)[-_.](images|labels)[-_.]idx[134][-_.]ubyte(?:\.gz)?",
    re.IGNORECASE,
)
_UINT8 = 0x08
_EXPECTED = (
    "train-images-idx3-ubyte[.gz], t10k-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] and so on"
)


def read_idx(path: Path) -> np.ndarray:
    """The array of one IDX file of unsigned bytes, uint8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an IDX file of unsigned bytes, or it is truncated or too long.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":  # gzip by content: the suffix is often lost or left behind
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip file ({error}): fetch it again") from error
    if len(data) < 4 or data[:2] != b"\0\0":
        raise ValueError(
            f"{path} is not an IDX file: it starts with {data[:4].hex(' ') or 'nothing'}, not 00 00"
        )
    code, axes = data[2], data[3]
    if code != _UINT8:
        raise ValueError(f"{path} holds IDX values of type 0x{code:02x}: expected unsigned bytes, 0x08")
    header = 4 + 4 * axes
    shape = tuple(int(size) for size in np.frombuffer(data[4:header], ">u4")) if len(data) >= header else ()
    expected = header + int(np.prod(shape, dtype=object))
    if axes == 0 or len(shape) != axes or len(data) != expected:
        state = "truncated" if len(data) < expected or len(shape) != axes else "too long"
        raise ValueError(
            f"{path} is {state}: it holds {len(data):,} bytes where its header {shape} asks for {expected:,}"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def open_idx(argument: str, split: str, origin: str) -> ArraySource:
    """A folder of IDX files; labels are optional, `t10k` is the test split.

    Raises:
        FileNotFoundError: no such folder, or no image files in it.
        ValueError: see `read_idx`; counts that differ; an unknown split.
    """
    folder = Path(argument).expanduser()
    if not folder.exists():
        raise FileNotFoundError(f"{origin}: there is no folder {folder}")
    if not folder.is_dir():
        raise ValueError(f"{origin}: {folder} is a file; give the folder that holds {_EXPECTED}")
    files: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        name = "test" if match[1].lower() == "t10k" else match[1].lower()
        known = files.setdefault((name, match[2].lower()), path)
        # The same file with and without .gz is common; files of two data sets in one folder are a question.
        if known.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
            raise ValueError(
                f"{origin}: {known.name} and {path.name} both are {name} {match[2]}; keep one of them"
            )
    names = [name for name, kind in files if kind == "images"]
    if not names:
        raise FileNotFoundError(f"{origin}: {folder} holds no IDX images; expected {_EXPECTED}")
    names.sort(key=lambda name: (not name.startswith("train"), name))

    def images(name: str) -> np.ndarray:
        path = files[name, "images"]
        array = read_idx(path)
        array = array[..., None] if array.ndim == 3 else array
        if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
            raise ValueError(
                f"{path} has shape {array.shape}: expected (count, height, width) with none of them 0"
            )
        return array

    def labels(name: str) -> np.ndarray | None:
        path = files.get((name, "labels"))
        return None if path is None else check_labels(read_idx(path), splits[name], str(path))

    splits = {name: _count(files[name, "images"]) for name in names}
    return select(origin, split, splits, images, labels)


def _count(path: Path) -> int:
    """The first axis, from the header alone; what is wrong with the file is for `read_idx` to say."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            header = file.read(8)
    except (EOFError, OSError, zlib.error):
        header = b""
    if len(header) < 8 or header[:3] != b"\0\0\x08":
        read_idx(path)
        raise ValueError(f"{path} has no axis: expected images (count, height, width)")
    return int.from_bytes(header[4:], "big")
