"""Generative image models for Keras 3 on TensorFlow, trained with `model.fit`.

import keras_gen as kg

data = kg.data.load("digits", batch_size=64)
model = kg.build("wgan-gp", image_shape=(28, 28, 1))
model.fit(data, epochs=5)
images = model.sample(64, seed=0)
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from keras_gen import startup

__version__ = "0.1.0"

_MODULES = (
    "annealing",
    "callbacks",
    "constraints",
    "corruption",
    "curvature",
    "data",
    "distribute",
    "export",
    "image",
    "layers",
    "likelihoods",
    "losses",
    "metrics",
    "models",
    "moving_average",
    "networks",
    "optical_flow",
    "optimizers",
    "penalties",
    "pictures",
    "precision",
    "style",
    "video",
    "walks",
)
_NAMES = {
    "AdversarialModel": "keras_gen.models",
    "BetaVAE": "keras_gen.models",
    "ConditionalVAE": "keras_gen.models",
    "DCGAN": "keras_gen.models",
    "GAN": "keras_gen.models",
    "GenerativeModel": "keras_gen.models",
    "VAE": "keras_gen.models",
    "VAEGAN": "keras_gen.models",
    "VQVAE": "keras_gen.models",
    "WGAN": "keras_gen.models",
    "WGANGP": "keras_gen.models",
    "build": "keras_gen.models",
    "list_models": "keras_gen.models",
}

__all__ = [*_MODULES, *_NAMES]


def _require_tensorflow() -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            f"keras-gen trains on TensorFlow, but Keras's backend is {keras.backend.backend()!r}: set the "
            'environment variable KERAS_BACKEND=tensorflow before Python starts, or "backend" in '
            "~/.keras/keras.json."
        )


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"keras_gen.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'keras_gen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


startup.compute_with_onednn()  # before TensorFlow is imported
startup.keep_freed_memory()  # before its threads begin

if Path(sys.argv[0] if sys.argv else "").stem in ("keras-gen", "-m"):
    # The command answers --help at once and without TensorFlow's greetings; it imports what it then needs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
else:
    _require_tensorflow()
    # Registers every class with Keras, so that `keras.saving.load_model` knows them.
    importlib.import_module("keras_gen.models")
    importlib.import_module("keras_gen.style")
