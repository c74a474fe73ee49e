"""Single pictures as float32 arrays (height, width, channels): checked, sized, and their regions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_HOW = "For bytes use image / 127.5 - 1, or read files with keras_gen.image.load_image."


def as_array(image: Any, role: str) -> np.ndarray:
    """A picture, or several of one size, as float32.

    Args:
        image: anything that NumPy takes for numbers.
        role: what it is, for the error.

    Raises:
        ValueError: a path, a symbolic tensor, or whole numbers.
    """
    if isinstance(image, (str, os.PathLike)):
        raise ValueError(
            f"The {role} must be an array (height, width, 3); received the path {os.fspath(image)!r}: read "
            "it with keras_gen.image.load_image."
        )
    if isinstance(image, tf.Tensor) and not hasattr(image, "numpy"):
        raise ValueError(
            f"The {role} must have values; received a symbolic tensor: within tf.function and Dataset.map "
            "call the model itself, e.g. model([images, weights])."
        )
    try:
        found = np.asarray(image)
    except ValueError:  # NumPy's words are of elements and sequences
        sizes = ", ".join(str(np.shape(one)) for one in image[:3])
        raise ValueError(
            f"The {role} must be an array (height, width, 3), or several of one size; received a list of "
            f"{len(image)}, of shapes {sizes}: paint them one at a time."
        ) from None
    if found.dtype.kind in "biu":  # of dark bytes all values might be in [-1, 1]
        raise ValueError(f"The {role} must be floats in [-1, 1]; received {found.dtype}. {_HOW}")
    return found.astype(np.float32, copy=False)


def checked(image: Any, role: str) -> np.ndarray:
    """A picture in colour, in [-1, 1].

    Args:
        image: (height, width, 3).
        role: what it is, for the error.

    Raises:
        ValueError: a path, another shape or range, or NaN.
    """
    image = as_array(image, role)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(f"The {role} must have shape (height, width, 3); received {image.shape}.")
    # Written so that NaN fails too, and without a copy of a large picture.
    if not (image.min() >= -1 - 1e-3 and image.max() <= 1 + 1e-3):
        raise ValueError(
            f"The {role} must be in [-1, 1]; received values from {image.min():g} to {image.max():g}. {_HOW}"
        )
    return image


def several(images: Any, role: str) -> np.ndarray:
    """A picture, or several of one size, each `checked`: float32 (count, height, width, 3)."""
    found = as_array(images, role)
    if found.ndim not in (3, 4) or 0 in found.shape:
        raise ValueError(
            f"The {role} must have shape (height, width, 3), or (count, height, width, 3) of several; "
            f"received {found.shape}."
        )
    found = found.reshape(-1, *found.shape[-3:])
    for image in found:
        checked(image, role)
    return found


def check_shares(**shares: float) -> None:
    """Raises a ValueError where one of the named numbers is not from 0 to 1."""
    for name, share in shares.items():
        if np.ndim(share) or np.asarray(share).dtype.kind not in "biuf" or not 0 <= share <= 1:
            raise ValueError(f"{name} must be from 0 to 1; received {share!r}.")


def numbers(given: Any) -> np.ndarray:
    """What is given as float32, or of what is no numbers an array without any."""
    try:
        return np.asarray(given, np.float32)
    except (TypeError, ValueError):
        return np.empty(0, np.float32)


def each_checked(images: Any, role: str) -> list[np.ndarray]:
    """A picture, or several of any sizes, each `checked`."""
    many = isinstance(images, (list, tuple)) or np.ndim(images) == 4
    return [checked(image, role) for image in (images if many else [images])]


def fitted(styles: Any, longest: int) -> list[np.ndarray]:
    """Styles in [-1, 1], each checked, with a longer side of so many pixels.

    Args:
        styles: a picture, or several, of any sizes.
        longest: pixels.
    """
    found = each_checked(styles, "style")
    sizes = [scaled(style.shape, longest / max(style.shape[:2])) for style in found]
    # Bicubic interpolation overshoots at edges.
    return [np.clip(resized(style, size), -1, 1) for style, size in zip(found, sizes, strict=True)]


def checked_masks(masks: Sequence[Any], count: int, size: Sequence[int]) -> np.ndarray:
    """One region a style, (count, height, width) in [0, 1].

    Raises:
        ValueError: another number, shape or range, or no region at all.
    """
    shape = tuple(size[:2])
    found = [np.shape(mask) for mask in masks]
    if found != [shape] * count:
        raise ValueError(f"masks must be one a style, {count} of shape {shape}; received {shapes_of(masks)}.")
    stacked = np.stack([np.asarray(mask, np.float32) for mask in masks])
    if not (stacked.min() >= 0 and stacked.max() <= 1):
        raise ValueError(f"masks must be in [0, 1]; received {stacked.min():g} to {stacked.max():g}.")
    if not stacked.any():
        raise ValueError("masks must leave the styles a region: all are 0 everywhere.")
    return stacked


def shapes_of(masks: Sequence[Any]) -> str:
    """The shapes of masks, in words that stay short where one mask is given for a list of them."""
    if len(masks) and np.ndim(masks[0]) == 1:
        return f"one array of shape {np.shape(masks)}: put it into a list, one mask a style"
    return f"shapes {[np.shape(mask) for mask in masks]}"


def scaled(shape: Sequence[int], scale: float) -> tuple[int, int]:
    """Height and width at a fraction of the size."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resized(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The picture at another height and width: bicubic, and antialiased where it shrinks."""
    if tuple(image.shape[:2]) == tuple(size):
        return image
    return tf.image.resize(image, size, "bicubic", antialias=True).numpy()
