"""One image file of any mode to uint8 pixels, by Pillow."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_gen.data.geometry import Geometry

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112  # EXIF tag; values from 5 up swap height and width
_GREY = ("1", "L", "LA", "La", "I", "F")
# JPEG can be decoded at 1/2, 1/4 or 1/8 of its size. At three times the final size, antialiased resizing from
# there cannot be told from resizing the whole (the advice in Pillow's documentation of `reducing_gap`).
_DRAFT_MARGIN = 3


class Header(NamedTuple):
    """Height and width in pixels after EXIF rotation, and whether the image is grey."""

    height: int
    width: int
    grey: bool


def read_header(path: Path) -> Header:
    """The size and kind of an image file, without decoding its pixels."""
    from PIL import Image

    with Image.open(path) as image:
        return _header(image)


def read_image(path: Path, geometry: Geometry) -> np.ndarray:
    """The first frame of an image file, upright, resized with antialiasing.

    Returns:
        uint8 `(height, width, channels)` of `geometry.size`, or at least that size before a random crop.

    Raises:
        OSError, ValueError or others of Pillow's: the file is damaged.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as file:
        header = _header(file)
        height, width = geometry.resized(header.height, header.width)
        margin = _DRAFT_MARGIN * max(height / header.height, width / header.width)
        if margin < 1:
            file.draft(file.mode, (math.ceil(file.width * margin), math.ceil(file.height * margin)))
        image = _flatten(ImageOps.exif_transpose(file), geometry.channels)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    if geometry.crop == "center":
        top, left = (height - geometry.size[0]) // 2, (width - geometry.size[1]) // 2
        image = image.crop((left, top, left + geometry.size[1], top + geometry.size[0]))
    pixels = np.asarray(image)
    return pixels[..., None] if geometry.channels == 1 else pixels


def _header(image: "Image.Image") -> Header:
    width, height = image.size
    if image.getexif().get(_ORIENTATION, 1) >= 5:
        width, height = height, width
    return Header(height, width, image.mode in _GREY or image.mode.startswith("I;"))


def _flatten(image: "Image.Image", channels: int) -> "Image.Image":
    """Mode L or RGB; 16 bits become 8, transparency becomes white."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_8_bits(np.asarray(image)))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if channels == 3 or image.mode not in ("1", "L", "P"):
        image = image.convert("RGB")
    return image if channels == 3 else image.convert("L")


def _to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Grey of 16 or 32 bits to uint8: floats are in [0, 1] or in 0 … 255, integers in 0 … 65535."""
    low, high = float(pixels.min()), float(pixels.max())
    floats = pixels.dtype.kind == "f"
    if not (low >= 0 and high <= (255 if floats else 65535)):
        raise ValueError(
            f"values from {low:.4g} to {high:.4g}, expected {'0 to 255' if floats else '0 to 65535'}"
        )
    scale = (255.0 if high <= 1 else 1.0) if floats else 1 / 257
    return np.round(pixels * scale).astype(np.uint8)
