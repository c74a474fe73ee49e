"""Photographs larger than memory allows at once: network by tile, without seams.

Two things would show where tiles meet. Borders: so tiles overlap by more than the network sees, and what
remains is faded from one into the other. And instance normalization, whose statistics would be those of a
tile, here dark, there bright: so every tile is normalized with statistics of the whole image. Noise and
textures go on from tile to tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_gen.layers.instance_statistics import InstanceStatistics, calibrated, calibration
from keras_gen.layers.patterns import ImageOrigin
from keras_gen.style.borders import missing

#: Tiles begin at multiples of this, as the pixels of strided layers do.
GRID = 32
#: Largest pixel count that goes through a network at once.
WHOLE = 2_500_000

Network = Callable[[tf.Tensor], tf.Tensor]
Statistics = list[tuple[np.ndarray, np.ndarray]]


class Span(NamedTuple):
    """One axis of a tile: its pixels, and the part of the image that it alone stands for."""

    start: int
    stop: int
    first: int
    last: int


class Tiled:
    """An image-to-image network for photographs of any size, in bounded memory.

    The statistics of all instance normalizations (of those that take them from `spatial_moments`) are first
    measured on patches from everywhere, normalized together, and then on the tiles themselves, each of which
    counts with its own part of the image. A normalization's input depends on the normalizations before it, so
    that one more layer's statistics are exact after each pass over the tiles; since the patches are a good
    sample of the image, they mostly stop to change after one or two.

    Args:
        network: Maps (batch, height, width, 3) in [-1, 1] to images of the same shape; TensorFlow functions
            only, since it is traced.
        tile: Pixels of a tile's side at most, a multiple of 32.
        overlap: Pixels that neighbours share, a multiple of 32. Three eighths of them, along the border of
            each, are left out of the image: of as far as the network sees, no seams remain at all.
        whole: Images of no more pixels go through the network at once.
        multiple: The network sees sides that are multiples of this, at least two, for which images are
            continued by their mirror image at the right and at the bottom: strided layers sample an odd side
            at other places than an even one. A divisor of 32.
        passes: Most passes over the tiles for the statistics; 0 takes those of the patches.
        tolerance: Passes end where no mean and no standard deviation changed by more than this share of a
            standard deviation.
        plain: Whether the network makes one colour of an image of one colour. Such an image is not painted by
            tiles: under given statistics each normalization would enlarge the roundings of the one before.

    Raises:
        ValueError: Sizes that do not fit.
    """

    def __init__(
        self,
        network: Network,
        tile: int = 1024,
        overlap: int = 256,
        whole: int = WHOLE,
        multiple: int = 16,
        passes: int = 2,
        tolerance: float = 0.01,
        plain: bool = False,
    ) -> None:
        if tile % GRID or overlap % GRID or not 0 < overlap <= tile // 2:
            raise ValueError(
                f"tile and overlap must be multiples of {GRID}, overlap at most half of tile; "
                f"received {tile} and {overlap}."
            )
        self.tile, self.overlap, self.whole = tile, overlap, whole
        self.multiple = multiple
        self.passes, self.tolerance, self.plain = passes, tolerance, plain
        self._apply = traced(network)
        self._sample, self._measure = traced(network, joint=True), traced(network, measuring=True)

    def __call__(self, image: np.ndarray, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """The network's image of an image.

        Args:
            image: uint8 (height, width, 3), or float32 in [-1, 1].
            progress: Called after each tile with how many are done and how many there are at most.

        Returns:
            The same shape and type.

        Raises:
            ValueError: An image of another type, or a network that changes the size of its input.
        """
        image = np.asarray(image)
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype not in (np.uint8, np.float32):
            raise ValueError(
                f"image must be uint8 or float32 (height, width, 3), received {image.dtype} {image.shape}."
            )
        progress = progress or (lambda done, total: None)
        height, width = image.shape[:2]
        beyond = [(0, missing(side, self.multiple)) for side in (height, width)]
        if np.any(beyond):
            image = np.pad(image, [*beyond, (0, 0)], "reflect")
        if image.shape[0] * image.shape[1] <= self.whole:
            made = _same_size(np.asarray(self._apply(to_floats(image)))[0], image)
            progress(1, 1)
            return _of_type(image.dtype, made[:height, :width])
        if self.plain and (image == image[0, 0]).all():
            made = np.asarray(self._apply(to_floats(np.full_like(image, image[0, 0], shape=(GRID, GRID, 3)))))
            progress(1, 1)
            return _of_type(image.dtype, np.broadcast_to(made.mean((0, 1, 2)), (height, width, 3)))
        rows, columns = (spans(side, self.tile, self.overlap) for side in image.shape[:2])
        places = [(row, column) for row in rows for column in columns]
        total = len(places) * (1 + self.passes)
        statistics: Statistics = []
        for done, better in enumerate(self._statistics(image, places)):
            statistics = better
            if done:
                progress(done, total)
        # Floating point for a row of tiles alone; the next begins with what this one fades out.
        result = np.empty_like(image)
        done, begun = total - len(places), np.zeros((0, *image.shape[1:]), "float32")
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            canvas = np.zeros((row.stop - row.start, *image.shape[1:]), "float32")
            canvas[: len(begun)] = begun
            for column in columns:
                pixels = _pixels(image, row, column)
                made = np.asarray(self._apply(to_floats(pixels), statistics, _origin(row, column)))[0]
                made = _same_size(made, pixels)
                weight = _fade(row, self.overlap, image.shape[0])[:, None, None]
                weight = weight * _fade(column, self.overlap, image.shape[1])[:, None]
                canvas[:, column.start : column.stop] += weight * made
                done += 1
                progress(done, total)
            ready = row.stop if following is None else following.start
            result[row.start : ready] = _of_type(image.dtype, canvas[: ready - row.start])
            begun = canvas[ready - row.start :]
        return result[:height, :width]

    def _statistics(self, image: np.ndarray, places: list[tuple[Span, Span]]) -> Iterator[Statistics]:
        """Ever better statistics of the whole image: once from patches, then again after each tile.

        Between passes the patches tell how all statistics move along with those of the layers before, and the
        pass before by how much those of the whole differ from theirs.
        """
        patches, origins = sampled(image, self.whole)
        own = self._sample(patches, None, None, origins)
        statistics = [(mean, variance) for mean, variance, _ in own]
        yield statistics
        for _ in range(self.passes if statistics else 0):
            parts = []
            for row, column in places:
                pixels, window = to_floats(_pixels(image, row, column)), _window(row, column)
                parts.append(self._measure(pixels, window, statistics, _origin(row, column)))
                yield statistics
            entries = [
                calibration(*moments, *patches_own[:2])
                for moments, patches_own in zip(merged(parts), own, strict=True)
            ]
            own = self._sample(patches, None, entries, origins)
            before, statistics = (
                statistics,
                [
                    calibrated(mean, variance, *entry)
                    for (mean, variance, _), entry in zip(own, entries, strict=True)
                ],
            )
            if change(before, statistics) <= self.tolerance:
                break
        yield statistics


def is_large(image: np.ndarray) -> bool:
    """Whether an image (height, width, 3) has more pixels than go through a network at once."""
    return image.shape[0] * image.shape[1] > WHOLE


def traced(network: Network, measuring: bool = False, joint: bool = False) -> Callable[..., Any]:
    """A graph of the network: its image under given statistics, or what its normalizations measure.

    Args:
        network: As in `Tiled`.
        measuring: Measures a part of an image under statistics that are given.
        joint: Measures a batch of parts together, under their own statistics, which a calibration may move.

    Returns:
        A function of images (batch, height, width, 3), a window (joint, None) unless it makes an image,
        statistics or a calibration, and where in the whole the image begins.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def image(x: tf.Tensor, given: Any = None, origin: Any = None) -> tf.Tensor:
        with InstanceStatistics(given), ImageOrigin(origin):
            return network(x)

    @tf.function(autograph=False, reduce_retracing=True)
    def moments(x: tf.Tensor, window: Any, entries: Any = None, origin: Any = None) -> list[tuple]:
        options = {"joint": True, "calibration": entries} if joint else {"window": window, "given": entries}
        with InstanceStatistics(**options) as statistics, ImageOrigin(origin):
            network(x)
        return [tuple(tf.cast(part, tf.float32) for part in entry) for entry in statistics.recorded]

    def measure(*inputs: Any) -> list[tuple]:
        return tf.nest.map_structure(np.asarray, moments(*inputs))

    return measure if measuring or joint else image


def sampled(image: np.ndarray, pixels: int, patch: int = 256) -> tuple[tf.Tensor, np.ndarray]:
    """Patches from everywhere in an image, as a batch in [-1, 1], and where they are from.

    Args:
        image: uint8 (height, width, 3), or float32 in [-1, 1].
        pixels: Pixels of all patches together, nearly.
        patch: Pixels of a patch's side at most.

    Returns:
        float32 (count, side, side, 3); and where each begins, down to a multiple of 32: int32 (count, 2).
    """
    height, width = image.shape[:2]
    # Of few pixels many small patches say more than few large ones.
    side = min(patch, max(GRID, round(math.sqrt(pixels / 9) / GRID) * GRID), height, width)
    count = max(1.0, pixels / side**2)
    rows = max(1, min(round(math.sqrt(count * height / width)), math.ceil(height / side)))
    columns = max(1, min(round(count / rows), math.ceil(width / side)))
    tops, lefts = (
        np.linspace(0, length - side, number).astype(int)
        for length, number in ((height, rows), (width, columns))
    )
    places = [(top, left) for top in tops for left in lefts]
    patches = np.stack([image[top : top + side, left : left + side] for top, left in places])
    origins = np.array(places, "int32") // GRID * GRID
    return _in_floats(patches), origins


def spans(length: int, tile: int, overlap: int) -> list[Span]:
    """Covers an axis by tiles of nearly one size that overlap; their own parts join without a gap."""
    count = max(1, math.ceil((length - overlap) / (tile - overlap)))
    step = math.ceil((length - overlap) / count / GRID) * GRID
    starts = [i * step for i in range(count) if i == 0 or i * step + overlap < length]
    found = []
    for i, start in enumerate(starts):
        last = i == len(starts) - 1
        stop = length if last else start + step + overlap
        found.append(
            Span(
                start,
                stop,
                0 if i == 0 else start + overlap // 2,
                length if last else start + step + overlap // 2,
            )
        )
    return found


def merged(parts: list[list[tuple]]) -> Statistics:
    """The moments of a whole from those of its parts, each with its count of pixels."""
    found = []
    for layer in zip(*parts, strict=True):
        means, variances, counts = (
            np.stack([np.asarray(p, np.float64) for p in q]) for q in zip(*layer, strict=True)
        )
        share = (counts / counts.sum()).reshape(-1, *[1] * (means.ndim - 1))
        mean = (share * means).sum(0)
        variance = (share * (variances + np.square(means - mean))).sum(0)
        found.append((mean.astype("float32"), variance.astype("float32")))
    return found


def change(before: Statistics, after: Statistics) -> float:
    """The largest change of a mean or a standard deviation, in standard deviations of its layer's channel."""
    largest = 0.0
    for (mean, variance), (new_mean, new_variance) in zip(before, after, strict=True):
        # Channels that hardly vary have nothing to compare with but their layer.
        deviation = np.sqrt(np.maximum(new_variance, 1e-3 * new_variance.mean() + 1e-12))
        largest = max(
            largest,
            float(np.max(np.abs(new_mean - mean) / deviation)),
            float(np.max(np.abs(np.sqrt(new_variance) - np.sqrt(variance)) / deviation)),
        )
    return largest


def to_floats(pixels: np.ndarray) -> tf.Tensor:
    """uint8 (height, width, 3), or float32 in [-1, 1], as a batch of one in [-1, 1]."""
    return _in_floats(pixels[None])


def _in_floats(pixels: np.ndarray) -> tf.Tensor:
    return tf.constant(pixels.astype("float32") / 127.5 - 1.0 if pixels.dtype == np.uint8 else pixels)


def _of_type(kind: Any, array: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] as it is, or as uint8."""
    clipped = np.clip(array, -1, 1)
    return np.round(clipped * 127.5 + 127.5).astype("uint8") if kind == np.uint8 else clipped


def _origin(row: Span, column: Span) -> np.ndarray:
    return np.array([row.start, column.start], "int32")


def _window(row: Span, column: Span) -> np.ndarray:
    shares: Iterator[float] = (
        (edge - span.start) / (span.stop - span.start)
        for span in (row, column)
        for edge in (span.first, span.last)
    )
    return np.array(list(shares), "float32")


def _pixels(image: np.ndarray, row: Span, column: Span) -> np.ndarray:
    return image[row.start : row.stop, column.start : column.stop]


def _fade(span: Span, overlap: int, length: int) -> np.ndarray:
    """Weights along a tile: 1, and over the middle quarter of an overlap from 0 to 1; two sum to 1."""
    position = np.arange(span.start, span.stop) + 0.5
    ramp = overlap / 4
    weight = np.ones(len(position), "float32")
    if span.first > 0:
        weight *= np.clip((position - span.first) / ramp + 0.5, 0, 1)
    if span.last < length:
        weight *= np.clip((span.last - position) / ramp + 0.5, 0, 1)
    return weight.astype("float32")


def _same_size(made: np.ndarray, image: np.ndarray) -> np.ndarray:
    if made.shape != image.shape:
        raise ValueError(
            f"The network makes {made.shape} of an image {image.shape}: tiles need one that keeps the size."
        )
    return made
