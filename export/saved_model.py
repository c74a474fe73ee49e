"""Trained model to a SavedModel, as TF Serving polls for it: NAME/VERSION/, whole or not at all.

    to_saved_model(model, "saved_models/digits")     # the next free version, e.g. saved_models/digits/1

A SavedModel needs TensorFlow alone: neither Keras nor this package.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_gen import atomic
from keras_gen.export import serving, verify, warmup
from keras_gen.export.encoded import SUFFIX, encode_images, encoded
from keras_gen.export.signatures import Port, Signature, Tensors, examples, signatures

#: The largest difference of any number to the model's own.
BOUND = 1e-4
DEFAULT = "serving_default"
REPORT = Path("assets.extra") / "verification.json"
_EXAMPLES, _SIZE = 2, (96, 128)  # of images where any size goes
_TOLERANCE = 1e-3  # beyond the bounds of floating-point inputs


def to_saved_model(
    model: Any,
    path: str | os.PathLike[str],
    *,
    signature: str | Sequence[str] | None = None,
    images: Any = None,
    verbose: bool = True,
) -> Path:
    """Writes a SavedModel for TF Serving.

    It has the model's signatures, with named inputs and outputs and the batch left free, the first of them
    also as `serving_default`; and for each with images a `…_jpeg` variant that takes and gives encoded files.
    What is out of range is refused with a sentence. It computes in float32, by the moving average where there
    is one. Warm-up requests are in `assets.extra`, with the report of the comparison to the model; beside the
    model's folder stand `models.config` and `serve.sh`.

    Args:
        model: any with export signatures.
        path: `FOLDER/NAME` takes the next free version of the model; `FOLDER/NAME/VERSION` that version.
        signature: which of the model's, one or several; None takes all. The first is served by default.
        images: real ones to compare on and to warm up with, float32 (count, height, width, channels) in
            [-1, 1]; None makes smooth random ones.
        verbose: print the report, and how to serve the model.

    Returns:
        The folder of the version.

    Raises:
        TypeError: a model without signatures.
        ValueError: an unknown signature.
        FileExistsError: that version is there already.
        VerificationError: what was written differs from the model; it is removed.
        OSError: the folder cannot be written.
    """
    base, version = _parse(Path(path))
    served = _served(_chosen(signatures(model), signature), images)
    with _aside(base) as temporary:
        _save(temporary, served)
        report = _compare(temporary, served, base)
        _check_passed(report)
        requests = (
            warmup.predict_request(base.name, name, _first(inputs)) for name, (_, inputs) in served.items()
        )
        warmup.write(temporary, requests)
        atomic.write_json(temporary / REPORT, report.to_json())
        made = _placed(temporary, base, version)
    serving.write(base.parent)
    if verbose:
        print(replace(report, path=str(made)))
        print(f"{base.parent / serving.CONFIG} names it; this serves it:")
        print(f"  {serving.docker_command(str(base.parent.resolve()))}")
    return made


Served = dict[str, tuple[Signature, dict[str, np.ndarray]]]


def _served(table: Mapping[str, Signature], images: Any) -> Served:
    """What is served, by name, each with inputs to try it with."""
    served: Served = {}
    for name, signature in table.items():
        size = None if images is not None else _SIZE
        inputs = examples(signature, _EXAMPLES, seed=0, images=images, size=size)
        served[name] = signature, inputs
        files = encoded(signature)
        if files is not None:
            served[files.name] = files, encode_images(signature, inputs)
    return served


def _first(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value[:1] for name, value in inputs.items()}


def _chosen(table: dict[str, Signature], wanted: str | Sequence[str] | None) -> dict[str, Signature]:
    names = list(table) if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = next((name for name in names if name not in table), None)
    if unknown is not None:
        hint = " The …_jpeg variants come with theirs." if unknown.endswith(SUFFIX) else ""
        raise ValueError(f"The model has no signature {unknown!r}: choose from {', '.join(table)}.{hint}")
    return {name: table[name] for name in names}


# Where it goes.


def _parse(path: Path) -> tuple[Path, int | None]:
    """The model's folder, and the version that is asked for."""
    if not (path.name.isascii() and path.name.isdigit()):
        if not path.name:
            raise ValueError(f"{path} names no model: export to a folder such as saved_models/digits.")
        return path, None
    version = int(path.name)
    if not path.parent.name:
        raise ValueError(f"{path} is a version without a model: export to saved_models/NAME/{version}.")
    _refuse_existing(path)
    return path.parent, version


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise FileExistsError(
            f"{path} is there already, and a server may be using it: leave the version out for the next free "
            "one."
        )


@contextlib.contextmanager
def _aside(base: Path) -> Iterator[Path]:
    """A folder within the model's that no server takes for a version; it does not outlive the block."""
    made = not base.exists()
    base.mkdir(parents=True, exist_ok=True)
    temporary = base / f".exporting-{os.getpid()}"
    try:
        temporary.mkdir()
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):
                base.rmdir()  # where nothing came of it


def _placed(temporary: Path, base: Path, version: int | None) -> Path:
    """Renames what is written into the place of a version: the next one that nobody has taken."""
    atomic.sync_folder(temporary)
    while True:
        number = max(serving.versions(base), default=0) + 1 if version is None else version
        made = base / str(number)
        try:
            temporary.rename(made)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            if version is not None:
                _refuse_existing(made)
        else:
            return made


# What goes into it.


def _save(folder: Path, served: Served) -> None:
    traced = {name: _traced(signature) for name, (signature, _) in served.items()}
    module = tf.Module()
    # Those that the functions read: neither discriminators nor optimizers.
    module.weights = _unique(variable for each in traced.values() for variable in each.graph.variables)
    tf.saved_model.save(
        module,
        str(folder),
        signatures={DEFAULT: next(iter(traced.values())), **traced},
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
    _forget_gradients(folder)


def _forget_gradients(folder: Path) -> None:
    """Takes the names of custom gradients away: they mean nothing without this package, and loading warns."""
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in saved.meta_graphs:
        for nodes in (graph.graph_def.node, *(each.node_def for each in graph.graph_def.library.function)):
            for node in nodes:
                node.attr.pop("_gradient_op_type", None)
    path.write_bytes(saved.SerializeToString())
    (folder / "fingerprint.pb").unlink(missing_ok=True)  # of what was there before


def _traced(signature: Signature) -> Any:
    specs = {
        port.name: tf.TensorSpec((None, *port.shape), port.dtype, name=port.name) for port in signature.inputs
    }

    def run(**inputs: tf.Tensor) -> Tensors:
        checks = [_check(port, inputs[port.name]) for port in signature.inputs if port.bounds]
        with tf.control_dependencies(checks):
            return signature.function(**{name: tf.identity(value) for name, value in inputs.items()})

    return tf.function(run, autograph=False).get_concrete_function(**specs)


def _check(port: Port, values: tf.Tensor) -> tf.Operation:
    low, high = port.bounds or (0, 0)
    around = _TOLERANCE if values.dtype.is_floating else 0
    # Written so that NaN fails too.
    fits = tf.reduce_all((values >= low - around) & (values <= high + around))
    return tf.debugging.Assert(fits, [f"{port.name} must be from {low} to {high}"])


def _unique(variables: Any) -> list[tf.Variable]:
    return list({id(variable): variable for variable in variables}.values())


# What is compared.


@dataclass(frozen=True)
class Report:
    """How a SavedModel compares with the model that it was made of.

    Args:
        path: its folder.
        bytes: all files of it.
        differences: `verify.Difference`s by signature and output.
    """

    path: str
    bytes: int
    differences: dict[str, dict[str, verify.Difference]]

    @property
    def worst(self) -> tuple[str, verify.Difference]:
        """The signature that is furthest from the model, and how far."""
        pairs = [(name, each) for name, found in self.differences.items() for each in found.values()]
        return max(pairs, key=lambda pair: pair[1].largest / _bound(pair[1]))

    @property
    def passed(self) -> bool:
        """Whether every output is within the bound."""
        difference = self.worst[1]
        return difference.largest <= _bound(difference)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {**asdict(self), "bound": BOUND, "passed": self.passed}

    def __str__(self) -> str:
        width = max(map(len, self.differences))
        lines = [f"{self.path}: saved-model, {self.bytes:,} bytes"]
        for name, found in self.differences.items():
            parts = (f"{key} {each.largest:.2g} ({each.measure})" for key, each in found.items())
            lines.append(f"  {name:{width}}  largest difference: {', '.join(parts)}")
        return "\n".join(lines)


def _bound(difference: verify.Difference) -> float:
    # Of images in bytes, one step of rounding; of codes, where two are as near.
    return {"pixels": 1.001 / 127.5, "share": 1e-3}.get(difference.measure, BOUND)


def _compare(folder: Path, served: Served, made: Path) -> Report:
    loaded = tf.saved_model.load(str(folder))
    differences = {}
    for name, (signature, inputs) in served.items():
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        expected = tf.function(signature.function, autograph=False)(**tensors)
        received = loaded.signatures[name](**tensors)
        differences[name] = {
            port.name: _difference(port, expected[port.name].numpy(), received[port.name].numpy())
            for port in signature.outputs
        }
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Report(str(made), size, differences)


def _difference(port: Port, expected: np.ndarray, received: np.ndarray) -> verify.Difference:
    if port.dtype == "string":
        expected, received = (
            np.concatenate([tf.io.decode_png(file).numpy().ravel() for file in files])
            for files in (expected, received)
        )
        port = replace(port, dtype="uint8")
    return verify.difference(port, expected, received)


def _check_passed(report: Report) -> None:
    if not report.passed:
        name, difference = report.worst
        raise verify.VerificationError(
            f"The SavedModel differs too much from the model: {name} by {difference.largest:.2g} "
            f"({difference.measure}), where at most {_bound(difference):.2g} is wanted. Nothing was written.",
            report,
        )
