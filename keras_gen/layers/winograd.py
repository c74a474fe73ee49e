"""Convolutions of 3x3 by Winograd's minimal filtering: a quarter of the multiplications.

Four by four pixels of the output are found from six by six of the input: both and the kernel are evaluated
at six points along either axis, where a convolution is one product each, 36 in place of 144. Over all tiles
and channels these are 36 matrix products, and the evaluations are matrix products too.

Reference: Fast Algorithms for Convolutional Neural Networks, 2015, arXiv:1509.09308. The points are chosen
as in Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks, 2018,
arXiv:1803.10986: of all ±a, ±b in eighths these were the most exact in bfloat16 (1.3 % of the outputs' root
mean square, direct convolution 0.3 %; 0, ±1, ±2 have 2.9 %) by CPUs with units for it. Layers take tiles in
bfloat16 on no others (1.8 % with AVX2 alone).
"""

from __future__ import annotations

import functools
import math

import numpy as np
import tensorflow as tf

from keras_gen.layers.cut import cut

_POINTS = (0, 0.75, -0.75, 1.5, -1.5)  # and infinity
_SIDE, _TAPS = 4, 3  # of a tile of the output, and of the kernel
_EVALUATED = _SIDE + _TAPS - 1  # a tile of the input overlaps the next by two


@functools.cache
def _matrices(turned: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What takes tiles of the input, kernels and products of their values (as rows) to the next, in 2-D."""

    def evaluation(count: int) -> np.ndarray:
        powers = np.array(_POINTS)[:, None] ** np.arange(count)
        return np.vstack([powers, np.eye(count)[-1]])

    inputs = np.linalg.inv(evaluation(_EVALUATED)).T
    scale = 2 ** np.round(np.log2(np.linalg.norm(inputs, axis=1, keepdims=True)))  # values of like size
    image, kernel, output = inputs / scale, evaluation(_TAPS) * scale, evaluation(_SIDE).T
    image, kernel, output = (np.kron(matrix, matrix) for matrix in (image, kernel, output))
    return image, kernel[:, ::-1] if turned else kernel, output


def _tiles(images: tf.Tensor, before: tuple[int, int], counts: list[int]) -> tf.Tensor:
    """The pixels of each place of a tile, of all tiles: (6 * 6, batch * tiles * channels).

    Rows of channels are gathered: half the time of slices of `space_to_batch`, which has one thread.
    """
    sides = [_SIDE * count + _EVALUATED - _SIDE for count in counts]
    pads = [
        [start, side - start - length]
        for start, side, length in zip(before, sides, images.shape[1:3], strict=True)
    ]
    padded = tf.pad(images, [[0, 0], *pads, [0, 0]])
    rows, columns = (tf.range(_EVALUATED)[:, None] + _SIDE * tf.range(count) for count in counts)
    places = sides[1] * rows[:, None, :, None] + columns[None, :, None, :]
    samples = math.prod(sides) * tf.range(tf.shape(images)[0])
    places = places[:, :, None] + samples[:, None, None]
    return tf.reshape(tf.gather(tf.reshape(padded, (-1, images.shape[-1])), places), (_EVALUATED**2, -1))


def winograd(
    images: tf.Tensor,
    kernel: tf.Tensor,
    before: tuple[int, int],
    size: tuple[int, int],
    transposed: bool = False,
) -> tf.Tensor:
    """Convolves images with a kernel of 3x3, stride 1; beyond their borders images are zero.

    Args:
        images: (batch, height, width, channels), height and width static.
        kernel: (3, 3, channels, filters), of the images' dtype.
        before: rows above and columns left of the image, where the output begins.
        size: height and width of the output.
        transposed: whether the kernel is turned by half a turn, and takes filters to channels.

    Returns:
        (batch, *size, filters), or channels where transposed.
    """
    inputs, outputs = kernel.shape[2:]
    kernel = tf.reshape(kernel, (_TAPS**2, inputs * outputs))
    image_matrix, kernel_matrix, output_matrix = (
        tf.constant(each, images.dtype) for each in _matrices(transposed)
    )
    channels = images.shape[-1]
    counts = [-(-side // _SIDE) for side in size]
    tiles = _tiles(images, before, counts)
    values = tf.reshape(tf.matmul(image_matrix, tiles), (_EVALUATED**2, -1, channels))
    kernels = tf.reshape(tf.matmul(kernel_matrix, kernel), (_EVALUATED**2, inputs, outputs))
    products = tf.matmul(values, kernels, transpose_b=transposed)
    pixels = tf.matmul(output_matrix, tf.reshape(products, (_EVALUATED**2, -1)))
    pixels = tf.reshape(pixels, (_SIDE, _SIDE, -1, *counts, products.shape[-1]))
    pixels = tf.transpose(pixels, (2, 3, 0, 4, 1, 5))
    pixels = tf.reshape(pixels, (-1, *(_SIDE * count for count in counts), products.shape[-1]))
    return pixels if pixels.shape[1:3] == size else cut(pixels, 0, 0, *size)
