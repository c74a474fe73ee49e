"""Requests that TF Serving sends itself when it loads a model, so that the first user does not wait.

The file holds `PredictionLog` messages of TensorFlow Serving. They are written field by field, in protocol
buffers' wire format, for which a plain installation needs nothing beside TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

#: Where TF Serving looks, within a version's folder.
FILE = Path("assets.extra") / "tf_serving_warmup_requests"
# Fields of tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto.
_PREDICT_LOG, _REQUEST = 6, 1
_MODEL_SPEC, _INPUTS = 1, 2
_NAME, _SIGNATURE_NAME = 1, 3
_KEY, _VALUE = 1, 2


def _field(number: int, content: bytes) -> bytes:
    """A field of a message: a string, bytes or another message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low = [value >> 7 * i & 127 for i in range(max(1, (value.bit_length() + 6) // 7))]
    return bytes([*(part | 128 for part in low[:-1]), low[-1]])


def predict_request(model: str, signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """A serialized `PredictRequest`.

    Args:
        model: the model's name on the server.
        signature: the signature's name.
        inputs: arrays by the inputs' names; bytes as arrays of objects.
    """
    spec = _field(_NAME, model.encode()) + _field(_SIGNATURE_NAME, signature.encode())
    entries = (
        _field(_KEY, name.encode()) + _field(_VALUE, tf.make_tensor_proto(value).SerializeToString())
        for name, value in inputs.items()
    )
    return _field(_MODEL_SPEC, spec) + b"".join(_field(_INPUTS, entry) for entry in entries)


def write(folder: Path, requests: Iterable[bytes]) -> None:
    """Writes the warm-up file of a version.

    Args:
        folder: of the version.
        requests: serialized `PredictRequest`s; TF Serving takes 1000 at most.
    """
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            writer.write(_field(_PREDICT_LOG, _field(_REQUEST, request)))
