"""Signatures that take and give encoded images: files in, files out, with everything between in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import tensorflow as tf

from keras_gen.export.signatures import Port, Signature, Tensors
from keras_gen.image import to_uint8

_CHANNELS = (1, 3, 4)  # that decoders and encoders know
SUFFIX = "_jpeg"


def encoded(signature: Signature) -> Signature | None:
    """The `…_jpeg` variant of a signature: encoded bytes in place of its images, or None where it has none.

    It takes JPEG, PNG, GIF or BMP and gives PNG. An image named `image` is named `image_bytes`, since TF
    Serving's REST interface writes what ends in `_bytes` as base64. Where the model's images are of one size,
    those that come are resized to it, with antialiasing. Where any size goes, each is processed by itself, so
    that the images of a batch may differ in size.

    Args:
        signature: one of a model's.
    """
    images = [port for port in (*signature.inputs, *signature.outputs) if port.kind == "image"]
    if not images or any(port.shape[-1] not in _CHANNELS for port in images):
        return None
    any_size = any(port.kind == "image" and None in port.shape for port in signature.inputs)

    def batch(**files: tf.Tensor) -> Tensors:
        outputs = signature.function(**{p.name: _decoded_batch(p, files) for p in signature.inputs})
        return {_renamed(port).name: _encoded_batch(port, outputs) for port in signature.outputs}

    def one_by_one(**files: tf.Tensor) -> Tensors:
        def one(each: Tensors) -> Tensors:
            alone = batch(**{name: value[None] for name, value in each.items()})
            return {name: value[0] for name, value in alone.items()}

        specs = {port.name: tf.TensorSpec(port.shape, port.dtype) for port in outputs}
        return tf.map_fn(one, files, fn_output_signature=specs, parallel_iterations=1)

    outputs = tuple(map(_renamed, signature.outputs))
    return replace(
        signature,
        name=signature.name + SUFFIX,
        function=one_by_one if any_size else batch,
        inputs=tuple(map(_renamed, signature.inputs)),
        outputs=outputs,
        portable=False,
    )


def encode_images(signature: Signature, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A signature's inputs as its `…_jpeg` variant takes them: images as PNG files, without loss."""
    files = {}
    for port in signature.inputs:
        value = inputs[port.name]
        if port.kind == "image":
            value = np.array([tf.io.encode_png(one).numpy() for one in to_uint8(value)], object)
        files[_renamed(port).name] = value
    return files


def _renamed(port: Port) -> Port:
    if port.kind != "image":
        return port
    about = f"{port.description or 'an image'}, as the bytes of a file"
    return Port(f"{port.name}_bytes", "encoded image", (), "string", description=about)


def _decoded_batch(port: Port, files: Mapping[str, tf.Tensor]) -> tf.Tensor:
    value = files[_renamed(port).name]
    if port.kind != "image":
        return value

    def decode(file: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_image(file, channels=port.shape[-1] or 0, expand_animations=False)
        pixels = tf.ensure_shape(pixels, (None, None, port.shape[-1]))
        image = tf.cast(pixels, tf.float32) / 127.5 - 1.0
        if None not in port.shape:
            image = tf.image.resize(image, port.shape[:2], antialias=True)
        elif port.multiple > 1:
            size = tf.shape(pixels)[:2]
            fitting = tf.maximum(size - size % port.multiple, port.multiple)
            image = tf.image.resize(image, fitting, antialias=True)
        return tf.ensure_shape(image, port.shape)

    return tf.map_fn(decode, value, fn_output_signature=tf.TensorSpec(port.shape, tf.float32))


def _encoded_batch(port: Port, outputs: Tensors) -> tf.Tensor:
    value = outputs[port.name]
    if port.kind != "image":
        return value
    pixels = tf.cast(tf.round(tf.clip_by_value(value, -1.0, 1.0) * 127.5 + 127.5), tf.uint8)
    return tf.map_fn(tf.io.encode_png, pixels, fn_output_signature=tf.TensorSpec((), tf.string))
