"""Trained model to artifact: a SavedModel for TF Serving, TFLite files for phones and browsers."""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {"to_saved_model": "saved_model", "to_tflite": "tflite"}
_MODULES = ("latency", "metadata", "signatures", "verify")

__all__ = [*_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    # Late, so that importing keras_gen stays quick.
    if name in _NAMES:
        return getattr(importlib.import_module(f"keras_gen.export.{_NAMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"keras_gen.export.{name}")
    raise AttributeError(f"module 'keras_gen.export' has no attribute {name!r}")
