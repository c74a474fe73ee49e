"""TFLite files as objects: read, checked, made smaller, written.

A TFLite file is a FlatBuffer. Here it is the object API's `ModelT` of the runtime's own schema, between
`read` and `write`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np

IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
_SCALE_BYTES = 12  # of a scale and its zero point
_NOT_DELEGATED = {"MIRROR_PAD"}


def runtime(module: str = "interpreter") -> Any:
    """A module of the LiteRT runtime.

    Raises:
        ImportError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(f"ai_edge_litert.{module}")
    except ImportError as error:
        raise ImportError(
            f"TFLite files need the LiteRT runtime: pip install ai-edge-litert ({error})."
        ) from error


def read(content: bytes) -> Any:
    """The model that a file holds.

    Raises:
        ValueError: not a TFLite file.
    """
    if len(content) < 8 or content[4:8] != IDENTIFIER:
        raise ValueError("this is not a TFLite file: its identifier is missing.")
    return runtime("schema_py_generated").ModelT.InitFromPackedBuf(bytearray(content))


def write(model: Any) -> bytes:
    """The file of a model; equal vectors stand in it once, and weights at multiples of 16 bytes."""
    builder = _Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    def __init__(self, size: int):
        super().__init__(size)
        self._known: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        key = (x.dtype.str, x.tobytes())
        if key not in self._known:
            self._known[key] = super().CreateNumpyVector(x)
        return self._known[key]

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
        # The schema asks for it, and Python's generated code forgets it: kernels load whole registers.
        large = elemSize == 1 and numElems >= _ALIGNMENT
        return super().StartVector(elemSize, numElems, _ALIGNMENT if large else alignment)


def name_of(code: Any) -> str:
    """The name of an operator code, e.g. CONV_2D; a custom one's own name."""
    if code.customCode:
        return _text(code.customCode)
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    names = vars(runtime("schema_py_generated").BuiltinOperator)
    return next((name for name, value in names.items() if value == number), f"BUILTIN_{number}")


def operators(model: Any) -> list[tuple[str, str]]:
    """Every operator of every subgraph: its name, and that of the tensor that it makes first."""
    names = [name_of(code) for code in model.operatorCodes]
    return [
        (names[operator.opcodeIndex], _text(graph.tensors[operator.outputs[0]].name))
        for graph in model.subgraphs
        for operator in graph.operators or []
        if len(operator.outputs)
    ]


def count(model: Any) -> dict[str, int]:
    """How many operators of each name there are."""
    return dict(sorted(Counter(name for name, _ in operators(model)).items()))


def format_of(model: Any) -> str:
    """The quantization of a model, by its tensors: "float32", "float16", "dynamic" or "int8"."""
    types = runtime("schema_py_generated").TensorType
    weights, values = set(), set()
    for graph in model.subgraphs:
        made = {index for operator in graph.operators or [] for index in operator.outputs}
        for index, tensor in enumerate(graph.tensors):
            stored = model.buffers[tensor.buffer].data
            if index in made:
                values.add(tensor.type)
            elif stored is not None and len(stored) > 0:
                weights.add(tensor.type)
    if types.INT8 in values:
        return "int8"
    if weights & {types.INT8, types.INT4}:
        return "dynamic"
    return "float16" if types.FLOAT16 in weights else "float32"


def advance(model: Any) -> None:
    """Moves operators that CPU delegates do not take, and what these need, to the front of their graph.

    A delegate takes what stands together: a reflection in the midst of what does not depend on it would part
    the graph in two.
    """
    names = [name_of(code) for code in model.operatorCodes]
    for graph in model.subgraphs:
        maker = {tensor: i for i, each in enumerate(graph.operators) for tensor in each.outputs}
        early: set[int] = set()
        waiting = [i for i, each in enumerate(graph.operators) if names[each.opcodeIndex] in _NOT_DELEGATED]
        while waiting:
            i = waiting.pop()
            if i not in early:
                early.add(i)
                waiting += [maker[tensor] for tensor in graph.operators[i].inputs if tensor in maker]
        # Before all, those that wait for nothing: the casts of pixels.
        rank = {i: 2 - (i in early) for i in range(len(graph.operators))}
        for i in early:
            each = graph.operators[i]
            if names[each.opcodeIndex] == "CAST" and not any(tensor in maker for tensor in each.inputs):
                rank[i] = 0
        graph.operators = [graph.operators[i] for i in sorted(rank, key=rank.__getitem__)]


def widen_depthwise(model: Any) -> None:
    """Stores as float32 the weights of depthwise convolutions of float images that are stored as int8.

    No CPU delegate has kernels for such a pair, and the runtime's own take several times as long as those for
    float; the weights are few. They stay rounded to 8 bits. Those of fewer than 1024 numbers the converter
    leaves alone of itself.
    """
    types = runtime("schema_py_generated").TensorType
    for images, kernel in _weighted(model, "DEPTHWISE_CONV_2D"):
        if images.type == types.FLOAT32 and kernel.type == types.INT8:
            # A scale of each channel, the last axis.
            scale = np.asarray(kernel.quantization.scale, np.float32)
            _store(model, kernel, _stored(model, kernel).astype(np.float32) * scale)
            kernel.type, kernel.quantization = types.FLOAT32, None


def share_scales(model: Any) -> None:
    """Gives 8-bit weights of dense layers of few inputs one scale instead of one for each output.

    The converter stores a scale of 4 and a zero point of 8 bytes for each output: of a layer with fewer
    inputs than that, more than its weights.
    """
    types = runtime("schema_py_generated").TensorType
    for values, kernel in _weighted(model, "FULLY_CONNECTED"):
        about = kernel.quantization
        dynamic = values.type == types.FLOAT32 and kernel.type == types.INT8
        if not dynamic or len(about.scale) == 1 or kernel.shape[1] >= _SCALE_BYTES:
            continue
        weights = _stored(model, kernel) * np.asarray(about.scale, np.float32)[:, None]
        scale = max(float(np.abs(weights).max()) / 127, np.finfo(np.float32).tiny)
        about.scale, about.zeroPoint = np.array([scale], np.float32), np.zeros(1, np.int64)
        about.quantizedDimension = 0
        _store(model, kernel, np.round(weights / scale).astype(np.int8))


def _weighted(model: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """The first input and the weights of every operator of that name."""
    names = [name_of(code) for code in model.operatorCodes]
    for graph in model.subgraphs:
        for operator in graph.operators or []:
            if names[operator.opcodeIndex] == name:
                values, weights = (graph.tensors[index] for index in operator.inputs[:2])
                yield values, weights


def _stored(model: Any, tensor: Any) -> np.ndarray:
    """The whole numbers of an 8-bit tensor."""
    return np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.int8).reshape(tensor.shape)


def _store(model: Any, tensor: Any, values: np.ndarray) -> None:
    """Gives a tensor a buffer of its own: others may share the old one, which `compact` drops if not."""
    buffer = runtime("schema_py_generated").BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1


def compact(model: Any) -> None:
    """Takes away what only the converter needed: names within the graph and empty tables."""
    for graph in model.subgraphs:
        named = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in named:
                tensor.name = None
            about = tensor.quantization
            if about is not None and about.scale is None and about.details is None:
                tensor.quantization = None
    model.metadata = [entry for entry in model.metadata or [] if _text(entry.name) != "CONVERSION_METADATA"]
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {0} | {entry.buffer for entry in model.metadata}
    number = {old: new for new, old in enumerate(sorted(used))}
    model.buffers = [model.buffers[old] for old in sorted(used)]
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = number[tensor.buffer]
    for entry in model.metadata:
        entry.buffer = number[entry.buffer]


def _text(value: bytes | str | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
