"""What style transfer minimizes over a picture: content, style and variation, each on a scale of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_gen.style.operators import (
    channel_moments,
    content_loss,
    gram_loss,
    gram_matrix,
    moments_loss,
    total_variation,
)

_RANGE_WEIGHT = 10.0  # of the mean square by which pixels leave [-1, 1]


class Targets(NamedTuple):
    """What a picture of one size is compared with."""

    content: dict[str, tf.Tensor]  #: features of the content, by layer
    styles: list[dict[str, Any]]  #: of each style, its statistics by layer
    masks: dict[str, list[tf.Tensor]] | None  #: by layer, each style's region
    shares: list[float]  #: the weight of each style, its area included


class Objective:
    """The loss of a picture in the features of a network, and its parts.

    loss = `content_weight` · content + `style_weight` · style + `total_variation_weight` · variation: content
    is the mean squared difference of features, divided by the mean square of the content's; style that of
    Gram matrices (or of channel means and deviations), divided by the mean square of the style's; variation
    the mean absolute difference of neighbouring pixels. So weights mean the same for every picture, size and
    network. Leaving [-1, 1] is penalized by the square.

    Args:
        features: from images (1, height, width, 3) to a dictionary of features.
        content_layers, style_layers: the features to compare, each with its weight, relative to their sum.
        content_weight, style_weight, total_variation_weight: 0 or more, one of them above.
        style_loss: "gram" or "mean_std".

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self,
        features: Callable[[tf.Tensor], dict[str, tf.Tensor]],
        content_layers: Mapping[str, float],
        style_layers: Mapping[str, float],
        content_weight: float,
        style_weight: float,
        total_variation_weight: float,
        style_loss: str = "gram",
    ):
        if style_loss not in ("gram", "mean_std"):
            raise ValueError(f'style_loss must be "gram" or "mean_std"; received {style_loss!r}.')
        weights = (content_weight, style_weight, total_variation_weight)
        if not (all(weight >= 0 for weight in weights) and 0 < sum(weights) < math.inf):
            raise ValueError(f"Weights must be finite, 0 or more, and one above; received {weights}.")
        self.features, self.gram = features, style_loss == "gram"
        self.content_layers, self.style_layers = _relative(content_layers), _relative(style_layers)
        self.content_weight, self.style_weight, self.total_variation_weight = map(float, weights)

    def targets(
        self,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        shares: Sequence[float],
        masks: np.ndarray | None = None,
    ) -> Targets:
        """Measures pictures to compare with.

        Args:
            content: (height, width, channels), of the size that pictures will have.
            styles: of any size.
            shares: the weight of each style.
            masks: (styles, any height, any width) in [0, 1], where each style is to be; None: everywhere.
                A style's weight is multiplied by its area, so that a pixel weighs the same in any region.
        """
        found = self.features(tf.constant(content[None]))
        measured = []
        for style in styles:
            features = self.features(tf.constant(style[None]))
            measured.append({layer: self._statistics(features[layer]) for layer in self.style_layers})
        regions = None
        if masks is not None:
            whole = tf.transpose(tf.constant(masks), (1, 2, 0))[None]
            regions = {}
            for layer in self.style_layers:
                small = tf.image.resize(whole, found[layer].shape[1:3], antialias=True)
                regions[layer] = tf.split(tf.clip_by_value(small, 0.0, 1.0), len(masks), axis=-1)
            shares = [share * float(mask.mean()) for share, mask in zip(shares, masks, strict=True)]
        return Targets({layer: found[layer] for layer in self.content_layers}, measured, regions, [*shares])

    def __call__(self, image: tf.Tensor, targets: Targets) -> dict[str, tf.Tensor]:
        """`loss`, `content_loss`, `style_loss` and `variation` of an image (1, height, width, channels)."""
        features = self.features(image)
        content, style = tf.zeros(()), tf.zeros(())
        for layer, weight in self.content_layers.items():
            target = targets.content[layer]
            content += weight * content_loss(features[layer], target)[0] / _mean_square(target)
        for layer, weight in self.style_layers.items():
            if targets.masks is None:
                found = [self._statistics(features[layer])] * len(targets.styles)
            else:
                found = [self._statistics(features[layer], mask) for mask in targets.masks[layer]]
            for statistics, target, share in zip(found, targets.styles, targets.shares, strict=True):
                style += weight * share * self._distance(statistics, target[layer])
        variation = total_variation(image) / tf.cast(tf.size(image), tf.float32)
        loss = (
            self.content_weight * content
            + self.style_weight * style
            + self.total_variation_weight * variation
            + _RANGE_WEIGHT * tf.reduce_mean(tf.square(tf.nn.relu(tf.abs(image) - 1.0)))
        )
        return {"loss": loss, "content_loss": content, "style_loss": style, "variation": variation}

    def _statistics(self, features: tf.Tensor, mask: tf.Tensor | None = None) -> Any:
        return gram_matrix(features, mask) if self.gram else channel_moments(features, mask)

    def _distance(self, statistics: Any, target: Any) -> tf.Tensor:
        if self.gram:
            return gram_loss(statistics, target)[0] / _mean_square(target)
        return moments_loss(statistics, target)[0] / tf.add_n([_mean_square(part) for part in target])


def layer_weights(layers: Mapping[str, float] | Sequence[str]) -> dict[str, float]:
    """The weight of each layer; layers alone weigh the same."""
    return dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)


def checked_style_weights(weights: Sequence[float] | None, count: int) -> list[float]:
    """The weights of so many styles, all the same where None.

    Raises:
        ValueError: another number of weights, or weights out of range.
    """
    given = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if count == 0 or len(given) != count or not min(given) >= 0 or not 0 < sum(given) < math.inf:
        raise ValueError(
            "There must be one style or more, and for each a weight of 0 or more, not all 0; received "
            f"{count} styles and weights {given}."
        )
    return given


def _relative(layers: Mapping[str, float]) -> dict[str, float]:
    total = sum(layers.values())
    if not layers or min(layers.values()) < 0 or total <= 0:
        raise ValueError(f"Layers must have weights of 0 or more, not all 0; received {dict(layers)}.")
    return {layer: weight / total for layer, weight in layers.items()}


def _mean_square(values: tf.Tensor) -> tf.Tensor:
    # The floor is for a blank picture, whose deepest features may vanish.
    return tf.maximum(tf.reduce_mean(tf.square(tf.cast(values, tf.float32))), 1e-12)
