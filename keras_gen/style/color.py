"""Colour preservation: what a style may say of colours, and what stays the photograph's."""

from __future__ import annotations

import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_FLOOR = 1e-4  # variance of a picture that is all but grey, in squares of [-1, 1]


def luminance(image: np.ndarray) -> np.ndarray:
    """The brightness (height, width, 1) in [-1, 1] of an image (height, width, 3) in [-1, 1]."""
    return (np.asarray(image, np.float32) @ _LUMA)[..., None]


def with_luminance(image: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The image at another brightness: its two differences of colour stay, but where a channel would clip.

    Args:
        image: (height, width, 3) in [-1, 1].
        wanted: (height, width, 1).

    Returns:
        float32 (height, width, 3) in [-1, 1].
    """
    return np.clip(image + (wanted - luminance(image)), -1.0, 1.0).astype(np.float32)


def match_luminance(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The style's brightness (height, width, 1) with the mean and deviation of the content's.

    Args:
        style, content: (height, width, 3) in [-1, 1], of any sizes.

    Reference: Preserving Color in Neural Artistic Style Transfer, 2016, arXiv:1606.05897, section 4.
    """
    moving, fixed = luminance(style), luminance(content)
    gain = fixed.std() / max(float(moving.std()), _FLOOR**0.5)
    return ((moving - moving.mean()) * gain + fixed.mean()).astype(np.float32)


def match_colors(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The style with the content's colours: an affine map of RGB gives it their mean and covariance.

    Args:
        style, content: (height, width, 3) in [-1, 1], of any sizes.

    Returns:
        float32 of the style's shape; not clipped, so that the moments are exact.

    Reference: Preserving Color in Neural Artistic Style Transfer, 2016, arXiv:1606.05897, section 3, with
    the symmetric roots of the covariances ("Image Analogies").
    """
    moving, fixed = (np.asarray(image, float).reshape(-1, 3) for image in (style, content))
    map_ = _root(fixed, 0.5) @ _root(moving, -0.5)
    matched = (moving - moving.mean(0)) @ map_.T + fixed.mean(0)
    return matched.reshape(style.shape).astype(np.float32)


def _root(colors: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(np.cov(colors.T, bias=True))
    return (vectors * np.maximum(values, _FLOOR if power < 0 else 0.0) ** power) @ vectors.T
