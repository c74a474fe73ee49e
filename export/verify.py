"""An exported file against the model that it came from: differences, operators, size, latency.

    report = verify("digits.tflite", model)
    print(report)
    check(report)          # raises VerificationError past the format's bound

The bounds: in float32 no output is off by more than 1e-4, in float16 by more than 5e-3, and with 8-bit
weights or activations outputs have a peak signal-to-noise ratio of 30 dB at least. What the difference of
each kind of output is, `Difference` says.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.export import flatbuffer, latency, pixels
from keras_gen.export.quiet import quiet
from keras_gen.export.signatures import Port, Signature, examples, signatures

#: Largest difference of each format, and least peak signal-to-noise ratio in decibels.
LARGEST = {"float32": 1e-4, "float16": 5e-3}
PSNR = {"dynamic": 30.0, "int8": 30.0}
_SHOWN = 8


class VerificationError(ValueError):
    """An export that is too far from its model; `report` says how far."""

    def __init__(self, message: str, report: Any):
        super().__init__(message)
        self.report = report


@dataclass(frozen=True)
class Difference:
    """How far an output is from the Keras model's.

    Args:
        measure: "absolute" for images, in [-1, 1], and numbers of at most 1; "relative" to the largest
            expected magnitude for other numbers; "share" of entries that differ for whole numbers; "pixels"
            for images from 0 to 255, divided by 127.5: expected ones are rounded too.
        largest, mean: over all examples.
        psnr: the peak signal-to-noise ratio in decibels over all examples; the peak is the range of the port,
            or of the expected values. None for whole numbers, and where nothing differs.
    """

    measure: str
    largest: float
    mean: float
    psnr: float | None


@dataclass(frozen=True)
class Report:
    """What `verify` found.

    Args:
        path: the file.
        format: "float32", "float16", "dynamic" or "int8".
        signature: its name.
        inputs, outputs: type and shape of each, e.g. "float32 1x28x28x1".
        examples: how many inputs were compared.
        differences: by the outputs' names.
        operators: how many of each name there are.
        bytes: the file's size.
        latency: measurements by number of threads; empty where they were not asked for.
        layers: of an int8 file, the error that quantization makes in each layer; see `quantize.LayerError`.
    """

    path: str
    format: str
    signature: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    examples: int
    differences: dict[str, Difference]
    operators: dict[str, int]
    bytes: int
    latency: tuple[latency.Run, ...] = ()
    layers: tuple[Any, ...] = field(default=())

    @property
    def bound(self) -> str:
        """The format's bound in words."""
        if self.format in PSNR:
            return f"at least {PSNR[self.format]:g} dB"
        grey = any(one.measure == "pixels" for one in self.differences.values())
        return f"at most {LARGEST[self.format]:g}" + (", or one of 255 levels" if grey else "")

    def within(self, output: str) -> bool:
        """Whether an output is within the bound."""
        difference = self.differences[output]
        if difference.measure == "share":
            # A code is the nearest of several: where two are as near, rounding decides.
            return difference.largest <= (1e-3 if self.format == "float32" else 0.05)
        if self.format in PSNR:
            return difference.psnr is None or difference.psnr >= PSNR[self.format]
        level = 1.001 / pixels.HALF if difference.measure == "pixels" else 0.0
        return difference.largest <= max(LARGEST[self.format], level)

    @property
    def passed(self) -> bool:
        """Whether every output is within the bound."""
        return all(map(self.within, self.differences))

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {**asdict(self), "bound": self.bound, "passed": self.passed}

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def verify(
    path: str | os.PathLike[str],
    model: Any,
    *,
    images: Any = None,
    count: int = 4,
    seed: int = 0,
    threads: Sequence[int] = (1, 2),
    runs: int = 50,
) -> Report:
    """Compares a TFLite file with its model, and measures it with the LiteRT interpreter.

    Args:
        path: a file that `to_tflite` wrote.
        model: the model that it was made of.
        images: real ones, as for `signatures.examples`, for signatures that take images.
        count: number of examples.
        seed: of latent vectors.
        threads: numbers of threads to measure latency with, each in a process of its own.
        runs: of each measurement, at most.

    Returns:
        The report; `check` it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not of this model, or cannot be run.
        ImportError: the LiteRT runtime is not installed.
    """
    path = Path(path)
    content = path.read_bytes()
    parsed = flatbuffer.read(content)
    with quiet():
        interpreter = flatbuffer.runtime().Interpreter(model_content=content, num_threads=max([1, *threads]))
        interpreter.allocate_tensors()
    signature, inputs, outputs = _ports(path, interpreter, model)
    return Report(
        path=str(path),
        format=flatbuffer.format_of(parsed),
        signature=signature.name,
        inputs={port.name: _about(port) for port in inputs},
        outputs={port.name: _about(port) for port in outputs},
        examples=count,
        differences=_differences(interpreter, signature, inputs, outputs, images, count, seed),
        operators=flatbuffer.count(parsed),
        bytes=len(content),
        latency=tuple(latency.measure(path, number, runs) for number in threads),
    )


def check(report: Report) -> None:
    """Raises VerificationError where a report is past its format's bound."""
    bad = [name for name in report.differences if not report.within(name)]
    if not bad:
        return
    difference = report.differences[bad[0]]
    found = f"{difference.largest:.2g}" if report.format in LARGEST else f"{difference.psnr:.1f} dB"
    worst = [layer for layer in report.layers if not layer.kept][:3]
    advice = {
        "int8": " Let layers stay in float (keep_float: names, or auto), or choose float16.",
        "dynamic": " Choose float16.",
        "float16": " Choose float32.",
        "float32": " Its values may be too large for float32 arithmetic in another order.",
    }[report.format]
    suffering = f" Most suffer: {', '.join(layer.layer for layer in worst)}." if worst else ""
    raise VerificationError(
        f"The {report.format} file differs too much from the model: {bad[0]} by {found} "
        f"({difference.measure}), where {report.bound} is wanted.{suffering}{advice} Nothing was written.",
        report,
    )


def difference(port: Port, expected: np.ndarray, received: np.ndarray) -> Difference:
    """The difference of an output to what the model gives; see `Difference`."""
    if port.dtype == "uint8":
        return _numeric("pixels", 2.0, expected / pixels.HALF, received / pixels.HALF)
    if np.issubdtype(expected.dtype, np.integer):
        share = float(np.mean(expected != received))
        return Difference("share", share, share, None)
    magnitude = float(np.max(np.abs(expected), initial=0.0))
    if port.bounds is not None:
        return _numeric("absolute", port.bounds[1] - port.bounds[0], expected, received)
    spread = float(np.ptp(expected)) or 1.0
    if magnitude <= 1:
        return _numeric("absolute", spread, expected, received)
    return _numeric("relative", spread / magnitude, expected / magnitude, received / magnitude)


def _numeric(measure: str, peak: float, expected: np.ndarray, received: np.ndarray) -> Difference:
    off = np.abs(expected.astype(np.float64) - received.astype(np.float64))
    square = float(np.mean(np.square(off)))
    psnr = None if square == 0 else 20 * math.log10(peak) - 10 * math.log10(square)
    return Difference(measure, float(off.max()), float(off.mean()), psnr)


def trials(
    signature: Signature, count: int, seed: int, images: Any, size: tuple[int, int] | None
) -> dict[str, np.ndarray]:
    """As `signatures.examples`, but images like photographs, and the whole strength of a style.

    Smooth images are no trial: where nothing varies, a normalization divides by next to nothing.
    """
    if images is None and (port := next((p for p in signature.inputs if p.kind == "image"), None)):
        *sides, channels = port.shape
        shape: Any = (count, *(size or sides), channels)
        images = natural(shape, seed)
    given = examples(signature, count, seed, images, size)
    for port in signature.inputs:
        if port.kind == "number" and port.bounds:
            given[port.name] = np.full_like(given[port.name], port.bounds[1])
    return given


def natural(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random images with details of every size, all equally strong, as photographs have them.

    Args:
        shape: (count, height, width, channels).
        seed: the same seed gives the same images.

    Returns:
        float32 in [-1, 1].
    """
    random = np.random.default_rng(seed)
    count, height, width, channels = shape
    total, cells = np.zeros(shape, np.float32), 2
    while cells <= 2 * max(height, width):
        coarse = random.standard_normal((count, cells, cells, channels)).astype(np.float32)
        total += tf.image.resize(coarse, (height, width)).numpy()
        cells *= 2
    return np.tanh(total / total.std((1, 2, 3), keepdims=True))


def _differences(interpreter, signature, inputs, outputs, images, count, seed) -> dict[str, Difference]:
    size = next((port.shape[:2] for port in inputs if port.kind == "image"), None)
    given = trials(signature, count, seed, images, size)
    runner = interpreter.get_signature_runner(signature.name)
    expected: dict[str, list] = {port.name: [] for port in outputs}
    received: dict[str, list] = {port.name: [] for port in outputs}
    for i in range(count):
        one = {name: values[i : i + 1] for name, values in given.items()}
        fed = pixels.quantized(one, inputs)
        wanted = signature.function(**pixels.to_unit(fed, inputs))
        wanted = pixels.quantized({name: np.asarray(value) for name, value in wanted.items()}, outputs)
        made = runner(**fed)
        for port in outputs:
            expected[port.name].append(wanted[port.name])
            # Of the interpreter's memory, which the next run overwrites.
            received[port.name].append(np.array(made[port.name]))
    del runner
    return {
        port.name: difference(port, np.concatenate(expected[port.name]), np.concatenate(received[port.name]))
        for port in outputs
    }


def _ports(path: Path, interpreter: Any, model: Any) -> tuple[Signature, list[Port], list[Port]]:
    """The signature that a file is of, and its ports as they are in the file."""
    known, found = signatures(model), interpreter.get_signature_list()
    name = next(iter(found), None)
    if name not in known:
        raise ValueError(
            f"{path} is not an export of this model: it has the signatures {list(found)}, and the model "
            f"{list(known)}."
        )
    signature, runner = known[name], interpreter.get_signature_runner(name)

    def in_file(ports: Sequence[Port], details: dict[str, Any]) -> list[Port]:
        if {port.name for port in ports} != set(details):
            raise ValueError(
                f"{path} is not an export of this model: {name} has {sorted(details)} there, and "
                f"{sorted(port.name for port in ports)} in the model."
            )
        return [_in_file(port, details[port.name]) for port in ports]

    inputs = in_file(signature.inputs, runner.get_input_details())
    return signature, inputs, in_file(signature.outputs, runner.get_output_details())


def _in_file(port: Port, details: dict[str, Any]) -> Port:
    shape = tuple(map(int, details["shape"][1:]))
    return pixels.as_stored(port, shape, np.dtype(details["dtype"]).name)


def _about(port: Port) -> str:
    return f"{port.dtype} {'x'.join(map(str, (1, *port.shape)))}"


def _lines(report: Report):
    yield f"{report.path}: {report.format}, {report.bytes:,} bytes, {report.signature}"
    for title, ports in (("takes", report.inputs), ("gives", report.outputs)):
        yield f"  {title:12}" + ", ".join(f"{name} {about}" for name, about in ports.items())
    for name, found in report.differences.items():
        decibels = "" if found.psnr is None else f", PSNR {found.psnr:.1f} dB"
        verdict = "" if report.within(name) else "  TOO FAR"
        yield (
            f"  {'difference':12}{name}: largest {found.largest:.2g}, mean {found.mean:.2g} "
            f"({found.measure}){decibels}; {report.bound}{verdict}"
        )
    yield f"  {'operators':12}" + ", ".join(f"{n} {name}" for name, n in report.operators.items())
    for run in report.latency:
        yield f"  {run}"
    for layer in report.layers[:_SHOWN]:
        yield f"  {'layer':12}{layer}"
    if len(report.layers) > _SHOWN:
        yield f"  {'':12}and {len(report.layers) - _SHOWN} layers that suffer less"
