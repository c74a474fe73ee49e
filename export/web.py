"""A page that runs exported files in the browser: pictures painted, or a walk through latents.

The page's source is examples/web; a wheel has it in this package. LiteRT.js, of 38 MB, is no part of it:
`npm install` in the page's folder fetches the version that package.json names.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_gen import atomic
from keras_gen.export import flatbuffer
from keras_gen.export.signatures import Port, Signature, signatures

_SUFFIXES = (".html", ".css", ".js")
_CONTROLS = ("image", "latent", "weights", "label", "number")
_DTYPES = ("float32", "int32", "uint8")  # LiteRT.js knows no others


def page_kind(signature: Signature) -> str | None:
    """What a page does with a signature: "picture" (pictures in, one out), "walk" (latents in), or None."""
    kinds = {port.kind for port in signature.inputs}
    gives_image = any(port.kind == "image" for port in signature.outputs)
    if not signature.portable or not gives_image or not kinds <= set(_CONTROLS):
        return None
    if "image" in kinds:
        return None if "latent" in kinds else "picture"
    return "walk" if "latent" in kinds else None


def write_page(
    folder: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    model: Any,
    *,
    title: str | None = None,
) -> Path:
    """Writes a static page that runs .tflite files of a model in the browser.

    The page takes the files' first signature that it can show; files of other signatures are left out, and of
    several sizes the page offers the choice. What else is in the folder stays, LiteRT.js among it.

    Args:
        folder: where to; made if it is not there.
        files: what `to_tflite` wrote for the model.
        model: the Keras model, for what the inputs mean.
        title: the page's heading; None takes the name of the model's class.

    Returns:
        The path of index.html.

    Raises:
        ValueError: no file that a page can show, or a type of input or output that LiteRT.js does not know.
        OSError: the folder cannot be written.
        ImportError: the LiteRT runtime is not installed.
    """
    folder, paths = Path(folder), [Path(file) for file in files]
    known = signatures(model)
    found = {path: _describe(path) for path in paths}
    names = [name for described in found.values() for name in described if name in known]
    signature = next((known[name] for name in names if page_kind(known[name])), None)
    if signature is None:
        raise ValueError(
            "A page needs a .tflite file that makes an image of images or of latents; received "
            f"{', '.join(f'{path.name} ({name})' for path in paths for name in found[path]) or 'no file'}."
        )
    paths = [path for path in paths if signature.name in found[path]]
    for path in paths:
        _check(path, signature, found[path][signature.name])
    manifest = {
        "title": title or type(model).__name__,
        "kind": page_kind(signature),
        "signature": signature.name,
        "files": [_size(path, found[path][signature.name], signature) for path in paths],
        "inputs": [_entry(port) for port in signature.inputs],
        "outputs": [_entry(port) for port in signature.outputs],
    }
    for source in [*_sources(), *paths]:
        _copy(source, folder / source.name)
    # Last: a page that is read meanwhile finds what it names.
    atomic.write_json(folder / "model.json", manifest)
    return folder / "index.html"


def next_steps(folder: str | os.PathLike[str]) -> list[str]:
    """The commands that show a page that `write_page` wrote; LiteRT.js is fetched where it is not there."""
    there = (Path(folder) / "node_modules" / "@litertjs" / "core").is_dir()
    place = shlex.quote(str(folder))
    install = [] if there else [f"npm install --prefix {place}"]
    return [*install, f"python -m http.server --directory {place} 8000"]


def _describe(path: Path) -> dict[str, dict[str, dict[str, tuple[str, tuple[int, ...]]]]]:
    """By signature, "inputs" or "outputs", and name: type and shape."""
    try:
        interpreter = flatbuffer.runtime().Interpreter(str(path))
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a .tflite file that can be read: {error}") from error

    def typed(details: dict[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
        return {
            name: (each["dtype"].__name__, tuple(map(int, each["shape"]))) for name, each in details.items()
        }

    described = {}
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        described[name] = {
            "inputs": typed(runner.get_input_details()),
            "outputs": typed(runner.get_output_details()),
        }
    return described


def _check(path: Path, signature: Signature, described: dict[str, Any]) -> None:
    for side, ports in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        expected = {port.name for port in ports}
        if set(described[side]) != expected:
            raise ValueError(
                f"{path.name} has the {side} {', '.join(sorted(described[side]))}; the model's signature "
                f"{signature.name!r} has {', '.join(sorted(expected))}: export it from this model."
            )
        for name, (dtype, _) in described[side].items():
            if dtype not in _DTYPES:
                raise ValueError(
                    f"LiteRT.js cannot take the {dtype} of {name!r} in {path.name}: export with inputs and "
                    "outputs in float32 or uint8."
                )


def _size(path: Path, described: dict[str, Any], signature: Signature) -> dict[str, Any]:
    picture = next(port.name for port in signature.outputs if port.kind == "image")
    _, (_, height, width, _) = described["outputs"][picture]
    return {"file": path.name, "width": width, "height": height}


def _entry(port: Port) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": port.name, "kind": port.kind}
    if port.labels:
        entry["labels"] = list(port.labels)
    if port.bounds:
        entry["bounds"] = list(port.bounds)
    return entry


def _sources() -> list[Path]:
    packaged = Path(__file__).parent / "page"
    folder = packaged if packaged.is_dir() else Path(__file__).parent.parent / "examples" / "web"
    return [*(path for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES), folder / "package.json"]


def _copy(source: Path, target: Path) -> None:
    if source.resolve() != target.resolve():
        with atomic.replacing(target) as partial:
            shutil.copyfile(source, partial)
