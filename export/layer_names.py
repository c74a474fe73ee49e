"""Which layer of a model a tensor of its graph comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


def layer_names(model: Any) -> list[str]:
    """The names of all layers of a model, those of its moving average included, not that of the model.

    What it does around its networks, such as reflecting borders, is in no layer.
    """
    layers = [*model._flatten_layers(include_self=False)]
    if (sampler := getattr(model, "sampler", None)) is not None:
        layers += sampler._flatten_layers()
    return list(dict.fromkeys(layer.name for layer in layers))


def layers_of(tensor: str, layers: Sequence[str]) -> list[str]:
    """The layers that a tensor comes from: several where the converter has fused their operators.

    Args:
        tensor: its name, scopes parted by "/", and fused ones by ";".
        layers: the names of all layers. TensorFlow adds a number where a layer is called again.

    Returns:
        The innermost layer of each; where none is known, the scope.
    """
    return list(dict.fromkeys(_innermost(part.split("/"), layers) for part in tensor.split(";")))


def _innermost(scopes: list[str], layers: Sequence[str]) -> str:
    for scope in reversed(scopes):
        for name in (scope, re.sub(r"_\d+$", "", scope)):
            if name in layers:
                return name
    return "/".join(scopes[:-1]) or scopes[0]
