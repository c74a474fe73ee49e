"""Paths through a space of latent vectors, which are standard normal: between two points, and along units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_gen.image import make_grid


def slerp(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Spherical interpolation: lengths stay likely, where a straight line's would be short.

    Args:
        start, end: vectors (…, latent_dim).
        steps: points on the way, both ends among them; two or more.

    Returns:
        (steps, …, latent_dim), float32.

    Raises:
        ValueError: fewer than two steps, or vectors of different shapes.

    Reference: Sampling Generative Networks, 2016, arXiv:1609.04468.
    """
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    if steps < 2 or start.shape != end.shape:
        raise ValueError(
            "Interpolation needs two steps or more, and ends of one shape; received "
            f"{steps}, {start.shape} and {end.shape}."
        )
    lengths = np.linalg.norm(start, axis=-1) * np.linalg.norm(end, axis=-1)
    cosine = (start * end).sum(axis=-1) / np.maximum(lengths, 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))[None, ..., None]
    share = np.linspace(0, 1, steps).reshape(-1, *[1] * start.ndim)
    sine = np.sin(angle)
    straight = sine < 1e-6  # the same direction or the opposite one
    safe = np.where(straight, 1.0, sine)
    first = np.where(straight, 1 - share, np.sin((1 - share) * angle) / safe)
    second = np.where(straight, share, np.sin(share * angle) / safe)
    return (first * start + second * end).astype(np.float32)


def traverse(point: np.ndarray, units: np.ndarray, steps: int = 9, reach: float = 3.0) -> np.ndarray:
    """Moves one unit at a time from −reach to reach, the others staying as they are.

    Args:
        point: a vector (latent_dim,).
        units: indices of the units.
        steps: points for each.
        reach: in standard deviations of the prior.

    Returns:
        (len(units), steps, latent_dim), float32.

    Raises:
        ValueError: fewer than two steps.
    """
    if steps < 2:
        raise ValueError(f"A traversal needs two steps or more; received {steps}.")
    points = np.tile(np.asarray(point, np.float32), (len(units), steps, 1))
    for row, unit in enumerate(units):
        points[row, :, unit] = np.linspace(-reach, reach, steps)
    return points


def loop(points: np.ndarray, steps: int) -> np.ndarray:
    """Spherical interpolation from each point to the next, and from the last to the first.

    Args:
        points: (count, …, latent_dim), two or more.
        steps: points on each way, its end not among them.

    Returns:
        (count · steps, …, latent_dim), float32, which can be shown over and over.

    Raises:
        ValueError: fewer than two points, or less than one step.
    """
    if len(points) < 2 or steps < 1:
        raise ValueError(f"A loop needs two points and one step or more; received {len(points)} and {steps}.")
    ends = np.concatenate([points[1:], points[:1]])
    return np.concatenate([slerp(a, b, steps + 1)[:-1] for a, b in zip(points, ends, strict=True)])


def film(
    model: Any,
    walks: int,
    points: int,
    steps: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[np.ndarray]:
    """Frames of walks through a latent space, side by side; the last leads back to the first.

    Args:
        model: a generative model with continuous latents; a conditional one shows each class in turn.
        walks: how many at a time.
        points: latent vectors on a walk.
        steps: frames from each to the next.
        seed: of the latent vectors.
        progress: called after each frame with how many are done, and how many there are.

    Returns:
        An iterator of uint8 (height, width, 3).

    Raises:
        ValueError: the latents are codes, which have no points between.
    """
    latents = np.asarray(model.latents(walks * points, seed))
    if latents.dtype.kind != "f":
        raise ValueError(f"The latents of a {type(model).__name__} are codes, which have no points between.")
    way = loop(latents.reshape(points, walks, -1), steps)
    classes = {"labels": np.arange(walks) % model.num_classes} if model.labelled else {}

    def frames() -> Iterator[np.ndarray]:
        for index, place in enumerate(way):
            grid = make_grid(np.asarray(model.generate(place, **classes)))
            yield np.repeat(grid, 3, axis=-1) if grid.shape[-1] == 1 else grid
            if progress is not None:
                progress(index + 1, len(way))

    return frames()
