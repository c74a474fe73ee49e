"""The perceptual loss: how far a picture is, by features, from a content and from a style."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import tensorflow as tf

from keras_gen.style.operators import content_loss, gram_loss, gram_matrix, neighbour_differences

#: Johnson et al.'s features of VGG-16.
CONTENT_TAPS = ("relu3_3",)
STYLE_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")

#: Pixels of a side of the squares whose brightness the tone loss compares.
TONE = 16
# Pixels after which the pattern of the last two resizes repeats (of earlier ones, which blocks follow, none
# was found), and a side of the squares in which it is measured.
_CHECKER, _SQUARE = 4, 64
# Pixels of a side of the squares whose colours the blotch loss compares, and the difference at an edge.
_BLOTCH, _EDGE = 4, 0.05
# Pixels of a side of the squares whose grain is measured, and of those in which a photograph is plain or not,
# by this mean difference of neighbouring pixels; and how many of these, along a side, have to be.
_SPECK, _SURROUNDINGS, _ROUGH, _PLAIN = 4, 8, 0.03, 9
# Pixels of a side of the squares whose structure is compared; the variance of brightness that counts as
# little, and the standard deviation from which all count alike.
_WINDOW, _FAINT, _CLEAR = 8, 5e-4, 0.1
# Of restraint: what local structure weighs (eyes, hair and lines stay), the palette (without it calm pictures
# are reliefs), blotches (halos and frames) and grain (pits and weaves in skies).
_STRUCTURE, _PALETTE, _BLOTCHES, _GRAIN = 0.24, 5.0, 9.0, 80.0
# Pixels of a side of the squares of which a palette is.
_DAB = 2
_DIRECTIONS = [
    [part / math.hypot(x, y, z) for part in (x, y, z)]
    for x, y, z in itertools.product((-1, 0, 1), repeat=3)
    if (x, y, z) > (0, 0, 0)
]


def content_losses(features: Mapping[str, tf.Tensor], targets: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The content loss of each picture, relative to its target, added up over the taps: float32 (batch,)."""
    return tf.add_n([relative_errors(features[tap], targets[tap]) for tap in CONTENT_TAPS])


def relative_errors(features: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """The squared error of each picture's features by the mean square of its target's: float32 (batch,)."""
    return content_loss(features, targets) / (content_loss(targets, tf.zeros_like(targets)) + 1e-3)


def style_losses(features: Mapping[str, tf.Tensor], grams: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The style loss of each picture: float32 (batch,), 1 for a picture without any features.

    The mean over the taps of the squared difference of Gram matrices, relative to the mean square of the
    painting's at that tap. Added up as they are, as by Johnson et al., what a tap counts for would be its
    features' fourth power: of HED's VGG nearly all would be the first tap's, which sees colours and grain but
    no strokes.

    Args:
        features: of the pictures, by tap.
        grams: Gram matrices (batch or 1, channels, channels) of the painting, by tap.
    """
    parts = []
    for tap in STYLE_TAPS:
        found, target = gram_matrix(features[tap]), grams[tap]
        parts.append(gram_loss(found, target) / (gram_loss(target, tf.zeros_like(target)) + 1e-3))
    return tf.add_n(parts) / len(parts)


def tone_losses(pictures: tf.Tensor, photographs: tf.Tensor) -> tf.Tensor:
    """One minus the correlation of the brightness of each picture and its photograph: float32 (batch,).

    Brightness is that of squares, so that strokes are free; a correlation leaves a style its own brightness
    and contrast. A plain photograph correlates with nothing: 1.

    Args:
        pictures, photographs: (batch, height, width, 3) in [-1, 1], of at least 16 pixels a side.
    """

    def brightness(images):
        grey = tf.image.rgb_to_grayscale(tf.cast(images, tf.float32))
        coarse = tf.nn.avg_pool2d(grey, TONE, TONE, "VALID")
        return coarse - tf.reduce_mean(coarse, (1, 2, 3), keepdims=True)

    a, b = brightness(pictures), brightness(photographs)
    spread = tf.reduce_mean(tf.square(a), (1, 2, 3)) * tf.reduce_mean(tf.square(b), (1, 2, 3))
    return 1 - tf.reduce_mean(a * b, (1, 2, 3)) / tf.sqrt(spread + 1e-9)


def checkerboard_losses(pictures: tf.Tensor) -> tf.Tensor:
    """How much of each picture is a pattern that repeats every four pixels: float32 (batch,).

    Each pixel less the mean of the 4x4 around it, which leaves a slope nothing and such a pattern all of
    itself; in squares of some 64 pixels, the mean of every fourth pixel of every fourth row; and the variance
    of the sixteen such means. Photographs and paintings have 1e-4 or so.

    What is resized and convolved has no checkerboard where it is linear, but each of the pixels that one
    became has its own distribution, and rectifiers make different means of those. A network that is rewarded
    for grain learns to paint it so.

    Args:
        pictures: (batch, height, width, 3) in [-1, 1], of at least 7 pixels a side.

    Reference: Deconvolution and Checkerboard Artifacts, 2016, Distill (doi:10.23915/distill.00003).
    """
    batch, tall, wide, channels = tf.unstack(tf.shape(pictures))
    # In rows, not cut up into pixels, as `neighbour_differences`, and by sums, not by a pool: seven times as
    # fast.
    pixels = tf.reshape(tf.cast(pictures, tf.float32), (batch, tall, wide * channels))
    sums = pixels
    for step in (1, 2):
        sums = _neighbours_added(_neighbours_added(sums, step, 0), 0, step * channels)
    grain = tf.slice(pixels, (0, 2, 2 * channels), tf.shape(sums)) - sums / _CHECKER**2
    (height, rows), (width, columns) = (_cells(side) for side in (tall - _CHECKER + 1, wide - _CHECKER + 1))
    row = columns * width * _CHECKER * channels
    whole = tf.slice(grain, (0, 0, 0), (batch, rows * height * _CHECKER, row))
    # Along one axis after the other: the ranks that kernels are fast for.
    means = tf.reduce_mean(tf.reshape(whole, (-1, height, _CHECKER, row)), 1)
    means = tf.reduce_mean(tf.reshape(means, (-1, width, _CHECKER * channels)), 1)
    means = tf.reshape(means, (-1, rows, _CHECKER, columns, _CHECKER, channels))
    means -= tf.reduce_mean(means, (2, 4), keepdims=True)
    return tf.reduce_mean(tf.square(means), (1, 2, 3, 4, 5))


def blotch_losses(pictures: tf.Tensor, photographs: tf.Tensor) -> tf.Tensor:
    """How much colours change where the photograph's do not: float32 (batch,).

    In squares of 4 pixels, so that grain is free: the mean absolute difference of neighbours, of vertical
    and of horizontal ones, added, each weighted by `exp(-d / 0.05)`, where d is the largest difference of the
    photograph's channels there. Halos beside lines, a frame along the border, pits and clouds in a plain sky
    have some; edges of the photograph cost nothing.

    Args:
        pictures, photographs: (batch, height, width, 3) in [-1, 1], of at least 8 pixels a side.
    """
    coarse, given = (
        tf.nn.avg_pool2d(tf.cast(images, tf.float32), _BLOTCH, _BLOTCH, "VALID")
        for images in (pictures, photographs)
    )
    return tf.add_n([_where_plain(*each, _EDGE) for each in zip(_steps(coarse), _steps(given), strict=True)])


def grain_losses(pictures: tf.Tensor, photographs: tf.Tensor) -> tf.Tensor:
    """How much neighbouring pixels differ where the photograph's hardly do: float32 (batch,).

    In squares of 4 pixels the mean absolute difference of vertical and of horizontal neighbours, added, each
    weighted by `exp(-d / 0.03)`, where d is the largest of the channels' mean absolute differences of the
    photograph in that direction, in all squares of 8 pixels whose middles are up to 16 pixels up, down, left
    and right. Ticks, pits and weaves in skies and on walls cost something, of which the blotch loss sees only
    what its means have; strokes in grass, and beside whatever has an outline, hardly anything.

    Args:
        pictures, photographs: (batch, height, width, 3) in [-1, 1], of at least 2 pixels a side.
    """
    parts = []
    for own, given in zip(_steps(pictures), _steps(photographs), strict=True):
        own = tf.nn.avg_pool2d(own, _SPECK, _SPECK, "SAME")
        given = tf.nn.avg_pool2d(given, _SURROUNDINGS, _SPECK, "SAME")
        given = tf.nn.max_pool2d(given, _PLAIN, 1, "SAME")
        parts.append(_where_plain(own, given, _ROUGH))
    return tf.add_n(parts)


def _steps(images: tf.Tensor) -> list[tf.Tensor]:
    """How far each pixel is from the one below, and from the one on the right, by channel."""
    images = tf.cast(images, tf.float32)
    batch, tall, wide, _ = tf.unstack(tf.shape(images))
    down, right = neighbour_differences(images)
    return [
        tf.abs(tf.reshape(down, (batch, tall - 1, wide, 3))),
        tf.abs(tf.reshape(right, (batch, tall, wide - 1, 3))),
    ]


def _where_plain(own: tf.Tensor, given: tf.Tensor, scale: float) -> tf.Tensor:
    """The mean of a picture's steps, each the less the larger the photograph's are: float32 (batch,)."""
    plain = tf.exp(-tf.reduce_max(given, -1) / scale)
    return tf.reduce_mean(plain * tf.reduce_mean(own, -1), (1, 2))


def structure_losses(pictures: tf.Tensor, photographs: tf.Tensor) -> tf.Tensor:
    """One minus the local correlation of the brightness of each picture and its photograph: float32 (batch,).

    In squares of 8 pixels that overlap by half, and the mean over them, each weighted by the photograph's
    standard deviation there, of 0.1 at most. Eyes and lines stay where they are and what is darker stays
    darker, whatever becomes of contrast and of colours. What is plain hardly counts; where all of a
    photograph is, the loss is 1, whatever the picture.

    Args:
        pictures, photographs: (batch, height, width, 3) in [-1, 1], of at least 8 pixels a side.

    Reference: Image Quality Assessment: From Error Visibility to Structural Similarity, 2004, IEEE
    Transactions on Image Processing 13 (doi:10.1109/TIP.2003.819861), the third of its factors.
    """

    def means(images):
        return tf.nn.avg_pool2d(images, _WINDOW, _WINDOW // 2, "VALID")

    a, b = (tf.image.rgb_to_grayscale(tf.cast(images, tf.float32)) for images in (pictures, photographs))
    mean_a, mean_b = means(a), means(b)
    variance_a, variance_b = (
        tf.nn.relu(means(tf.square(each)) - tf.square(mean)) for each, mean in ((a, mean_a), (b, mean_b))
    )
    covariance = means(a * b) - mean_a * mean_b
    # What hardly varies has no structure: its correlation is nearly nothing, and so is the gradient.
    correlation = covariance / tf.sqrt((variance_a + _FAINT) * (variance_b + _FAINT))
    weight = tf.minimum(tf.sqrt(variance_b + 1e-8), _CLEAR)
    return tf.math.divide_no_nan(
        tf.reduce_sum(weight * (1 - correlation), (1, 2, 3)), tf.reduce_sum(weight, (1, 2, 3))
    )


def palette(images: tf.Tensor, count: int | None = None) -> tf.Tensor:
    """Colours of images, sorted along 13 directions of RGB: float32 (batch, 13, count).

    Those of squares of 2 pixels. The directions are from the middle of a cube to its corners, edges and
    faces, one of each opposite two.

    Args:
        images: (batch, height, width, 3) in [-1, 1], of at least 2 pixels a side.
        count: how many of them, evenly chosen; all where None.
    """
    dabs = tf.nn.avg_pool2d(tf.cast(images, tf.float32), _DAB, _DAB, "VALID")
    along = tf.einsum("bhwc,dc->bdhw", dabs, tf.constant(_DIRECTIONS, tf.float32))
    colours = tf.sort(tf.reshape(along, (tf.shape(along)[0], len(_DIRECTIONS), -1)), -1)
    return colours if count is None else _spread(colours, count)


def palette_losses(pictures: tf.Tensor, palettes: tf.Tensor) -> tf.Tensor:
    """How far the colours of each picture, and their shares, are from a painting's: float32 (batch,).

    The mean squared difference along each direction, which is the sliced Wasserstein distance, relative to
    the variance of the painting's: 1 for a picture of its mean colour alone. Gram matrices say little of
    what is between the darkest and the lightest.

    Args:
        pictures: (batch, height, width, 3) in [-1, 1], of at least 2 pixels a side.
        palettes: of the paintings, by `palette`: (batch or 1, 13, any count).

    Reference: A Sliced Wasserstein Loss for Neural Texture Synthesis, 2021, arXiv:2006.07229 (of features).
    """
    found = palette(pictures)
    target = _spread(palettes, tf.shape(found)[-1])
    spread = tf.reduce_mean(tf.math.reduce_variance(palettes, -1), -1)
    return tf.reduce_mean(tf.square(found - target), (1, 2)) / (spread + 1e-3)


def restraint_losses(pictures: tf.Tensor, photographs: tf.Tensor, palettes: tf.Tensor) -> tf.Tensor:
    """What of each picture is neither its photograph's nor its painting's: float32 (batch,).

    Local structure counts, which keeps eyes, hair and lines; the painting's palette, which has what is dark
    filled, not outlined; colours are to change where the photograph's do, and neighbouring pixels to differ
    little where the photograph's hardly do. Gram matrices alone ask for as much grain in a plain sky as there
    is in all of a painting.

    Args:
        pictures, photographs: (batch, height, width, 3) in [-1, 1], of at least 8 pixels a side.
        palettes: of the paintings, as for `palette_losses`.
    """
    loss = _STRUCTURE * structure_losses(pictures, photographs)
    loss += _PALETTE * palette_losses(pictures, palettes)
    loss += _BLOTCHES * blotch_losses(pictures, photographs)
    return loss + _GRAIN * grain_losses(pictures, photographs)


def _spread(values: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """So many of the values along the last axis, evenly chosen, some more than once where there are fewer."""
    # Of 64 bits: twice the product of two counts of a picture's colours has more than 31.
    count, length = tf.cast(count, tf.int64), tf.shape(values, tf.int64)[-1]
    return tf.gather(values, (2 * tf.range(count) + 1) * length // (2 * count), axis=-1)


def _neighbours_added(rows: tf.Tensor, down: int, right: int | tf.Tensor) -> tf.Tensor:
    """Each number of (batch, height, width × channels) and the one so far down and to the right, added."""
    size = tf.shape(rows) - (0, down, right)
    return tf.slice(rows, (0, 0, 0), size) + tf.slice(rows, (0, down, right), size)


def _cells(side: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How many repetitions a square is long, and how many squares a side is."""
    squares = tf.maximum(side // _SQUARE, 1)
    return side // (squares * _CHECKER), squares


def mean_variation(images: tf.Tensor) -> tf.Tensor:
    """The mean absolute difference of vertical, and of horizontal neighbours, added: a scalar."""
    down, right = neighbour_differences(images)
    return tf.reduce_mean(tf.abs(down)) + tf.reduce_mean(tf.abs(right))
