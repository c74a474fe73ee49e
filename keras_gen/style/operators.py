"""Statistics of features, in which style is measured and exchanged: pure functions of tensors."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_gen.layers.instance_statistics import spatial_moments


def _shares(features: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Each pixel's weight in a mean over the image, or over the mask: they sum to one."""
    if mask is None:
        pixels = tf.cast(tf.reduce_prod(tf.shape(features)[1:3]), features.dtype)
        return tf.reshape(1.0 / pixels, (1, 1, 1, 1))
    mask = tf.cast(mask, features.dtype)
    if mask.shape.rank == 3:
        mask = mask[..., None]
    return mask / tf.maximum(tf.reduce_sum(mask, (1, 2), keepdims=True), 1e-6)


def _float(features) -> tf.Tensor:
    features = tf.convert_to_tensor(features)
    return features if features.dtype == tf.float64 else tf.cast(features, tf.float32)


def _of_rank_4(features) -> tf.Tensor:
    features = tf.convert_to_tensor(features)
    if features.shape.rank not in (4, None):
        raise ValueError(
            f"Features must be (batch, height, width, channels); received {tuple(features.shape)}."
        )
    return features


def gram_matrix(features: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
    """The inner products of all pairs of channels over the image, divided by height × width.

    Args:
        features: (batch, height, width, channels). In bfloat16 the products are multiplied in bfloat16.
        mask: (batch, height, width) or with a last axis of one, at least 0: the weight of each pixel; the
            sum of the weights takes the place of height × width.

    Returns:
        (batch, channels, channels), float32 or float64.

    Raises:
        ValueError: features of another rank.

    Reference: Image Style Transfer Using Convolutional Neural Networks, 2016, CVPR (arXiv:1508.06576).
    """
    features = _of_rank_4(features)
    if features.dtype == tf.float16:  # whose largest number is 65,504: a product of few pixels
        features = tf.cast(features, tf.float32)
    if mask is None:
        return _products(features) / tf.cast(tf.reduce_prod(tf.shape(features)[1:3]), _float(features).dtype)
    weighted = features * tf.cast(_shares(_float(features), mask), features.dtype)
    return _float(tf.matmul(_rows(weighted), _rows(features), transpose_a=True))


def _rows(features: tf.Tensor) -> tf.Tensor:
    return tf.reshape(features, (tf.shape(features)[0], -1, features.shape[-1]))


@tf.custom_gradient
def _products(features: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """XᵀX, by whose symmetry its gradient takes one product in place of two."""
    products = _float(tf.matmul(_rows(features), _rows(features), transpose_a=True))

    def gradient(upstream):
        symmetric = tf.cast(upstream + tf.linalg.matrix_transpose(upstream), features.dtype)
        return tf.reshape(tf.matmul(_rows(features), symmetric), tf.shape(features))

    return products, gradient


def channel_moments(
    features: tf.Tensor, mask: tf.Tensor | None = None, epsilon: float = 1e-5
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and standard deviation of each channel over the image.

    Args:
        features: (batch, height, width, channels).
        mask: as in `gram_matrix`; the moments are those of the masked pixels.
        epsilon: added to the (biased) variance, so that the root has a slope at zero.

    Returns:
        Two tensors (batch, 1, 1, channels), float32 or float64.

    Raises:
        ValueError: features of another rank.
    """
    features = _float(_of_rank_4(features))
    if mask is None:
        mean = tf.reduce_mean(features, (1, 2), keepdims=True)
        variance = tf.reduce_mean(tf.square(features - mean), (1, 2), keepdims=True)
    else:
        shares = _shares(features, mask)
        mean = tf.reduce_sum(shares * features, (1, 2), keepdims=True)
        variance = tf.reduce_sum(shares * tf.square(features - mean), (1, 2), keepdims=True)
    return mean, tf.sqrt(variance + epsilon)


def adain(
    content: tf.Tensor, style: tf.Tensor, epsilon: float = 1e-5, *, style_mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Gives every channel of the content the mean and standard deviation that it has in the style.

    Within a `layers.InstanceStatistics` block the content's own statistics are those that it gives.

    Args:
        content: features (batch, height, width, channels).
        style: features (batch or 1, any height, any width, channels).
        epsilon: added to both variances.
        style_mask: which pixels of the style count, as in `gram_matrix`; all where None.

    Returns:
        Features of the content's shape, float32 or float64.

    Raises:
        ValueError: features of another rank.

    Reference: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization, 2017,
    arXiv:1703.06868.
    """
    content = _float(_of_rank_4(content))
    mean, variance = spatial_moments(content)
    style_mean, style_deviation = channel_moments(style, style_mask, epsilon)
    return (content - mean) / tf.sqrt(variance + epsilon) * style_deviation + style_mean


def total_variation(images: tf.Tensor) -> tf.Tensor:
    """The sum of the absolute differences between neighbouring pixels, over all images: a scalar.

    As `tf.image.total_variation`, summed over the batch.
    """
    down, right = neighbour_differences(_float(images))
    return tf.reduce_sum(tf.abs(down)) + tf.reduce_sum(tf.abs(right))


def neighbour_differences(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each pixel less the one above it, and less the one to the left.

    Args:
        images: (batch, height, width, channels).

    Returns:
        (batch, height - 1, width × channels) and (batch, height, (width - 1) × channels): rows are not cut up
        into pixels, for it takes six times as long, most of it in the gradient.
    """
    batch, height, width, channels = tf.unstack(tf.shape(images))
    rows = tf.reshape(images, (batch, height, width * channels))

    def part(top, left, bottom, right):
        size = (batch, height - top - bottom, (width - left - right) * channels)
        return tf.slice(rows, (0, top, left * channels), size)

    return part(1, 0, 0, 0) - part(0, 0, 1, 0), part(0, 1, 0, 0) - part(0, 0, 0, 1)


# Losses between features; each gives one value an image, but for the last.


def content_loss(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean squared difference of features (batch, height, width, channels): float32 (batch,)."""
    return tf.reduce_mean(tf.square(_float(features) - _float(target)), (1, 2, 3))


def gram_loss(gram: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean squared difference of Gram matrices (batch, channels, channels): (batch,).

    With Gram matrices divided by height × width it is the style loss of Perceptual Losses for Real-Time
    Style Transfer and Super-Resolution, 2016, arXiv:1603.08155.
    """
    return tf.reduce_mean(tf.square(gram - target), (1, 2))


def moments_loss(moments: tuple[tf.Tensor, tf.Tensor], target: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Mean squared differences of channel means, and of standard deviations, added: (batch,)."""
    pairs = zip(moments, target, strict=True)
    return tf.add_n([tf.reduce_mean(tf.square(a - b), (1, 2, 3)) for a, b in pairs])


def mean_std_loss(features: tf.Tensor, style: tf.Tensor, epsilon: float = 1e-5) -> tf.Tensor:
    """The style loss by channel means and standard deviations: `moments_loss`, its mean over the batch.

    Args:
        features: (batch, height, width, channels).
        style: (batch or 1, any height, any width, channels).
        epsilon: added to the variances.

    Returns:
        A scalar.

    Reference: Demystifying Neural Style Transfer, 2017, arXiv:1701.01036.
    """
    return tf.reduce_mean(
        moments_loss(channel_moments(features, epsilon=epsilon), channel_moments(style, epsilon=epsilon))
    )
