"""Trained model to TFLite: one file a signature and image size, verified before it is there.

A file has static shapes, a batch of one, its weights inside, and built-in operators only: what the delegates
of phones take whole.

    to_tflite(model, "digits.tflite")                                       # half-precision weights
    to_tflite(model, "style.tflite", "int8", image_size=512, representative=photographs, uint8=True)
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen import __version__, atomic
from keras_gen.export import flatbuffer, metadata, pixels, quantize, verify
from keras_gen.export.layer_names import layer_names, layers_of
from keras_gen.export.quiet import quiet
from keras_gen.export.signatures import Port, Signature, signatures

QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")
#: Height and width of images where any size goes and none is asked for.
DEFAULT_SIZE = 512
LARGEST_SIZE = 4096  # of a side, in pixels: more than that takes all memory of a phone
_VARIABLES = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}
_REPRESENTATIVES = 32
_MARGIN = 1.0  # decibels, since other images come than those that ranges are measured on

Size = int | tuple[int, int]


def to_tflite(
    model: Any,
    path: str | os.PathLike[str],
    quantization: str = "float16",
    *,
    image_size: Size | Sequence[Size] | None = None,
    signature: str | Sequence[str] | None = None,
    images: Any = None,
    representative: Any = None,
    keep_float: str | Sequence[str] = (),
    uint8: bool = False,
    license: str = "Apache-2.0",
    threads: Sequence[int] = (1, 2),
    verbose: bool = True,
) -> list[verify.Report]:
    """Writes TFLite files of a model, each with a report of the same name, ending in `.tflite.json`.

    Every file is compared with the model and measured before any is written: where one is too far from the
    model, there is none.

    Args:
        model: any with export signatures.
        path: ends in .tflite; a file that is there is replaced. Several signatures or sizes each add to the
            name: `style-512x512.tflite`.
        quantization: "float32"; "float16", weights in half precision; "dynamic", 8-bit weights (but those of
            depthwise convolutions) and activations in float between the heavy operators; "int8", both in 8
            bits, for which ranges are measured on representative images.
        image_size: height and width in pixels where the model takes any size (512 unless given): one number,
            a pair (a tuple), or a list of such for several files.
        signature: which of the model's to export, or several; None takes its first.
        images: real ones to compare on, float32 (count, height, width, channels) in [-1, 1]; else the
            representative ones, or smooth random ones.
        representative: for int8, of the images that will come: arrays as `images`, a data set of batches, or
            a data specification such as "folder:photos".
        keep_float: for int8, layers that stay in float, by name. "auto" takes those that have fast kernels in
            float only, such as normalizations, and of those that suffer as many as the bound needs. What is
            around the layers, such as the scaling of pixels, is float in any case.
        uint8: images go in and out as pixels from 0 to 255, scaled inside.
        license: of the file, in its metadata.
        threads: numbers of threads to measure latency with.
        verbose: print the reports.

    Returns:
        A report for each file.

    Raises:
        ValueError: an unknown quantization or signature, an image size that the network does not take, no
            representative images for int8, or an operator that TFLite has no built-in for, named with the
            layer that it came from.
        VerificationError: (a ValueError) a file that differs too much from the model.
        OSError: the folder cannot be written.
        ImportError: the LiteRT runtime is not installed.
    """
    path = Path(path)
    _check(path, quantization, keep_float)
    flatbuffer.runtime()
    chosen = _chosen(model, signature)
    sizes = _sizes(image_size)
    takes_images = any(port.kind == "image" for one in chosen for port in one.inputs)
    if quantization == "int8" and representative is None and takes_images:
        raise ValueError(
            "int8 measures the ranges of activations on representative images: pass representative, e.g. "
            'the training images or "folder:photos", or choose dynamic, which needs none.'
        )
    samples = _images(representative)
    images = samples if images is None else _images(images)
    targets = {}
    for one in chosen:
        free = any(None in port.shape for port in one.inputs)
        for size in (sizes or [(DEFAULT_SIZE, DEFAULT_SIZE)]) if free else [None]:
            if sizes and not free:
                _check_fixed(one, sizes)
            stem = path.stem + (f"-{one.name}" if len(chosen) > 1 else "")
            stem += f"-{size[0]}x{size[1]}" if size and len(sizes) > 1 else ""
            targets[path.with_name(f"{stem}.tflite")] = (one, size)
    with tempfile.TemporaryDirectory() as folder:
        made = []
        for target, (one, size) in targets.items():
            if verbose:
                print(f"{target}: converting, comparing with the model, measuring", flush=True)
            aside = Path(folder) / target.name
            content, layers = _convert(
                model, one, size, quantization, samples, keep_float, uint8, license, Path(folder)
            )
            aside.write_bytes(content)
            report = verify.verify(aside, model, images=images, threads=threads)
            report = replace(report, path=str(target), layers=layers)
            verify.check(report)
            made.append((report, content))
    for report, content in made:
        with atomic.replacing(report.path) as partial:
            partial.write_bytes(content)
        atomic.write_json(f"{report.path}.json", report.to_json())
        if verbose:
            print(report)
    return [report for report, _ in made]


def _check(path: Path, quantization: str, keep_float: str | Sequence[str]) -> None:
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"quantization must be one of {', '.join(QUANTIZATIONS)}; received {quantization!r}."
        )
    if path.suffix != ".tflite":
        raise ValueError(f"The file's name must end in .tflite; received {str(path)!r}.")
    if keep_float and quantization != "int8":
        raise ValueError(f"keep_float is for int8; {quantization} has no layers to keep in float.")
    if path.is_dir():
        raise IsADirectoryError(21, "This is a folder; a file is to be written", str(path))
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir():
        raise NotADirectoryError(20, "This is a file; a folder is to be written to", str(there))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(13, "The folder cannot be written", str(there))


def _chosen(model: Any, wanted: str | Sequence[str] | None) -> list[Signature]:
    known = signatures(model)
    names = [next(iter(known))] if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
    portable = [name for name, each in known.items() if each.portable]
    for name in names:
        if name not in known:
            raise ValueError(
                f"{type(model).__name__} has no signature {name!r}: choose from {', '.join(portable)}."
            )
        if name not in portable:
            raise ValueError(
                f"The signature {name!r} draws random numbers, for which TFLite has no built-in operators: "
                f"choose from {', '.join(portable)}, or export a SavedModel, which has it."
            )
    return [known[name] for name in dict.fromkeys(names)]


def _sizes(image_size: Any) -> list[tuple[int, int]]:
    if image_size is None:
        return []
    given = image_size if isinstance(image_size, list) else [image_size]
    sizes = []
    for one in given:
        pair = (one, one) if isinstance(one, (int, np.integer)) else tuple(one)
        whole = len(pair) == 2 and all(isinstance(side, (int, np.integer)) for side in pair)
        if not whole or not 0 < min(pair) <= max(pair) <= LARGEST_SIZE:
            raise ValueError(
                f"image_size must be a number of pixels from 1 to {LARGEST_SIZE}, (height, width), or a list "
                f"of such; received {image_size!r}."
            )
        sizes.append((int(pair[0]), int(pair[1])))
    return list(dict.fromkeys(sizes))


def _check_fixed(signature: Signature, sizes: list[tuple[int, int]]) -> None:
    fixed = [port.shape[:2] for port in (*signature.inputs, *signature.outputs) if port.kind == "image"]
    wrong = [size for size in sizes if fixed and size not in fixed]
    if wrong:
        raise ValueError(
            f"The network of {signature.name} has images of {fixed[0][0]}x{fixed[0][1]} pixels and takes no "
            f"other size; received {wrong[0][0]}x{wrong[0][1]}: leave out image_size."
        )


def _images(given: Any) -> Any:
    """Images as arrays: those of a data specification or of a data set's first batches."""
    if given is None:
        return None
    if isinstance(given, str):
        from keras_gen import data

        given = data.load(given, batch_size=_REPRESENTATIVES)
    if isinstance(given, tf.data.Dataset):
        batches = [batch[0] if isinstance(batch, (tuple, list)) else batch for batch in given.take(1)]
        given = [image for batch in batches for image in np.asarray(batch)]
    if len(given) == 0:
        raise ValueError("There are no images to measure or compare with.")
    return [np.asarray(image, np.float32) for image in given[:_REPRESENTATIVES]]


# One file.


def _convert(
    model: Any,
    signature: Signature,
    size: tuple[int, int] | None,
    quantization: str,
    samples: Any,
    keep_float: str | Sequence[str],
    uint8: bool,
    license: str,
    scratch: Path,
) -> tuple[bytes, tuple[Any, ...]]:
    inputs = [_static(port, size, uint8) for port in signature.inputs]
    frozen = freeze(signature, inputs, uint8)
    outputs = [_like(port, frozen.structured_outputs[port.name], uint8) for port in signature.outputs]
    names = layer_names(model)
    layers: tuple[Any, ...] = ()
    with tempfile.TemporaryDirectory(dir=scratch) as folder, _named_errors(frozen, names), quiet():
        module = tf.Module()
        module.function = frozen
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, folder, {signature.name: frozen}, options)

        def converter() -> tf.lite.TFLiteConverter:
            made = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[signature.name])
            if quantization != "float32":
                made.optimizations = [tf.lite.Optimize.DEFAULT]
            if quantization == "float16":
                made.target_spec.supported_types = [tf.float16]
            return made

        if quantization == "int8":
            count = _REPRESENTATIVES if samples is None else len(samples)  # latents need no images
            given = verify.trials(signature, count, 1, samples, size)
            given = pixels.quantized(given, inputs)
            content, layers = quantize.int8(
                converter, given, keep_float, names, verify.PSNR["int8"] + _MARGIN
            )
        else:
            content = converter().convert()
    parsed = flatbuffer.read(content)
    check_operators(parsed, names)
    inputs, outputs = _in_order(parsed, inputs, outputs)
    flatbuffer.advance(parsed)
    flatbuffer.widen_depthwise(parsed)
    flatbuffer.share_scales(parsed)
    flatbuffer.compact(parsed)
    described = f"{type(model).__name__} {signature.name}, {quantization}, by keras-gen {__version__}"
    content = metadata.describe(
        parsed, inputs, outputs, name=model.name, description=described, license=license
    )
    return content, layers


def _static(port: Port, size: tuple[int, int] | None, uint8: bool) -> Port:
    shape = port.shape
    if None in shape and size is not None:
        if any(side % port.multiple for side in size):
            raise ValueError(
                f"The network takes images whose sides are multiples of {port.multiple}; received "
                f"{size[0]}x{size[1]}."
            )
        shape = (*size, *shape[2:])
    dtype = "uint8" if uint8 and port.kind == "image" else port.dtype
    return pixels.as_stored(port, shape, dtype)  # type: ignore[arg-type]


def _like(port: Port, tensor: tf.Tensor, uint8: bool) -> Port:
    if None in tensor.shape:
        raise ValueError(f"The shape of the output {port.name} is not static: {tuple(tensor.shape)}.")
    return pixels.as_stored(port, tuple(tensor.shape[1:]), tensor.dtype.name)


def freeze(signature: Signature, inputs: Sequence[Port], uint8: bool = False) -> Any:
    """A signature as a function of static shapes for a batch of one, its variables turned to constants.

    The converter keeps Keras 3's variables as resources, which it then reads empty at every run.

    Raises:
        ValueError: the network does not take images of that size.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    outputs = [
        replace(port, dtype="uint8") if uint8 and port.kind == "image" else port for port in signature.outputs
    ]

    def run(**tensors):
        return pixels.to_pixels(signature.function(**pixels.from_pixels(tensors, inputs)), outputs)

    specs = {port.name: tf.TensorSpec((1, *port.shape), port.dtype, port.name) for port in inputs}
    try:
        concrete = tf.function(run, autograph=False).get_concrete_function(**specs)
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        shapes = ", ".join(f"{port.name} {port.shape}" for port in inputs)
        reason = " ".join(str(error).split())
        raise ValueError(f"{signature.name} cannot be computed for {shapes}: {reason}") from error
    constant = convert_variables_to_constants_v2(concrete)
    order = [tensor.name.partition(":")[0] for tensor in constant.inputs]
    made = sorted(concrete.structured_outputs)  # a list since: in the order of their names

    def named(**tensors):
        return dict(zip(made, constant(*(tensors[name] for name in order)), strict=True))

    return tf.function(named, autograph=False).get_concrete_function(**specs)


def check_operators(model: Any, layers: Sequence[str] = ()) -> None:
    """Raises ValueError where a file needs more than built-in operators, or has its weights elsewhere.

    Args:
        model: of `flatbuffer.read`.
        layers: names of the layers that operators come from.
    """
    builtin = {flatbuffer.name_of(code) for code in model.operatorCodes if not code.customCode}
    for name, tensor in flatbuffer.operators(model):
        layer = layers_of(tensor, layers)[0]
        if name in _VARIABLES:
            raise ValueError(
                f"The file would read its weights from variables ({name} of {layer}), which are empty there: "
                "freeze the function first."
            )
        if name not in builtin:
            raise ValueError(_unsupported(name, layer))


def _unsupported(operator: str, layer: str) -> str:
    return (
        f"TFLite has no built-in operator for {operator}, which the layer {layer} computes: write that layer "
        "with other operators, or export a SavedModel."
    )


@contextlib.contextmanager
def _named_errors(frozen: Any, layers: Sequence[str]) -> Iterator[None]:
    """Turns the converter's pages into a sentence with the operator and its layer."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "ConverterError":
            raise
        text = str(error)
        for name in re.findall(r"tf\.([A-Za-z0-9]+)", text):
            graph = frozen.graph.as_graph_def()
            nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
            node = next((node for node in nodes if node.op == name), None)
            if node is not None:
                raise ValueError(_unsupported(name, layers_of(node.name, layers)[0])) from error
        raise ValueError(f"TensorFlow's converter failed: {' '.join(text.split())[:300]}") from error


def _in_order(model: Any, inputs: list[Port], outputs: list[Port]) -> tuple[list[Port], list[Port]]:
    """The ports in the order of the graph's inputs and outputs, whose tensors get their names."""
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    ordered = []
    for indices, maps, ports in (
        (graph.inputs, signature.inputs, inputs),
        (graph.outputs, signature.outputs, outputs),
    ):
        by_name = {port.name: port for port in ports}
        names = {entry.tensorIndex: entry.name.decode() for entry in maps}
        for index in indices:
            graph.tensors[index].name = names[index]
        ordered.append([by_name[names[index]] for index in indices])
    return ordered[0], ordered[1]
