"""Sheets: pictures side by side, each with its name below."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
    from PIL import Image, ImageDraw, ImageFont

    shapes = {picture.shape for picture in pictures.values()}
    if len(shapes) != 1:
        raise ValueError(f"A sheet takes pictures of one size, received {sorted(shapes)}.")
    height, width, _ = shapes.pop()
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    size = max(10, min(28, width // 16))
    line, font = 2 * size, ImageFont.load_default(size)
    longest = math.ceil(max(font.getlength(name) for name in pictures))
    cell = max(width, min(longest, _NAME))
    sheet = Image.new("RGB", (columns * (cell + _GAP) + _GAP, rows * (height + line + _GAP) + _GAP), "white")
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
