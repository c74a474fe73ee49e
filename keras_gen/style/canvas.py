"""The picture that style transfer by optimization trains, and where it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_gen.style import pictures

_NOISE = 0.3  # standard deviation, about a photograph's


@keras.saving.register_keras_serializable(package="keras_gen")
class Canvas(keras.layers.Layer):
    """A picture as a weight, `pixels` (1, height, width, channels).

    Args:
        shape: (height, width, channels).
        name: the layer's name.
    """

    def __init__(self, shape: Sequence[int], name: str | None = None):
        super().__init__(name=name, dtype="float32")
        self.shape = tuple(shape)
        self.pixels = self.add_weight(shape=(1, *self.shape), initializer="zeros", name="pixels")
        self.built = True

    def get_config(self) -> dict:
        """The arguments that make an equal canvas, but for its pixels."""
        return {"shape": self.shape, "name": self.name}


def starting_picture(init: Any, content: np.ndarray, style: np.ndarray, seed: int) -> np.ndarray:
    """A picture of the content's size.

    Args:
        init: "content", "style", "noise", or a picture of the content's shape.
        content: (height, width, 3) in [-1, 1].
        style: of any size.
        seed: of the noise.

    Raises:
        ValueError: another name or shape.
    """
    if not isinstance(init, str):
        start = pictures.checked(init, "init")
        if start.shape != content.shape:
            raise ValueError(f"init must have the content's shape {content.shape}; it has {start.shape}.")
        return start
    if init == "content":
        return content
    if init == "style":
        return pictures.resized(style, content.shape[:2])
    if init == "noise":
        return np.random.default_rng(seed).normal(0.0, _NOISE, content.shape).astype(np.float32)
    raise ValueError(f'init must be "content", "style", "noise" or a picture; received {init!r}.')
