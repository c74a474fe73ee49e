"""Style models that come with the package, and files of that kind: a network in half precision or less."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gen import atomic
from keras_gen.networks.style_blocks import NOISE, block_channels
from keras_gen.networks.style_coder import small_encoder, style_decoder
from keras_gen.networks.transformer_net import transformer_net
from keras_gen.style.adain import AdaINStyleTransfer
from keras_gen.style.borders import check_mirrored
from keras_gen.style.fast import FastStyleTransfer

EIGHT_STYLES = "eight-styles"
#: The models in the package.
PACKAGED = (EIGHT_STYLES, "adain")
_LARGE = 4096  # numbers of a kernel
_PADDING = "reflect"  # of the networks' layers, on which contrast depends
_TEMPORAL = 10.0  # the temporal weight by which networks for calm pictures are trained further


def pretrained(name: str | Path = EIGHT_STYLES) -> FastStyleTransfer | AdaINStyleTransfer:
    """A trained model for `stylize`, from the package or from a file that `pack` wrote.

    Args:
        name: "eight-styles", a `FastStyleTransfer`; "adain", an `AdaINStyleTransfer`; or the path of a file.

    Returns:
        The model. It paints without VGG; to train a `FastStyleTransfer` further, show it paintings with
        `adapt`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a file that `pack` wrote, or one of an earlier version.
    """
    own = files("keras_gen.style") / "weights" / f"{name}.npz"
    path = Path(str(own)) if own.is_file() else Path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f"There are no packed styles {str(name)!r}: the package has {' and '.join(PACKAGED)}."
        )
    try:
        with np.load(path) as archive:
            config = json.loads(str(archive["config"]))
            count = sum(name.startswith("weight_") for name in archive.files)
            weights = [_read(archive, i) for i in range(count)]
    except PermissionError:
        raise
    # Of a damaged archive.
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} is not a file of packed styles, or is damaged: {reason}") from error
    if config.get("padding") != _PADDING:
        raise ValueError(
            f"{path} was packed by an earlier version of keras-gen, whose networks saw zeros beyond borders: "
            "train it anew with this one, and pack that."
        )
    if "styles" in config:
        options = config["network"]
        if "underpainted" in options:  # files from before dabs could be laid more than once
            options["coats"] = int(options.pop("underpainted"))
        network = transformer_net(len(config["styles"]), **options)
        _set_weights(path, weights, network)
        weight = _TEMPORAL if options["calm"] else 0.0
        return FastStyleTransfer(network, config["styles"], temporal_weight=weight, seed=0)
    encoder = small_encoder(**config["encoder"])
    decoder = style_decoder(**config["decoder"])
    _set_weights(path, weights, encoder, decoder)
    # Files from before there was restraint are of networks without.
    weight = config.get("restraint_weight", 0.0)
    return AdaINStyleTransfer(encoder, decoder, restraint_weight=weight, seed=0)


def _read(archive: Any, i: int) -> np.ndarray:
    weight = archive[f"weight_{i}"].astype(np.float32)
    return weight * archive[f"scale_{i}"] if f"scale_{i}" in archive.files else weight


def _set_weights(path: Path, stored: list[np.ndarray], *networks: keras.Model) -> None:
    variables = [weight for network in networks for weight in network.weights]
    if [tuple(weight.shape) for weight in variables] != [weight.shape for weight in stored]:
        raise ValueError(
            f"{path} holds other weights than its network has: it is damaged, or of another version of "
            "keras-gen. Paint by the run or the .keras file that it was packed from."
        )
    for variable, weight in zip(variables, stored, strict=True):
        variable.assign(weight)


def pack(model: FastStyleTransfer | AdaINStyleTransfer, path: Path) -> None:
    """Writes what `pretrained` reads: the network (its moving average where there is one).

    Weights are in float16, but for those that are most of a file: textures are in int8 with a scale for each
    style, and large kernels with a scale for each filter, which changes pictures by less than a level of 255.

    Args:
        model: a trained model of a `transformer_net`, or of a `small_encoder` and a `style_decoder`.
        path: the file, ending in .npz.

    Raises:
        ValueError: other networks, or one of an earlier version.
    """
    of = _style_coder if isinstance(model, AdaINStyleTransfer) else _transformer_net
    check_mirrored(model.network, "The model")
    config, variables = of(model)
    stored: dict[str, Any] = {}
    for i, variable in enumerate(variables):
        weight = variable.numpy()
        if (axes := _scaled_over(variable)) is not None:
            scale = np.abs(weight).max(axes, keepdims=True) / 127 + 1e-12
            stored[f"weight_{i}"], stored[f"scale_{i}"] = np.round(weight / scale).astype(np.int8), scale
        else:
            stored[f"weight_{i}"] = weight.astype(np.float16)
    archive = io.BytesIO()
    np.savez_compressed(archive, config=np.array(json.dumps({"padding": _PADDING, **config})), **stored)
    with atomic.replacing(Path(path)) as partial:
        partial.write_bytes(archive.getvalue())


def _scaled_over(variable: Any) -> tuple[int, ...] | None:
    """The axes of a weight that share a scale in int8; None for float16."""
    if variable.name == "embeddings":
        return (1,)
    return (0, 1, 2) if len(variable.shape) == 4 and math.prod(variable.shape) > _LARGE else None


# Options are read off the layers, not from their own configs, which may ask for bfloat16.


def _transformer_net(model: FastStyleTransfer) -> tuple[dict[str, Any], list[Any]]:
    layers = {layer.name: layer for layer in model.network.layers}
    calm, of_calm = "blend" in layers, {}
    if calm:
        own = {layer.name: layer for layer in layers["blend"].calm.layers}
        coats = own["underpainting"].coats if "underpainting" in own else 0
        of_calm = {"calm_blocks": _blocks(own)["blocks"], "coats": coats}
        layers = {layer.name: layer for layer in layers["blend"].patterned.layers}
    if "down1" not in layers:
        raise ValueError("Only a transformer_net can be packed.")
    options = {
        "width": layers["down1"].filters,
        **_blocks(layers),
        "textured": "texture" in layers,
        "calm": calm,
        **of_calm,
    }
    return {"styles": list(model.styles), "network": options}, model.sampler.weights


def _blocks(layers: dict[str, keras.layers.Layer]) -> dict[str, Any]:
    return {
        "separable": "block1a_depthwise" in layers,
        "blocks": sum(bool(re.fullmatch(r"block\d+_sum", name)) for name in layers),
        "coarse_blocks": sum(bool(re.fullmatch(r"coarse\d+_sum", name)) for name in layers),
    }


def _style_coder(model: AdaINStyleTransfer) -> tuple[dict[str, Any], list[Any]]:
    network = model.sampler
    encoder = {layer.name: layer for layer in network.encoder.layers}
    decoder = {layer.name: layer for layer in network.decoder.layers}
    if "down1" not in encoder or "up0" not in decoder:
        raise ValueError("Only a small_encoder and a style_decoder can be packed: VGG takes megabytes.")
    config = {
        "encoder": {"width": encoder["down1"].filters},
        "decoder": {
            "channels": network.decoder.input_shape[-1],
            "width": (decoder["up0"].filters + NOISE) // block_channels(1),
            **_blocks(decoder),
            "code": decoder["code"].units,
        },
        "restraint_weight": model.restraint_weight,  # by which it paints without noise
    }
    return config, [*network.encoder.weights, *network.decoder.weights]
