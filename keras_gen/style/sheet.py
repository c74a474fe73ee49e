"""Sheets: pictures side by side, each with its name below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_GAP = 12  # white pixels between pictures and around them
_NAME = 120  # pixels that a name may take below a narrower picture


def labelled_sheet(pictures: Mapping[str, np.ndarray], columns: int | None = None) -> np.ndarray:
    """Lays pictures of one size out row by row on white, names below them.

    Args:
        pictures: uint8 (height, width, 3) by name.
        columns: Pictures in a row; None makes about as many rows.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ValueError: No pictures, or of different sizes.
    """
    from PIL import Image, ImageDraw

    shapes = {picture.shape for picture in pictures.values()}
    if len(shapes) != 1:
        raise ValueError(f"A sheet takes pictures of one size, received {sorted(shapes)}.")
    height, width, _ = shapes.pop()
    columns = columns or _columns(len(pictures))
    cell, line, font = _measured(tuple(pictures), width)
    sheet = Image.new("RGB", sheet_size(tuple(pictures), (height, width), columns)[::-1], "white")
    draw = ImageDraw.Draw(sheet)
    for index, (name, picture) in enumerate(pictures.items()):
        left = _GAP + index % columns * (cell + _GAP)
        top = _GAP + index // columns * (height + line + _GAP)
        sheet.paste(Image.fromarray(picture), (left + (cell - width) // 2, top))
        shown = name
        while draw.textlength(shown, font) > cell and len(shown) > 2:
            shown = shown[:-2] + "…"
        draw.text((left + cell / 2, top + height + line / 2), shown, "black", font, anchor="mm")
    return np.asarray(sheet)


def sheet_size(names: Sequence[str], size: Sequence[int], columns: int | None = None) -> tuple[int, int]:
    """Height and width of the sheet of pictures of these names, all of one height and width."""
    columns = columns or _columns(len(names))
    rows = math.ceil(len(names) / columns)
    cell, line, _ = _measured(names, size[1])
    return rows * (size[0] + line + _GAP) + _GAP, columns * (cell + _GAP) + _GAP


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def _measured(names: Sequence[str], width: int) -> tuple[int, int, Any]:
    """Pixels from a picture to the next, of the line below it, and the font of that."""
    from PIL import ImageFont

    size = max(10, min(28, width // 16))
    font = ImageFont.load_default(size)
    longest = math.ceil(max(font.getlength(name) for name in names))
    return max(width, min(longest, _NAME)), 2 * size, font
