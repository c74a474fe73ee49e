"""Colour preservation: what a style may say of colours, and what stays the photograph's."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_gen.data.geometry import LUMA

_FLOOR = 1e-4  # variance of a picture that is all but grey, in squares of [-1, 1]


def luminance(image: np.ndarray) -> np.ndarray:
    """The brightness (height, width, 1) in [-1, 1] of an image (height, width, 3) in [-1, 1]."""
    return (np.asarray(image, np.float32) @ np.array(LUMA, np.float32))[..., None]


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
    pictures = (tf.constant(image, tf.float64)[None] for image in (style, content))
    return matched_colors(*pictures)[0].numpy().astype(np.float32)


def matched_colors(styles: tf.Tensor, contents: tf.Tensor, floor: float = _FLOOR) -> tf.Tensor:
    """`match_colors` of each picture of a batch.

    Args:
        styles, contents: (batch, height, width, 3) in [-1, 1].
        floor: what variances of the styles are taken for if they are smaller, which limits the gain.

    Returns:
        Of the styles' shape and type.
    """
    mean, covariance = _color_moments(styles)
    wanted_mean, wanted_covariance = _color_moments(contents)
    maps = tf.matmul(_root(wanted_covariance, 0.5), _root(covariance, -0.5, floor))
    return tf.einsum("bhwi,bji->bhwj", styles - mean, maps) + wanted_mean


def _color_moments(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Means (batch, 1, 1, 3) and covariances (batch, 3, 3) of the colours of each image."""
    mean = tf.reduce_mean(images, (1, 2), keepdims=True)
    pixels = tf.reshape(images - mean, (tf.shape(images)[0], -1, 3))
    return mean, tf.matmul(pixels, pixels, transpose_a=True) / tf.cast(tf.shape(pixels)[1], images.dtype)


def _root(covariances: tf.Tensor, power: float, floor: float = 0.0) -> tf.Tensor:
    values, vectors = tf.linalg.eigh(covariances)
    return tf.matmul(vectors * tf.maximum(values, floor)[:, None] ** power, vectors, transpose_b=True)
