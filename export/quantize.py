"""Full integer quantization: weights and activations in 8 bits, by ranges measured on representative images.

Each tensor has one step, from the smallest and largest value that were seen. So a layer suffers where few
values are far larger than most, above all the reciprocal of a standard deviation in a normalization. The
error of every layer is measured, and those that suffer can stay in float.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.export import flatbuffer, latency
from keras_gen.export.layer_names import layers_of

#: Rounding alone is an error of 1 / sqrt(12) = 0.29 steps; beyond this an operator amplifies its inputs'.
_AMPLIFIED = 0.7
_MEASURED_ON = 4
Converter = Callable[[], tf.lite.TFLiteConverter]


@dataclass(frozen=True)
class LayerError:
    """What quantization does to a layer, on inputs that are as quantization leaves them.

    Args:
        layer: its name.
        operator: the one of its operators that suffers most.
        steps: root mean square error of that operator's output, in steps of its scale; None where 8 bits do
            not hold it, such as the logarithm of what becomes zero.
        noise: the same, relative to the standard deviation of each channel.
        kept: whether the layer stays in float.
    """

    layer: str
    operator: str
    steps: float | None
    noise: float | None
    kept: bool = False

    def __str__(self) -> str:
        stays = "; stays in float" if self.kept else ""
        if self.steps is None or self.noise is None:
            return f"{self.layer}: {self.operator} is not to be had in 8 bits{stays}"
        return f"{self.layer}: {self.operator} off by {self.steps:.2f} steps, noise {self.noise:.1%}{stays}"


def int8(
    converter: Converter,
    inputs: Mapping[str, np.ndarray],
    keep_float: str | Sequence[str],
    layers: Sequence[str],
    wanted: float,
) -> tuple[bytes, tuple[LayerError, ...]]:
    """Quantizes a model, and measures what that does to each layer.

    Operators that are in no layer stay in float: the scaling of pixels loses whole levels otherwise.

    Args:
        converter: makes a converter of the model, set to optimize.
        inputs: representative ones by name, one after the other along the first axis.
        keep_float: names of layers that stay in float; "auto" for those that the delegate runs in float
            only, and as many of those that suffer as it takes to reach what is wanted. Those that 8 bits do
            not hold stay in float in any case.
        layers: the names of all layers.
        wanted: peak signal-to-noise ratio in decibels.

    Returns:
        The file, and an error for each layer, the one that suffers most first.

    Raises:
        ValueError: a layer that there is none of.
    """
    automatic = keep_float == "auto"
    named = [] if automatic else [keep_float] if isinstance(keep_float, str) else list(keep_float)
    if unknown := [name for name in named if name not in layers]:
        raise ValueError(f"keep_float: the model has no layer {unknown[0]!r}; it has {', '.join(layers)}.")
    plain = converter()
    plain.optimizations = []
    reference = plain.convert()
    samples = _in_order(reference, inputs)
    calibrated = converter()
    calibrated.representative_dataset = lambda: iter(samples)
    calibrated.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    debugger = tf.lite.experimental.QuantizationDebugger(converter=calibrated, debug_dataset=lambda: iter([]))
    operators = _statistics(debugger.get_debug_quantized_model(), samples[:_MEASURED_ON])
    errors = _by_layer(operators, layers)
    named += [each.layer for each in errors if each.steps is None]

    def quantized(kept: Sequence[str]) -> bytes:
        nodes = [
            each["tensor"]
            for each in operators
            if not set(layers) & (found := set(layers_of(each["tensor"], layers))) or set(kept) & found
        ]
        debugger.options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=nodes)
        return debugger.get_nondebug_quantized_model()

    if automatic:
        expected = _outputs(reference, samples)
        slow = _left_out(quantized(named), layers)
        slow = {
            layer: kinds - _left_out(reference, layers).get(layer, set()) for layer, kinds in slow.items()
        }
        first = [*named, *(layer for layer, kinds in slow.items() if kinds and layer in layers)]
        others = [each.layer for each in errors if each.layer not in first]
        named = first + _fewest(
            others, lambda kept: _psnr(expected, _outputs(quantized([*first, *kept]), samples)) >= wanted
        )
    return quantized(named), tuple(replace(each, kept=each.layer in named) for each in errors)


def _left_out(content: bytes, layers: Sequence[str]) -> dict[str, set[str]]:
    """The operators of each layer that the delegate does not take."""
    interpreter = flatbuffer.runtime().Interpreter(model_content=content)
    interpreter.allocate_tensors()
    made = [tensor for _, tensor in flatbuffer.operators(flatbuffer.read(content))]
    found: dict[str, set[str]] = {}
    for each in latency.undelegated(interpreter._get_ops_details()):
        for layer in layers_of(made[each["index"]], layers):
            found.setdefault(layer, set()).add(each["op_name"])
    return found


def _fewest(ranked: Sequence[str], enough: Callable[[Sequence[str]], bool]) -> list[str]:
    """The shortest beginning of a list that is enough, by bisection; all of it where none is."""
    if enough([]):
        return []
    low, high = 0, len(ranked)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(ranked[:middle]) else (middle, high)
    return list(ranked[:high])


def _in_order(content: bytes, inputs: Mapping[str, np.ndarray]) -> list[list[np.ndarray]]:
    """Inputs, one example after the other, in the order of the file's."""
    parsed = flatbuffer.read(content)
    names = {entry.tensorIndex: entry.name.decode() for entry in parsed.signatureDefs[0].inputs}
    order = [names[index] for index in parsed.subgraphs[0].inputs]
    count = len(inputs[order[0]])
    return [[inputs[name][i : i + 1] for name in order] for i in range(count)]


def _statistics(content: bytes, samples: Sequence[Sequence[np.ndarray]]) -> list[dict[str, Any]]:
    """The error of every quantized operator, by a model that computes each in float too."""

    def steps(exact, stored, scale, zero):
        return np.mean(np.square(_real(stored, scale, zero) - exact)) / scale**2

    def noise(exact, stored, scale, zero):
        axes = tuple(range(exact.ndim - 1)) if np.prod(exact.shape[:-1]) > 1 else None
        square = np.mean(np.square(_real(stored, scale, zero) - exact), axes)
        return np.mean(square / (np.var(exact, axes) + 1e-12))

    options = tf.lite.experimental.QuantizationDebugOptions(
        layer_direct_compare_metrics={"steps": steps, "noise": noise}
    )
    debugger = tf.lite.experimental.QuantizationDebugger(
        quant_debug_model_content=content, debug_dataset=lambda: iter(samples), debug_options=options
    )
    debugger.run()
    table = io.StringIO()
    debugger.layer_statistics_dump(table)
    table.seek(0)
    return [
        {
            "tensor": row["tensor_name"],
            "operator": row["op_name"],
            "steps": _root(row["steps"]),
            "noise": _root(row["noise"]),
        }
        for row in csv.DictReader(table)
    ]


def _root(square: str) -> float:
    value = float(square)
    return math.sqrt(value) if math.isfinite(value) else math.inf


def _by_layer(operators: Sequence[dict[str, Any]], layers: Sequence[str]) -> list[LayerError]:
    """The worst operator of each layer; first the layers that amplify errors, then those of most noise."""

    def rank(each: dict[str, Any]) -> tuple[float, float]:
        return max(each["steps"], _AMPLIFIED), each["noise"]

    worst: dict[str, dict[str, Any]] = {}
    for each in operators:
        for layer in set(layers_of(each["tensor"], layers)) & set(layers):
            if layer not in worst or rank(each) > rank(worst[layer]):
                worst[layer] = each
    ranked = sorted(worst.items(), key=lambda item: rank(item[1]), reverse=True)
    return [
        LayerError(layer, each["operator"], round(each["steps"], 3), round(each["noise"], 5))
        if math.isfinite(each["steps"] + each["noise"])
        else LayerError(layer, each["operator"], None, None)
        for layer, each in ranked
    ]


def _outputs(content: bytes, samples: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """All outputs of the float kind for some examples, in a row."""
    interpreter = flatbuffer.runtime().Interpreter(model_content=content)
    interpreter.allocate_tensors()
    made = []
    for sample in samples[:_MEASURED_ON]:
        for about, value in zip(interpreter.get_input_details(), sample, strict=True):
            interpreter.set_tensor(about["index"], value)
        interpreter.invoke()
        made += [interpreter.get_tensor(about["index"]) for about in interpreter.get_output_details()]
    return np.concatenate([np.ravel(each).astype(np.float64) for each in made])


def _psnr(expected: np.ndarray, received: np.ndarray) -> float:
    square = float(np.mean(np.square(expected - received)))
    return 20 * math.log10(float(np.ptp(expected)) or 1.0) - 10 * math.log10(square + 1e-20)


def _real(stored: np.ndarray, scale: float, zero: int) -> np.ndarray:
    return (stored.astype(np.float32) - zero) * scale
