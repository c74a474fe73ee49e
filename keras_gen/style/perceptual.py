"""The perceptual loss: how far a picture is, by features, from a content and from a style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from keras_gen.style.operators import content_loss, gram_loss, gram_matrix

#: Johnson et al.'s features of VGG-16.
CONTENT_TAPS = ("relu3_3",)
STYLE_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


def content_losses(
    features: Mapping[str, tf.Tensor], targets: Mapping[str, tf.Tensor], taps: Sequence[str] = CONTENT_TAPS
) -> tf.Tensor:
    """The content loss of each picture, added up over the taps: float32 (batch,)."""
    return tf.add_n([content_loss(features[tap], targets[tap]) for tap in taps])


def style_losses(
    features: Mapping[str, tf.Tensor], grams: Mapping[str, tf.Tensor], taps: Sequence[str] = STYLE_TAPS
) -> tf.Tensor:
    """The style loss of each picture, added up over the taps: float32 (batch,).

    Args:
        features: of the pictures, by tap.
        grams: Gram matrices (batch or 1, channels, channels) of the painting, by tap.
        taps: which of them count.
    """
    return tf.add_n([gram_loss(gram_matrix(features[tap]), grams[tap]) for tap in taps])


def gram_energy(grams: Mapping[str, tf.Tensor], taps: Sequence[str] = STYLE_TAPS) -> tf.Tensor:
    """The style loss of a picture without any features: what a painting's own style loss is measured by."""
    return tf.add_n([gram_loss(grams[tap], tf.zeros_like(grams[tap])) for tap in taps])
