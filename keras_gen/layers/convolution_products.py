"""The three products of a convolution, each computed as its static output size makes it fast.

A convolution and its two gradients are one bilinear form, so the derivative of each product is again one of
the three: :func:`convolve`, :func:`input_gradient`, :func:`kernel_gradient`. Written that way, derivatives of
any order (the gradient penalty takes two, curvature three) use the fast form of each product.

Why not always oneDNN's convolution: on 2x2 outputs most of its products meet padding, and it reorders the
whole kernel for a handful of positions. There, one matrix product per output position over just the valid
taps is two to four times faster on CPUs; so is the kernel's gradient as one matrix product over image
patches up to 4x4 in bfloat16. The input's gradient on one or three channels is twice as fast by sub-pixels
where strides are larger than one, and takes two thirds of the time by blocks where they are one. 3x3 of 128
channels and more on large images is up to 2.4 times as fast by Winograd's tiles (all by two cores).
Elsewhere, and on GPUs, oneDNN or cuDNN win. Without units for bfloat16 a CPU computes all three in float32,
and rounds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from keras_gen.layers.cut import cut
from keras_gen.layers.winograd import winograd
from keras_gen.processor import bfloat16_unit, on_cpu


@dataclass(frozen=True)
class Geometry:
    """The static sizes of a two-dimensional convolution, pairs (height, width), and how it may round."""

    input_size: tuple[int, int]
    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    padding: str  # "same" or "valid"
    coarse: bool = False  # whether an error of 1.3 % is little enough by AVX512-BF16, as for frozen features

    @property
    def output_size(self) -> tuple[int, int]:
        """The spatial size of the convolution's output."""
        return tuple(len(windows) for windows in self.windows)  # type: ignore[return-value]

    @property
    def _paddings(self) -> list[tuple[int, int]]:
        if self.padding == "valid":
            return [(0, 0), (0, 0)]
        sizes = zip(self.input_size, self.kernel_size, self.strides, strict=True)
        totals = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size, kernel, stride in sizes]
        return [(total // 2, total - total // 2) for total in totals]

    @functools.cached_property
    def windows(self) -> list[list[tuple[int, int, int]]]:
        """For each axis and output position: first and last input index that is no padding, first tap."""
        result = []
        for size, kernel, stride, (before, after) in zip(
            self.input_size, self.kernel_size, self.strides, self._paddings, strict=True
        ):
            starts = range(-before, size + after - kernel + 1, stride)
            result.append([(max(s, 0), min(s + kernel, size), max(-s, 0)) for s in starts])
        return result

    def positions(self):
        """Yields output row and column, and the slices of the image and of the kernel that meet there."""
        for row, (top, bottom, first_row) in enumerate(self.windows[0]):
            for column, (left, right, first_column) in enumerate(self.windows[1]):
                image = slice(top, bottom), slice(left, right)
                taps = (
                    slice(first_row, first_row + bottom - top),
                    slice(first_column, first_column + right - left),
                )
                yield row, column, image, taps


def _by_position(geometry: Geometry) -> bool:
    return on_cpu() and max(geometry.output_size) <= 2


def _by_patches(geometry: Geometry, dtype: tf.DType) -> bool:
    return on_cpu() and max(geometry.output_size) <= (4 if dtype == tf.bfloat16 else 2)


def _by_pixels(geometry: Geometry) -> bool:
    # A 1x1 kernel meets every stride-th pixel alone. oneDNN's gradient by it writes past its memory below 8
    # channels: numbers are wrong, or the process ends (TensorFlow 2.21, AVX2).
    return on_cpu() and geometry.kernel_size == (1, 1) and max(geometry.strides) > 1


def _by_subpixels(geometry: Geometry, channels: int) -> bool:
    # A convolution of stride 1 to so many sub-pixels: below 16 channels oneDNN computes 16 anyway.
    down, right = geometry.strides
    return on_cpu() and max(geometry.output_size) > 2 and down * right > 1 and channels * down * right <= 16


def _by_blocks(geometry: Geometry, channels: int) -> bool:
    # Two by two pixels at a time: four times the channels, of which oneDNN computes 16 anyway. Kernels of
    # fewer taps and small images gain little or nothing.
    (height, width), (rows, columns) = geometry.kernel_size, geometry.output_size
    return (
        on_cpu()
        and geometry.strides == (1, 1)
        and channels <= 4
        and min(height, width) >= 3
        and rows * columns >= 1024
    )


def _by_tiles(geometry: Geometry, channels: int, filters: int, dtype: tf.DType) -> bool:
    rows, columns = geometry.output_size
    return (
        on_cpu()
        and geometry.kernel_size == (3, 3)
        and geometry.strides == (1, 1)
        and min(channels, filters) >= 128
        # Below, to evaluate the kernel takes as long as is won; above, memory is scarce: it takes eight times
        # the image's.
        and 1024 <= rows * columns <= 256**2
        and (
            dtype == tf.float32
            or (dtype == tf.bfloat16 and geometry.coarse and bfloat16_unit() == "AVX512-BF16")
        )
    )


def _by_float32(dtype: tf.DType) -> bool:
    return dtype == tf.bfloat16 and on_cpu() and not bfloat16_unit()


def rounded(product: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """A bilinear function that computes in float32 and rounds, where the CPU has no units for bfloat16.

    With AVX2 alone TensorFlow's gradients of convolutions take 16 to 40 times as long in bfloat16 as in
    float32 (3x3 of 64 and 256 channels, 5x5 of 64 to 128).
    """

    @functools.wraps(product)
    def computed(first, second, *options):
        if not _by_float32(first.dtype):
            return product(first, second, *options)
        wide = product(tf.cast(first, tf.float32), tf.cast(second, tf.float32), *options)
        return tf.cast(wide, first.dtype)

    return computed


def _strides(geometry: Geometry) -> list[int]:
    return [1, *geometry.strides, 1]


def _flat(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tensor, (-1, tensor.shape[-1]))


def _rows(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tensor, (-1, tensor.shape[1] * tensor.shape[2] * tensor.shape[3]))


@rounded
def _forward(images: tf.Tensor, kernel: tf.Tensor, geometry: Geometry) -> tf.Tensor:
    channels, filters = kernel.shape[2:]
    if _by_tiles(geometry, channels, filters, images.dtype):
        top, left = (before for before, _ in geometry._paddings)
        return winograd(images, kernel, (top, left), geometry.output_size)
    if not _by_position(geometry):
        return tf.nn.conv2d(images, kernel, _strides(geometry), geometry.padding.upper())
    outputs = [
        tf.matmul(_rows(images[:, rows, columns]), _flat(kernel[taps]))
        for _, _, (rows, columns), taps in geometry.positions()
    ]
    return tf.reshape(tf.stack(outputs, axis=1), (-1, *geometry.output_size, kernel.shape[-1]))


@rounded
def _input_gradient(gradient: tf.Tensor, kernel: tf.Tensor, geometry: Geometry) -> tf.Tensor:
    height, width = geometry.input_size
    channels, filters = kernel.shape[2:]
    if _by_tiles(geometry, channels, filters, gradient.dtype):
        top, left = (2 - before for before, _ in geometry._paddings)
        return winograd(gradient, kernel, (top, left), geometry.input_size, transposed=True)
    if _by_subpixels(geometry, channels):
        return _input_gradient_by_subpixels(gradient, kernel, geometry)
    if _by_blocks(geometry, channels):
        return _input_gradient_by_blocks(gradient, kernel, geometry)
    if not _by_position(geometry):
        shape = [tf.shape(gradient)[0], height, width, channels]
        return tf.nn.conv2d_transpose(gradient, kernel, shape, _strides(geometry), geometry.padding.upper())
    total = []
    for row, column, (rows, columns), taps in geometry.positions():
        piece = tf.matmul(gradient[:, row, column], _flat(kernel[taps]), transpose_b=True)
        piece = tf.reshape(piece, (-1, rows.stop - rows.start, columns.stop - columns.start, channels))
        borders = [[rows.start, height - rows.stop], [columns.start, width - columns.stop]]
        total.append(tf.pad(piece, [[0, 0], *borders, [0, 0]]))
    return tf.add_n(total)


def _input_gradient_by_subpixels(gradient: tf.Tensor, kernel: tf.Tensor, geometry: Geometry) -> tf.Tensor:
    # Padded input row p = stride * q + r is met by output row q - s through tap stride * s + r. So all r of
    # all q are one convolution of the gradient, of stride 1, whose channels are then spread out in space.
    channels, filters = kernel.shape[2:]
    taps, pads, counts, crops = [], [], [], []
    axes = (
        geometry.input_size,
        geometry.kernel_size,
        geometry.strides,
        geometry.output_size,
        geometry._paddings,
    )
    for size, length, stride, outputs, (before, _) in zip(*axes, strict=True):
        taps.append(-(-length // stride))
        counts.append((size - 1 + before) // stride + 1)
        pads.append([taps[-1] - 1, max(counts[-1] - outputs, 0)])
        crops.append(slice(before, before + size))
    (down, right), (rows, columns) = geometry.strides, taps
    height, width = geometry.kernel_size
    padded = tf.pad(kernel, [[0, rows * down - height], [0, columns * right - width], [0, 0], [0, 0]])
    padded = tf.reshape(padded, (rows, down, columns, right, channels, filters))[::-1, :, ::-1]
    spread = tf.reshape(
        tf.transpose(padded, (0, 2, 5, 1, 3, 4)), (rows, columns, filters, down * right * channels)
    )
    pixels = tf.nn.conv2d(tf.pad(gradient, [[0, 0], *pads, [0, 0]]), spread, 1, "VALID")
    pixels = tf.reshape(pixels[:, : counts[0], : counts[1]], (-1, *counts, down, right, channels))
    images = tf.reshape(
        tf.transpose(pixels, (0, 1, 3, 2, 4, 5)), (-1, counts[0] * down, counts[1] * right, channels)
    )
    return images[:, crops[0], crops[1]]


def _input_gradient_by_blocks(gradient: tf.Tensor, kernel: tf.Tensor, geometry: Geometry) -> tf.Tensor:
    # A convolution of stride 2 whose kernel holds the turned kernel at four places, one for each pixel.
    turned = tf.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
    places = [[[row, 1 - row], [column, 1 - column], [0, 0], [0, 0]] for row in (0, 1) for column in (0, 1)]
    blocks = tf.concat([tf.pad(turned, place) for place in places], -1)
    axes = zip(geometry.input_size, geometry.kernel_size, geometry._paddings, strict=True)
    pads = [[taps - 1 - before, taps - 1 - after + size % 2] for size, taps, (before, after) in axes]
    pixels = tf.nn.conv2d(gradient, blocks, 2, [[0, 0], *pads, [0, 0]])
    images = tf.nn.depth_to_space(pixels, 2)
    height, width = geometry.input_size
    return images if height % 2 == width % 2 == 0 else cut(images, 0, 0, height, width)


@rounded
def _kernel_gradient(images: tf.Tensor, gradient: tf.Tensor, geometry: Geometry) -> tf.Tensor:
    shape = [*geometry.kernel_size, images.shape[-1], gradient.shape[-1]]
    if _by_pixels(geometry):
        down, right = geometry.strides
        pixels = _flat(images[:, ::down, ::right])
        return tf.reshape(tf.matmul(pixels, _flat(gradient), transpose_a=True), shape)
    if not _by_patches(geometry, images.dtype):
        return tf.raw_ops.Conv2DBackpropFilter(
            input=images,
            filter_sizes=shape,
            out_backprop=gradient,
            strides=_strides(geometry),
            padding=geometry.padding.upper(),
        )
    (kernel_height, kernel_width), (down, right) = geometry.kernel_size, geometry.strides
    padded = tf.pad(images, [[0, 0], *map(list, geometry._paddings), [0, 0]])
    rows, columns = geometry.output_size
    patches = tf.stack(
        [
            _rows(padded[:, i * down : i * down + kernel_height, j * right : j * right + kernel_width])
            for i in range(rows)
            for j in range(columns)
        ],
        axis=1,
    )
    return tf.reshape(tf.matmul(_flat(patches), _flat(gradient), transpose_a=True), shape)


def convolve(images: tf.Tensor, kernel: tf.Tensor, geometry: Geometry) -> tf.Tensor:
    """Convolves (cross-correlates, as in every deep-learning library) images with a kernel.

    Args:
        images: (batch, height, width, channels).
        kernel: (kernel height, kernel width, channels, filters), of the images' dtype.
        geometry: the static sizes.

    Returns:
        (batch, output height, output width, filters); differentiable to any order.
    """

    @tf.custom_gradient
    def product(images, kernel):
        result = _forward(images, kernel, geometry)

        def gradient(upstream):
            upstream.set_shape(result.shape)  # unknown where it comes out of a loop
            return input_gradient(upstream, kernel, geometry), kernel_gradient(images, upstream, geometry)

        return result, gradient

    return product(images, kernel)


def input_gradient(gradient: tf.Tensor, kernel: tf.Tensor, geometry: Geometry) -> tf.Tensor:
    """The gradient of :func:`convolve` by its images, which is also the transposed convolution.

    Args:
        gradient: (batch, output height, output width, filters).
        kernel: (kernel height, kernel width, channels, filters).
        geometry: the static sizes of the convolution whose transpose this is.

    Returns:
        (batch, height, width, channels).
    """

    @tf.custom_gradient
    def product(gradient, kernel):
        result = _input_gradient(gradient, kernel, geometry)

        def second(upstream):
            upstream.set_shape(result.shape)
            return convolve(upstream, kernel, geometry), kernel_gradient(upstream, gradient, geometry)

        return result, second

    return product(gradient, kernel)


def kernel_gradient(images: tf.Tensor, gradient: tf.Tensor, geometry: Geometry) -> tf.Tensor:
    """The gradient of :func:`convolve` by its kernel.

    Args:
        images: (batch, height, width, channels).
        gradient: (batch, output height, output width, filters).
        geometry: the static sizes.

    Returns:
        (kernel height, kernel width, channels, filters).
    """

    @tf.custom_gradient
    def product(images, gradient):
        result = _kernel_gradient(images, gradient, geometry)

        def second(upstream):
            upstream.set_shape(result.shape)
            return input_gradient(gradient, upstream, geometry), convolve(images, upstream, geometry)

        return result, second

    return product(images, gradient)


def chosen(geometry: Geometry, channels: int, filters: int, dtype: tf.DType) -> bool:
    """Whether any of the three products is computed in a way of our own."""
    return (
        _by_patches(geometry, dtype)
        or _by_pixels(geometry)
        or _by_subpixels(geometry, channels)
        or _by_blocks(geometry, channels)
        or _by_tiles(geometry, channels, filters, dtype)
        or _by_float32(dtype)
    )
