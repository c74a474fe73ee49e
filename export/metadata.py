"""TFLite metadata: what a file takes and gives, readable by apps, Android Studio and Netron.

It is a FlatBuffer of the public metadata schema (identifier M001), kept in the model's buffer named
TFLITE_METADATA; the labels of a tensor are text files in a zip archive that is appended to the model. That
schema is written here as a table of fields, in the order of their slots, and one function reads what the
other writes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table

from keras_gen.export import flatbuffer
from keras_gen.export.signatures import Port

_NAME, _IDENTIFIER = "TFLITE_METADATA", b"M001"
_AXIS_LABELS, _VALUE_LABELS, _RGB, _GRAYSCALE = 2, 3, 1, 2

#: Fields of each table; a kind in a list is a vector of it, and a tuple is a union of tables, from 1.
_SCHEMA: dict[str, dict[str, Any]] = {
    "Model": {
        "name": "text",
        "description": "text",
        "version": "text",
        "subgraph_metadata": ["SubGraph"],
        "author": "text",
        "license": "text",
        "associated_files": ["AssociatedFile"],
        "min_parser_version": "text",
    },
    "SubGraph": {
        "name": "text",
        "description": "text",
        "input_tensor_metadata": ["Tensor"],
        "output_tensor_metadata": ["Tensor"],
    },
    "Tensor": {
        "name": "text",
        "description": "text",
        "dimension_names": ["text"],
        "content": "Content",
        "process_units": ["ProcessUnit"],
        "stats": "Stats",
        "associated_files": ["AssociatedFile"],
    },
    "Content": {"content_properties": ("FeatureProperties", "ImageProperties")},
    "FeatureProperties": {},
    "ImageProperties": {"color_space": "byte", "default_size": "ImageSize"},
    "ImageSize": {"width": "uint", "height": "uint"},
    "ProcessUnit": {"options": ("NormalizationOptions",)},
    "NormalizationOptions": {"mean": ["float"], "std": ["float"]},
    "Stats": {"max": ["float"], "min": ["float"]},
    "AssociatedFile": {"name": "text", "description": "text", "type": "byte"},
}
_NUMBERS = {
    "byte": number_types.Int8Flags,
    "uint": number_types.Uint32Flags,
    "float": number_types.Float32Flags,
}


def describe(
    model: Any, inputs: Sequence[Port], outputs: Sequence[Port], *, name: str, description: str, license: str
) -> bytes:
    """Adds metadata to a model, and makes the file.

    Args:
        model: of `flatbuffer.read`, with one subgraph; changed.
        inputs, outputs: in the order of the subgraph's, with the static shapes and types of the file.
        name, description, license: of the model.

    Returns:
        The file, with labels appended.
    """
    labels = {_file(port): port.labels for port in (*inputs, *outputs) if port.labels}
    about = {
        "name": name,
        "description": description,
        "license": license,
        "min_parser_version": "1.0.0",
        "subgraph_metadata": [
            {
                "name": name,
                "input_tensor_metadata": [_tensor(port) for port in inputs],
                "output_tensor_metadata": [_tensor(port) for port in outputs],
            }
        ],
    }
    schema = flatbuffer.runtime("schema_py_generated")
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(encode(about), np.uint8)
    entry.name, entry.buffer = _NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    model.description = description
    file = io.BytesIO(content := flatbuffer.write(model))
    file.seek(len(content))
    if labels:
        with zipfile.ZipFile(file, "a") as archive:
            for filename, names in labels.items():
                # A date of its own would make every export of the same model another file.
                archive.writestr(zipfile.ZipInfo(filename), "\n".join(names) + "\n")
    return file.getvalue()


def read(content: bytes) -> dict[str, Any]:
    """The metadata of a file as nested dicts, field names as in the schema; `labels` by file name.

    Returns:
        An empty dict where a file has none.

    Raises:
        ValueError: not a TFLite file.
    """
    model = flatbuffer.read(content)
    for entry in model.metadata or []:
        if entry.name in (_NAME, _NAME.encode()):
            about = decode(bytes(model.buffers[entry.buffer].data))
            return {**about, "labels": _labels(content)}
    return {}


def _labels(content: bytes) -> dict[str, list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name).decode().splitlines() for name in archive.namelist()}
    except zipfile.BadZipFile:
        return {}


def _file(port: Port) -> str:
    return f"{port.name}-labels.txt"


def _tensor(port: Port) -> dict[str, Any]:
    about: dict[str, Any] = {"name": port.name, "description": port.description or port.kind}
    if port.kind == "image":
        *_, height, width, channels = port.shape
        space = _GRAYSCALE if channels == 1 else _RGB
        size = {"width": width, "height": height}
        about["content"] = {"content_properties": {"color_space": space, "default_size": size}}
        about["dimension_names"] = ["batch", "height", "width", "channels"]
        # What turns pixels from 0 to 255 into what the file takes, and back.
        half = 0.0 if port.dtype == "uint8" else 127.5
        about["process_units"] = [{"options": {"mean": [half], "std": [half or 1.0]}}]
    else:
        about["content"] = {"content_properties": {}}
    if port.bounds is not None:
        low, high = port.bounds
        about["stats"] = {"max": [float(high)], "min": [float(low)]}
    if port.labels:
        kind = _VALUE_LABELS if port.kind == "label" else _AXIS_LABELS
        about["associated_files"] = [
            {"name": _file(port), "description": f"names of the {port.name}", "type": kind}
        ]
    return about


# The schema's encoding.


def encode(about: dict[str, Any]) -> bytes:
    """The metadata FlatBuffer of nested dicts."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, "Model", about), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def decode(content: bytes) -> dict[str, Any]:
    """Nested dicts of a metadata FlatBuffer; fields that are not there are left out.

    Raises:
        ValueError: of another schema.
    """
    if content[4:8] != _IDENTIFIER:
        raise ValueError(f"TFLite metadata begins with {_IDENTIFIER!r}; received {content[4:8]!r}.")
    return _read(Table(content, int.from_bytes(content[:4], "little")), "Model")


def _slots(kind: str):
    """Name, kind and slot of each field: a union takes two, for the type and the table."""
    slot = 0
    for name, field in _SCHEMA[kind].items():
        slot += isinstance(field, tuple)
        yield name, field, slot
        slot += 1


def _is_number(field: Any) -> bool:
    return isinstance(field, str) and field in _NUMBERS


def _chosen(union: tuple[str, ...], value: dict[str, Any]) -> int:
    """Which table of a union a value is: the first that has its fields."""
    return next(i for i, name in enumerate(union, 1) if set(value) <= set(_SCHEMA[name]))


def _write(builder: flatbuffers.Builder, kind: str, about: dict[str, Any]) -> int:
    children: dict[int, int] = {}
    for name, field, slot in _slots(kind):
        if name in about and not _is_number(field):
            children[slot] = _child(builder, field, about[name])
    builder.StartObject(max((slot for *_, slot in _slots(kind)), default=-1) + 1)
    for name, field, slot in _slots(kind):
        if name not in about:
            continue
        if _is_number(field):
            builder.PrependSlot(_NUMBERS[field], slot, about[name], 0)
            continue
        if isinstance(field, tuple):
            builder.PrependUint8Slot(slot - 1, _chosen(field, about[name]), 0)
        builder.PrependUOffsetTRelativeSlot(slot, children[slot], 0)
    return builder.EndObject()


def _child(builder: flatbuffers.Builder, field: Any, value: Any) -> int:
    if field == "text":
        return builder.CreateString(value)
    if isinstance(field, str):
        return _write(builder, field, value)
    if isinstance(field, tuple):
        return _write(builder, field[_chosen(field, value) - 1], value)
    if field[0] in _NUMBERS:
        return builder.CreateNumpyVector(np.asarray(value, np.float32))
    offsets = [_child(builder, field[0], each) for each in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _read(table: Table, kind: str) -> dict[str, Any]:
    about: dict[str, Any] = {}
    for name, field, slot in _slots(kind):
        offset = table.Offset(4 + 2 * slot)
        if not offset:
            continue
        position = table.Pos + offset
        if isinstance(field, tuple):
            chosen = table.Get(number_types.Uint8Flags, table.Pos + table.Offset(2 + 2 * slot))
            if chosen <= len(field):
                about[name] = _read(Table(table.Bytes, table.Indirect(position)), field[chosen - 1])
        elif isinstance(field, list):
            start, length = table.Vector(offset), table.VectorLen(offset)
            about[name] = [_value(table, field[0], start + 4 * i) for i in range(length)]
        else:
            about[name] = _value(table, field, position)
    return about


def _value(table: Table, field: str, position: int) -> Any:
    if field == "text":
        return table.String(position).decode()
    if field in _NUMBERS:
        return table.Get(_NUMBERS[field], position)
    return _read(Table(table.Bytes, table.Indirect(position)), field)
