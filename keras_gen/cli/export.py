"""`keras-gen export RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_gen.cli.console import say, start_tensorflow

if TYPE_CHECKING:
    from keras_gen.runs.trained import Trained

_FORMATS = ("saved-model", "tflite", "both")
_QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")
_IMAGES = 32  # real ones, to compare and to measure ranges on
_SIZE = 512  # of them, where any size goes
_LARGEST = 4096  # side of a TFLite file's images


def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="Run folder, .keras file, or the package's eight-styles or adain."
        ),
    ],
    format: Annotated[
        str, typer.Option("--format", "-f", help="saved-model for TF Serving, tflite for phones, or both.")
    ] = "both",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the model, to which a SavedModel adds its next version, or a version in it; or, "
            "of tflite, a .tflite file. TFLite files there are replaced.  [default: saved_models/NAME]",
        ),
    ] = None,
    signature: Annotated[
        list[str] | None,
        typer.Option(
            "--signature",
            "-s",
            help="What it is to do: generate, sample, encode, decode, reconstruct, stylize, …; repeatable.  "
            "[default: all in a SavedModel, the first in TFLite]",
        ),
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last or best.")] = "last",
    quantization: Annotated[
        str | None,
        typer.Option(
            "--quantization",
            "-q",
            help="Of TFLite: float32; float16, half the size; dynamic, int8 weights; or int8, weights and "
            "activations.  [default: float16]",
        ),
    ] = None,
    image_size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PIXELS|HEIGHTxWIDTH",
            help="Of TFLite, whose files have one size each; repeatable, a file for each. For models that "
            "take any size.  [default: 512]",
        ),
    ] = None,
    uint8: Annotated[
        bool, typer.Option("--uint8", help="TFLite takes and gives pixels from 0 to 255, as cameras do.")
    ] = False,
    representative: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Images that are like those to come, e.g. folder:photos: int8 measures ranges on them, and "
            "every export is compared on them.  [default: the run's data]",
        ),
    ] = None,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER",
            help="Of int8: a layer that stays float; repeatable. auto finds those that suffer.",
        ),
    ] = None,
    web: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write a page that runs the TFLite files in a browser."),
    ] = None,
) -> None:
    """Make files of a trained model that run without it: for TF Serving, and for phones and browsers.

    A SavedModel stands in saved_models/NAME/VERSION, with models.config and serve.sh beside NAME; a server
    that polls the folder takes the new version. TFLite files stand in saved_models/NAME. Each is compared
    with the model before it is there, and its report printed and kept. In a report, partitions are the parts
    that LiteRT's fast kernels (the XNNPACK delegate) run as a whole, and what is outside of them runs slower.

    Examples:

    keras-gen export runs/demo

    keras-gen export eight-styles --format tflite --image-size 256 --image-size 512 --uint8 --web page

    keras-gen export runs/vae --format tflite --signature decode --quantization int8
    """
    tflite_options = {
        "--quantization": quantization,
        "--image-size": image_size,
        "--uint8": uint8,
        "--keep-float": keep_float,
        "--web": web,
    }
    _check(format, out, quantization, tflite_options)
    _check_places(out, web)
    sizes = [_size(text) for text in image_size or []]
    start_tensorflow()
    from keras_gen.export.signatures import signatures
    from keras_gen.runs.trained import load_trained

    trained = load_trained(run, checkpoint)
    try:
        table = signatures(trained.model)
    except TypeError as error:
        raise ValueError(f"{run} cannot be exported: {error}") from error
    out = out or Path("saved_models") / trained.name
    takes_images = any(port.kind == "image" for each in table.values() for port in each.inputs)
    images = _images(trained, representative, quantization == "int8") if takes_images else None
    if format != "saved-model":
        from keras_gen.export.tflite import to_tflite

        reports = to_tflite(
            trained.model,
            _tflite_path(out, quantization or "float16", uint8, _one_size(table, signature, sizes)),
            quantization or "float16",
            image_size=sizes or None,
            signature=signature,
            images=images,
            representative=images if quantization == "int8" else None,
            keep_float="auto" if keep_float == ["auto"] else tuple(keep_float or ()),
            uint8=uint8,
        )
        if web is not None:
            from keras_gen.export.web import next_steps, write_page

            files = [report.path for report in reports]
            page = write_page(web, files, trained.model, title=trained.name)
            say("\n  ".join([f"{page} runs it in a browser:", *next_steps(web)]))
    if format != "tflite":
        from keras_gen.export.saved_model import to_saved_model

        to_saved_model(trained.model, out, signature=signature, images=images)


def _check(format: str, out: Path | None, quantization: str | None, tflite_options: dict[str, Any]) -> None:
    if format not in _FORMATS:
        raise ValueError(f"--format must be one of {', '.join(_FORMATS)}; received {format!r}.")
    given = next((name for name, value in tflite_options.items() if value), None)
    if format == "saved-model" and given:
        raise ValueError(f"{given} is of TFLite files: choose --format tflite or both.")
    if quantization is not None and quantization not in _QUANTIZATIONS:
        raise ValueError(
            f"--quantization must be one of {', '.join(_QUANTIZATIONS)}; received {quantization!r}."
        )
    if tflite_options["--keep-float"] and quantization != "int8":
        raise ValueError("--keep-float is for int8: add --quantization int8, or leave it out.")
    if out is not None and out.suffix == ".tflite" and format != "tflite":
        raise ValueError(f"{out} is a TFLite file: choose --format tflite, or a folder for --out.")


def _check_places(out: Path | None, web: Path | None) -> None:
    """Before minutes of work, that files and folders can be where they are wanted."""
    if out is not None and out.suffix == ".tflite" and out.is_dir():
        raise ValueError(f"{out} is a folder, and a TFLite file is a file: give another --out.")
    for option, folder in (("--out", out), ("--web", web)):
        if folder is not None and folder.suffix != ".tflite" and folder.is_file():
            raise ValueError(f"{folder} is a file, and {option} takes a folder: give another.")


def _size(text: str) -> tuple[int, int]:
    """ "512" or "384x512", height first, as height and width."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and 0 < int(side) <= _LARGEST for side in sides):
        raise ValueError(
            f"--image-size is pixels or HEIGHTxWIDTH, from 1 to {_LARGEST}, e.g. 512 or 384x512; received "
            f"{text!r}."
        )
    return int(sides[0]), int(sides[-1])


def _one_size(table: Any, signature: list[str] | None, sizes: list[tuple[int, int]]) -> str:
    """What a name says of the size of a model of any size; of several, `to_tflite` says it."""
    first = table.get(signature[0]) if signature else next(iter(table.values()))
    if first is None or len(sizes) > 1 or not any(None in port.shape for port in first.inputs):
        return ""
    height, width = sizes[0] if sizes else (_SIZE, _SIZE)
    return f"-{height}x{width}"


def _tflite_path(out: Path, quantization: str, uint8: bool, size: str) -> Path:
    if out.suffix == ".tflite":
        return out
    folder = out.parent if out.name.isdigit() else out
    pixels = "-uint8" if uint8 else ""
    return folder / f"{folder.resolve().name}-{quantization}{pixels}{size}.tflite"


def _images(trained: Trained, spec: str | None, needed: bool) -> Any:
    """Real images, of the network's size: those that are asked for, or the run's own where they are there."""
    from keras_gen import data, runs
    from keras_gen.cli.console import show

    if spec is not None:
        height, width, channels = getattr(trained.model, "image_shape", (_SIZE, _SIZE, 3))
        loaded = data.load(spec, (height, width), channels, batch_size=_IMAGES, drop_remainder=False)
        return next(iter(loaded)).numpy()
    if trained.settings is None:
        if needed:
            raise ValueError(
                "int8 measures ranges on images like those to come: give some by --representative, e.g. "
                "--representative folder:photos, or choose --quantization dynamic, which needs none."
            )
        return None
    try:
        return runs.first_images(trained.settings, _IMAGES, labels=False)[0]
    except (OSError, ValueError) as error:
        if needed:
            raise
        show(f"It is compared on random images, not the run's: {error}", kind="Warning", style="yellow")
        return None
