"""Styles that come with the package, and files of that kind: a network in half precision and its names."""

from __future__ import annotations

import io
import json
from importlib.resources import files
from pathlib import Path

import numpy as np

from keras_gen import atomic
from keras_gen.networks.transformer_net import transformer_net
from keras_gen.style.fast import FastStyleTransfer

#: The styles in the package.
EIGHT_STYLES = "eight-styles"


def pretrained(name: str | Path = EIGHT_STYLES) -> FastStyleTransfer:
    """A trained model for `stylize`, from the package or from a file that `pack` wrote.

    Args:
        name: "eight-styles", or the path of a file.

    Returns:
        The model. It paints without VGG or a network; to train it further, show it paintings with `adapt`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a file that `pack` wrote.
    """
    own = files("keras_gen.style") / "weights" / f"{name}.npz"
    path = Path(str(own)) if own.is_file() else Path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f"There are no packed styles {str(name)!r}: the package has {EIGHT_STYLES!r}."
        )
    try:
        with np.load(path) as archive:
            config = json.loads(str(archive["config"]))
            weights = [archive[f"weight_{i}"].astype(np.float32) for i in range(len(archive.files) - 1)]
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"{path} is not a file of packed styles: {error}") from error
    network = transformer_net(len(config["styles"]), **config["network"])
    network.set_weights(weights)
    return FastStyleTransfer(network, config["styles"], seed=0)


def pack(model: FastStyleTransfer, path: Path) -> None:
    """Writes what `pretrained` reads: the network (its moving average where there is one) in float16.

    Args:
        model: a trained model of a `transformer_net`.
        path: the file, ending in .npz.
    """
    layers = {layer.name: layer for layer in model.network.layers}
    # Not the layers' own configs, which may ask for bfloat16.
    options = {
        "width": layers["down1"].filters,
        "separable": "block1a_depthwise" in layers,
        "blocks": sum(name.endswith("_sum") for name in layers),
    }
    config = {"styles": list(model.styles), "network": options}
    weights = {f"weight_{i}": w.astype(np.float16) for i, w in enumerate(model.sampler.get_weights())}
    archive = io.BytesIO()
    np.savez_compressed(archive, config=np.array(json.dumps(config)), **weights)
    with atomic.replacing(Path(path)) as partial:
        partial.write_bytes(archive.getvalue())
