"""What a model can do once it is exported: named functions of tensors, with what each takes and gives.

Both exporters read `signatures(model)`. A system to come adds its own:

    @signatures.register(MyModel)
    def _(model):
        return as_table(Signature("translate", function, (IMAGE,), (IMAGE,)))

Exported models compute in float32, whatever precision they were trained in: what serves them may not have
the units of the machine that trained them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen import precision
from keras_gen.layers import PatternStrength
from keras_gen.models.conditional_vae import ConditionalVAE
from keras_gen.models.latent_variable import LatentVariableModel
from keras_gen.models.vae import VAE
from keras_gen.models.vqvae import VQVAE
from keras_gen.networks.style_blocks import MULTIPLE
from keras_gen.random import rows
from keras_gen.style.adain import AdaINStyleTransfer, reduced
from keras_gen.style.borders import cropped, reflected
from keras_gen.style.fast import FastStyleTransfer
from keras_gen.style.operators import channel_moments

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Port:
    """A tensor that a signature takes or gives.

    Args:
        name: its name in requests.
        kind: what it means: "image", "latent", "label", "seed", "index", "weights", "number", "codes",
            "statistics".
        shape: without the batch; None is any size.
        dtype: its type.
        labels: names of its entries, e.g. of the styles.
        multiple: height and width must be multiples of it.
        description: a line for those who call it.
        bounds: the least and largest value.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    labels: tuple[str, ...] = ()
    multiple: int = 1
    description: str = ""
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Signature:
    """A function of an exported model.

    Args:
        name: e.g. "generate".
        function: called with a tensor by each input's name, all of one batch size; gives tensors by the
            outputs' names. Pure and traceable; of the moving average where there is one; in float32.
        inputs, outputs: what it takes and gives.
        portable: False where it needs operators that TFLite has no built-ins for.
    """

    name: str
    function: Callable[..., Tensors]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    portable: bool = True


@functools.singledispatch
def signatures(model: Any) -> dict[str, Signature]:
    """The functions that a model is exported with, by name; the first is the one served by default.

    Raises:
        TypeError: a model that has none.
    """
    raise TypeError(
        f"A {type(model).__name__} has no export signatures: write a function that makes them and register "
        "it with @keras_gen.export.signatures.signatures.register(its class)."
    )


def as_table(*members: Signature) -> dict[str, Signature]:
    """Signatures by name, in order, each made to compute in float32."""
    return {each.name: replace(each, function=_in_float32(each.function)) for each in members}


def _in_float32(function: Callable[..., Tensors]) -> Callable[..., Tensors]:
    def run(**inputs: tf.Tensor) -> Tensors:
        with precision.full("they are exported"):
            return function(**inputs)

    return run


# Ports that several share.

_LARGEST = 2**63 - 1
SEED = Port("seed", "seed", (), "int64", description="decides the image", bounds=(0, _LARGEST))
INDEX = Port(
    "index", "index", (), "int64", description="which of the seed's images, from 0", bounds=(0, _LARGEST)
)
STRENGTH = Port(
    "strength", "number", (), description="from 0, the photograph, to 1, the whole style", bounds=(0.0, 1.0)
)


def _image(shape: tuple[int | None, ...], name: str = "image", description: str = "") -> Port:
    return Port(name, "image", shape, description=description, bounds=(-1.0, 1.0))


def _latent(model: Any) -> Port:
    return Port("latent", "latent", (model.latent_dim,), description="standard normal numbers")


# Models of latent vectors.


@signatures.register(LatentVariableModel)
def _generators(model: LatentVariableModel) -> dict[str, Signature]:
    image = _image(model.image_shape)

    def generate(latent):
        return {"image": model(latent, training=False)}

    def sample(seed, index):
        return generate(rows("normal", seed, index, (model.latent_dim,)))

    return as_table(
        Signature("generate", generate, (_latent(model),), (image,)),
        Signature("sample", sample, (SEED, INDEX), (image,), portable=False),
    )


@signatures.register(VAE)
def _autoencoders(model: VAE) -> dict[str, Signature]:
    image, latent = _image(model.image_shape), _latent(model)
    vector = Port("mean", "latent", (model.latent_dim,), description="mean of the posterior")
    spread = Port("log_variance", "latent", (model.latent_dim,), description="its log-variance")
    label: tuple[Port, ...] = ()
    if isinstance(model, ConditionalVAE):
        names = tuple(map(str, range(model.num_classes)))
        bounds = (0, model.num_classes - 1)
        label = (Port("label", "label", (), "int32", names, description="the class", bounds=bounds),)

    def conditions(label):
        return None if label is None else tf.one_hot(label, model.condition_dim)

    def encode(image, label=None):
        mean, log_variance = model._posterior(model.sampler, image, conditions(label))
        return {"mean": mean, "log_variance": log_variance}

    def decode(latent, label=None):
        outputs = model._outputs(model.sampler, latent, conditions(label))
        return {"image": model.sampler.likelihood.images(outputs)}

    def reconstruct(image, label=None):
        return decode(encode(image, label)["mean"], label)

    def sample(seed, index, label=None):
        return decode(rows("normal", seed, index, (model.latent_dim,)), label)

    def embed(image, label=None):
        return {"embedding": encode(image, label)["mean"]}

    embedding = Port("embedding", "latent", (model.latent_dim,), description="mean of the posterior")
    return as_table(
        Signature("decode", decode, (latent, *label), (image,)),
        Signature("encode", encode, (image, *label), (vector, spread)),
        Signature("reconstruct", reconstruct, (image, *label), (image,)),
        Signature("sample", sample, (SEED, INDEX, *label), (image,), portable=False),
        Signature("embed", embed, (image, *label), (embedding,)),
    )


@signatures.register(VQVAE)
def _quantized(model: VQVAE) -> dict[str, Signature]:
    image = _image(model.image_shape)
    shape, bounds = model.grid_shape, (0, model.num_codes - 1)
    codes = Port("codes", "codes", shape, "int32", description="a grid of codes", bounds=bounds)

    def decode(codes):
        return {"image": model(codes, training=False)}

    def encode(image):
        return {"codes": model._vectors(model.sampler, image)[1]}

    def reconstruct(image):
        return decode(**encode(image))

    def sample(seed, index):
        noise = rows("uniform", seed, index, (shape[0] * shape[1],))
        return decode(model.codes_of(model.sampler, noise))

    return as_table(
        Signature("decode", decode, (codes,), (image,)),
        Signature("encode", encode, (image,), (codes,)),
        Signature("reconstruct", reconstruct, (image,), (image,)),
        Signature("sample", sample, (SEED, INDEX), (image,), portable=False),
    )


# Style.

_PHOTOGRAPH = _image((None, None, 3), description="a photograph of any size")
_PICTURE = _image((None, None, 3), description="the picture, of the photograph's size")
_PAINTING = _image((None, None, 3), "style", "a painting of any size")


def _per_image(numbers: tf.Tensor) -> tf.Tensor:
    """One number an image, to multiply images by."""
    return tf.reshape(numbers, (-1, 1, 1, 1))


@signatures.register(FastStyleTransfer)
def _fast_style(model: FastStyleTransfer) -> dict[str, Signature]:
    share = "of each style, at least 0; only their proportions count"
    weights = Port("weights", "weights", (len(model.styles),), "float32", model.styles, description=share)

    def stylize(image, weights, strength):
        with PatternStrength(model.default_texture):  # whatever block an export is made in
            painted = model([image, weights])
        return {"image": image + _per_image(strength) * (painted - image)}

    return as_table(Signature("stylize", stylize, (_PHOTOGRAPH, weights, STRENGTH), (_PICTURE,)))


@signatures.register(AdaINStyleTransfer)
def _arbitrary_style(model: AdaINStyleTransfer) -> dict[str, Signature]:
    channels = model.network.encoder.output_shape[-1]
    about = "means and standard deviations of the painting's features"
    statistics = Port("statistics", "statistics", (2, channels), description=about)

    def features(image):
        encoded = model.sampler.encoder(reflected(image, MULTIPLE), training=False)
        return tf.cast(encoded, tf.float32)

    def encode_style(style):
        moments = channel_moments(features(reduced(style)))
        # Reshapes and slices that keep every axis: delegates take these, and no stack.
        return {"statistics": tf.concat([tf.reshape(part, (-1, 1, channels)) for part in moments], 1)}

    def stylize_encoded(image, statistics, strength):
        content = features(image)
        mean, deviation = channel_moments(content)
        new_mean, new_deviation = (
            tf.reshape(statistics[:, i : i + 1], (-1, 1, 1, channels)) for i in range(2)
        )
        exchanged = (content - mean) / deviation * new_deviation + new_mean
        with PatternStrength(model.default_texture):
            painted = model.as_stylized(lambda: cropped(model.sampler.decode(exchanged), image), image)
        return {"image": image + _per_image(strength) * (painted - image)}

    def stylize(image, style, strength):
        return stylize_encoded(image, **encode_style(style), strength=strength)

    return as_table(
        Signature("stylize", stylize, (_PHOTOGRAPH, _PAINTING, STRENGTH), (_PICTURE,)),
        Signature("encode_style", encode_style, (_PAINTING,), (statistics,)),
        Signature("stylize_encoded", stylize_encoded, (_PHOTOGRAPH, statistics, STRENGTH), (_PICTURE,)),
    )


# Inputs to try them with.

_SIZE = 64  # of images where any size goes


def examples(
    signature: Signature, count: int, seed: int, images: Any = None, size: tuple[int, int] | None = None
) -> dict[str, np.ndarray]:
    """Inputs of a signature, to verify an export or to warm a server up.

    Args:
        signature: the signature.
        count: batch size.
        seed: the same seed gives the same inputs.
        images: real ones, float32 (any count, height, width, channels) in [-1, 1], or a list of images of
            several sizes; taken in turn, and resized. None makes smooth random ones.
        size: height and width of images where any size goes; None takes that of the first of `images`.

    Returns:
        An array for each input, by its name.
    """
    random = np.random.default_rng(seed)
    return {port.name: _example(port, count, random, images, size) for port in signature.inputs}


def _example(port: Port, count: int, random: np.random.Generator, images: Any, size: Any) -> np.ndarray:
    kind, shape = port.kind, (count, *(side or 1 for side in port.shape))
    low, high = port.bounds or (0, 1)
    if kind == "image":
        return _pictures(port, count, random, images, size)
    if kind == "weights":
        return np.eye(len(port.labels), dtype=port.dtype)[np.arange(count) % len(port.labels)]
    if kind == "label":
        return (np.arange(count) % len(port.labels)).astype(port.dtype)
    if kind == "index":
        return np.arange(count, dtype=port.dtype)
    if kind == "seed":
        return np.full(count, random.integers(2**31), port.dtype)
    if kind == "codes":
        return random.integers(int(low), int(high) + 1, shape, port.dtype)
    if kind == "number":
        return np.linspace(high, low, count, endpoint=False, dtype=port.dtype)
    values = random.standard_normal(shape).astype(port.dtype)
    return np.abs(values) if kind == "statistics" else values


def _pictures(port: Port, count: int, random: np.random.Generator, images: Any, size: Any) -> np.ndarray:
    *sides, channels = port.shape
    channels = channels or 3
    free = size or ((_SIZE, _SIZE) if images is None else images[0].shape[:2])
    wanted = [
        whole - whole % port.multiple if side is None else side
        for side, whole in zip(sides, free, strict=True)
    ]
    if images is None:
        coarse = random.uniform(-1, 1, (count, 5, 5, channels)).astype(np.float32)
        return tf.image.resize(coarse, wanted).numpy()
    chosen = (np.asarray(images[i % len(images)], np.float32) for i in range(count))
    resized = [tf.image.resize(one, wanted, antialias=True).numpy() for one in chosen]
    return np.stack(resized)
