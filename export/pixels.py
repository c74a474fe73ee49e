"""Images as apps hold them, uint8 from 0 to 255, and as networks take them, float32 in [-1, 1]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.export.signatures import Port

#: A pixel p is p / HALF - 1.
HALF = 127.5


def as_stored(port: Port, shape: tuple[int, ...], dtype: str) -> Port:
    """A port as it is in a file: of static shape, and its images of that type."""
    bounds = (0.0, 255.0) if port.kind == "image" and dtype == "uint8" else port.bounds
    return replace(port, shape=shape, dtype=dtype, bounds=bounds)


def from_pixels(tensors: Mapping[str, tf.Tensor], ports: Sequence[Port]) -> dict[str, tf.Tensor]:
    """Tensors by name, those of uint8 ports brought to [-1, 1]."""
    stored = {port.name for port in ports if port.dtype == "uint8"}
    return {
        name: tf.cast(value, tf.float32) * (1 / HALF) - 1.0 if name in stored else value
        for name, value in tensors.items()
    }


def to_pixels(tensors: Mapping[str, tf.Tensor], ports: Sequence[Port]) -> dict[str, tf.Tensor]:
    """Tensors by name, those of uint8 ports rounded to pixels."""
    stored = {port.name for port in ports if port.dtype == "uint8"}
    # The cast cuts fractions off, so that adding a half rounds, by one operator fewer.
    return {
        name: tf.cast(tf.clip_by_value(value * HALF + (HALF + 0.5), 0.0, 255.0), tf.uint8)
        if name in stored
        else value
        for name, value in tensors.items()
    }


def quantized(values: Mapping[str, np.ndarray], ports: Sequence[Port]) -> dict[str, np.ndarray]:
    """Arrays by name, those of uint8 ports rounded to pixels."""
    return {name: np.asarray(value) for name, value in to_pixels(_tensors(values), ports).items()}


def to_unit(values: Mapping[str, np.ndarray], ports: Sequence[Port]) -> dict[str, tf.Tensor]:
    """Arrays by name as tensors, those of uint8 ports in [-1, 1]."""
    return from_pixels(_tensors(values), ports)


def _tensors(values: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    return {name: tf.convert_to_tensor(value) for name, value in values.items()}
