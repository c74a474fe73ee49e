"""The VGG that a style system is trained by: made when first needed, and no part of the model's file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_gen.networks.vgg import channels, vgg


class Features:
    """VGG features at given taps, in either precision.

    Args:
        options: those of `networks.vgg`: network, padding, pooling, backbone. Once VGG is made, `backbone` is
            where its weights were found, so that a resumed run takes the same.
        *taps: which features.
    """

    def __init__(self, options: dict[str, Any], *taps: Sequence[str]):
        self.options = {**options, "backbone": str(options.get("backbone", "auto"))}
        self.taps = tuple(dict.fromkeys(tap for some in taps for tap in some))
        self.style_channels = {tap: channels(tap) for tap in taps[-1]}
        self._models: dict[str, keras.Model] = {}

    def __call__(self, images, dtype: str = "float32") -> dict[str, tf.Tensor]:
        """Features of images (batch, height, width, 3) in [-1, 1], by tap."""
        if dtype not in self._models:
            # Machines send each other no bfloat16: weights are float32, and rounded where they are used.
            policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
            with tf.init_scope():
                model = vgg(taps=self.taps, dtype=policy, **self.options)
            self._models[dtype] = model
            self.options["backbone"] = model.backbone
        return self._models[dtype](images, training=True)  # frozen: the same function, but faster
