"""Images as tensors and as files: warping, blurring, reading, writing, grids of samples."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen import atomic, pictures


def dense_image_warp(image: Any, flow: Any) -> tf.Tensor:
    """Moves every pixel along a flow field: bilinear, differentiable by image and flow.

    `output[b, j, i] = image[b, j - flow[b, j, i, 0], i - flow[b, j, i, 1]]`; outside the image the nearest
    border pixel counts. The convention of `tensorflow_addons.image.dense_image_warp`, whose gradient by the
    flow vanishes at whole numbers, where this one does not: a flow of zeros can be trained. With the optical
    flow `F` from image A to image B, `dense_image_warp(B, -F)` reconstructs A.

    Args:
        image: (batch, height, width, channels), floating point.
        flow: (batch, height, width, 2), offsets in pixels: rows, then columns.

    Returns:
        (batch, height, width, channels) in the type of `image`.

    Raises:
        ValueError: Wrong shapes or an image of whole numbers.
    """
    image = tf.convert_to_tensor(image)
    flow = tf.convert_to_tensor(flow)
    if not image.dtype.is_floating:
        raise ValueError(
            f"image must be floating point, received {image.dtype.name}; scale it to [-1, 1] first."
        )
    if image.shape.rank != 4 or not flow.shape.is_compatible_with([*image.shape[:3], 2]):
        raise ValueError(
            "image and flow must have shapes (batch, height, width, channels) and (batch, height, width, 2), "
            f"received {tuple(image.shape)} and {tuple(flow.shape)}."
        )
    # bfloat16 cannot count pixels past 256: coordinates are float32 at least.
    flow = tf.cast(flow, tf.float64 if flow.dtype == tf.float64 else tf.float32)
    batch, height, width, channels = (
        dynamic if static is None else static
        for static, dynamic in zip(image.shape, tf.unstack(tf.shape(image), 4), strict=True)
    )
    rows, row_weight = _neighbours(tf.range(height)[:, None], flow[..., 0], height)
    columns, column_weight = _neighbours(tf.range(width)[None, :], flow[..., 1], width)
    pixels = tf.reshape(image, (batch, height * width, channels))

    def mix(first: tf.Tensor, second: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        # This form is exact at weights 0 and 1: whole offsets copy pixels.
        weight = tf.cast(weight, image.dtype)[..., None]
        return (1 - weight) * first + weight * second

    def line(row: tf.Tensor) -> tf.Tensor:
        left, right = (tf.gather(pixels, row * width + column, batch_dims=1) for column in columns)
        return mix(left, right, column_weight)

    return mix(line(rows[0]), line(rows[1]), row_weight)


def _neighbours(position: tf.Tensor, offset: tf.Tensor, size: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
    """The two indices around `position - offset` along an axis of `size`, and the weight of the second."""
    last = tf.cast(size - 1, offset.dtype)
    where = tf.clip_by_value(tf.cast(position, offset.dtype) - offset, 0.0, last)
    # The last pixel is the second neighbour, not the first, so that the slope at the border is the inner one.
    first = tf.minimum(tf.floor(where), tf.maximum(last - 1.0, 0.0))
    return [tf.cast(index, tf.int32) for index in (first, tf.minimum(first + 1.0, last))], where - first


def gaussian_blur(
    images: Any,
    kernel_size: int | tuple[int, int] = 3,
    sigma: float | tuple[float, float] = 1.0,
    padding: str = "reflect",
) -> tf.Tensor:
    """Blurs images with a Gaussian kernel of sum 1, one axis after the other, each channel for itself.

    The same as `tensorflow_addons.image.gaussian_filter2d`, except that whole numbers are rounded, not cut.

    Args:
        images: (batch, height, width, channels) or (height, width, channels), of any range and numeric type.
        kernel_size: Pixels of the kernel, or (rows, columns); an even kernel reaches one pixel further down
            and right.
        sigma: Standard deviation in pixels, or (rows, columns); 0 leaves the axis as it is.
        padding: What lies outside: "reflect" (the border pixel once), "symmetric" (twice) or "constant" (0).

    Returns:
        Images of the shape and type received; half precision is computed in float32.

    Raises:
        ValueError: Wrong rank, padding, kernel size or sigma, or an image too small to reflect.
    """
    images = tf.convert_to_tensor(images)
    sizes: list[Any] = [kernel_size] * 2 if np.ndim(kernel_size) == 0 else list(np.ravel(kernel_size))
    sigmas: list[Any] = [sigma] * 2 if np.ndim(sigma) == 0 else list(np.ravel(sigma))
    if images.shape.rank not in (3, 4):
        raise ValueError(
            f"images must have shape (batch, height, width, channels), received {tuple(images.shape)}."
        )
    if len(sizes) != 2 or not all(k >= 1 and k == int(k) for k in sizes):
        raise ValueError(f"kernel_size must be one or two positive whole numbers, received {kernel_size}.")
    if len(sigmas) != 2 or not all(0 <= s < math.inf for s in sigmas):
        raise ValueError(f"sigma must be one or two numbers of at least 0, received {sigma}.")
    reach = {"reflect": 1, "symmetric": 0, "constant": -math.inf}
    if padding.lower() not in reach:
        raise ValueError(f'padding must be "reflect", "symmetric" or "constant", received {padding!r}.')
    sizes = [int(k) for k in sizes]
    for size, extent in zip(sizes, images.shape[-3:-1], strict=True):
        if extent is not None and size // 2 > extent - reach[padding.lower()]:
            raise ValueError(
                f"A kernel of {size} pixels is too large to {padding.lower()} images of shape "
                f'{tuple(images.shape)}; take a smaller one or padding="constant".'
            )

    dtype = images.dtype
    compute_dtype = tf.float64 if dtype == tf.float64 else tf.float32
    x = tf.cast(images if images.shape.rank == 4 else images[None], compute_dtype)
    borders = [[0, 0], *([(size - 1) // 2, size // 2] for size in sizes), [0, 0]]
    x = tf.pad(x, borders, mode=padding.upper())
    for axis, (size, deviation) in enumerate(zip(sizes, sigmas, strict=True)):
        shape = [1, 1, 1, 1]
        shape[axis] = size
        kernel = tf.reshape(tf.constant(_gaussian(size, deviation), compute_dtype), shape)
        kernel = tf.tile(kernel, [1, 1, tf.shape(x)[-1], 1])
        x = tf.nn.depthwise_conv2d(x, kernel, strides=[1, 1, 1, 1], padding="VALID")
    x = tf.ensure_shape(x if images.shape.rank == 4 else x[0], images.shape)
    return tf.cast(x if dtype.is_floating else tf.round(x), dtype)


def _gaussian(size: int, sigma: float) -> np.ndarray:
    distance = np.arange(size) - (size - 1) // 2
    weights = np.exp(-(distance**2) / (2.0 * sigma**2)) if sigma > 0 else (distance == 0).astype(float)
    return weights / weights.sum()


def to_uint8(images: Any) -> np.ndarray:
    """Images in [-1, 1] as bytes: -1 becomes 0, 1 becomes 255, what lies beyond is clipped.

    Args:
        images: Floating point of any shape, or uint8, which is returned as it is.

    Returns:
        A uint8 array of the same shape.

    Raises:
        ValueError: Another type, NaN, or values that are plainly meant for [0, 255].
    """
    array = np.asarray(images)
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind in "iubcOSUM":
        raise ValueError(f"images must be floating point in [-1, 1] or uint8, received {array.dtype}.")
    array = array.astype("float32")  # also NumPy's view of bfloat16, which is no np.floating
    if np.isnan(array).any():
        raise ValueError(
            f"images contain {np.isnan(array).sum()} NaN of {array.size} values; look for their cause."
        )
    if array.size and array.min() >= 0.0 and array.max() > 2.0:
        raise ValueError(
            f"images must lie in [-1, 1], received values from {array.min():g} to {array.max():g}; "
            "scale bytes by x / 127.5 - 1."
        )
    return np.round(np.clip(array, -1.0, 1.0) * 127.5 + 127.5).astype("uint8")


def make_grid(
    images: Any, columns: int | None = None, padding: int = 2, scale: int | None = None
) -> np.ndarray:
    """Lays images out row by row on one white sheet.

    Args:
        images: (count, height, width, 1 or 3), float in [-1, 1] or uint8.
        columns: Images in a row; None makes the sheet nearly square.
        padding: White pixels between the images and around them.
        scale: Whole factor by which each pixel is repeated; None brings images smaller than 64 pixels to that
            size, so that 28×28 digits are comfortable to look at.

    Returns:
        A uint8 array (height, width, 1 or 3).

    Raises:
        ValueError: Wrong shape, values (see `to_uint8`), columns, padding or scale.
    """
    array = to_uint8(images)
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ValueError(f"images must have shape (count, height, width, 1 or 3), received {array.shape}.")
    count, height, width, channels = array.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    scale = math.ceil(64 / max(height, width)) if scale is None else scale
    if columns < 1 or scale < 1 or padding < 0:
        raise ValueError(
            "columns and scale must be at least 1 and padding at least 0, "
            f"received {columns}, {scale} and {padding}."
        )
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    array = array.repeat(scale, axis=1).repeat(scale, axis=2)
    cell_height, cell_width = height * scale + padding, width * scale + padding
    sheet = np.full((rows * cell_height + padding, columns * cell_width + padding, channels), 255, "uint8")
    for index, image in enumerate(array):
        top = index // columns * cell_height + padding
        left = index % columns * cell_width + padding
        sheet[top : top + height * scale, left : left + width * scale] = image
    return sheet


def save_grid(
    images: Any,
    path: str | os.PathLike[str],
    columns: int | None = None,
    padding: int = 2,
    scale: int | None = None,
) -> Path:
    """Writes `make_grid(images, ...)` to a file, whole or not at all; missing folders are created.

    Args:
        images: (count, height, width, 1 or 3), float in [-1, 1] or uint8.
        path: Where to; the ending says the format (".png" is lossless).
        columns: As in `make_grid`.
        padding: As in `make_grid`.
        scale: As in `make_grid`.

    Returns:
        The path.

    Raises:
        ValueError: What `make_grid` refuses, or an ending that names no image format.
        OSError: The file cannot be written.
    """
    from PIL import Image

    path = Path(path)
    grid = make_grid(images, columns, padding, scale)
    file_format = pictures.format_of(path)
    with atomic.replacing(path) as temporary:
        Image.fromarray(grid[..., 0] if grid.shape[-1] == 1 else grid).save(temporary, format=file_format)
    return path


def save_image(image: Any, path: str | os.PathLike[str]) -> Path:
    """Writes one image to a file, whole or not at all, in place of what is there; missing folders are made.

    Args:
        image: (height, width, 1 or 3), float in [-1, 1] or uint8.
        path: Where to; the ending says the format (".png" is lossless).

    Returns:
        The path.

    Raises:
        ValueError: Another shape, values that `to_uint8` refuses, or an ending that names no image format.
        OSError: The file cannot be written.
    """
    array = to_uint8(image)
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ValueError(f"image must have shape (height, width, 1 or 3), received {array.shape}.")
    colours = np.broadcast_to(array, (*array.shape[:2], 3))
    pictures.write(pictures.Picture(colours), path, force=True)
    return Path(path)


def load_image(path: str | os.PathLike[str], max_size: int | None = None) -> np.ndarray:
    """Reads an image file of any mode: upright by its EXIF orientation, transparency over white.

    Args:
        path: The file.
        max_size: Longest side in pixels; larger images are reduced with antialiasing, their aspect kept.

    Returns:
        A float32 array (height, width, 3) in [-1, 1]; grey images have three equal channels.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not an image, is damaged, or `max_size` is less than 1.
    """
    if max_size is not None and max_size < 1:
        raise ValueError(f"max_size must be at least 1 pixel, received {max_size}.")
    picture = pictures.Picture(pictures.read(path).over_white)
    if max_size is not None and max(picture.pixels.shape[:2]) > max_size:
        picture = picture.resized(max_size)
    return picture.pixels.astype("float32") / 127.5 - 1.0
