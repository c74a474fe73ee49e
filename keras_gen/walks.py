"""Paths through a space of latent vectors, which are standard normal: between two points, and along units."""

from __future__ import annotations

import numpy as np


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
