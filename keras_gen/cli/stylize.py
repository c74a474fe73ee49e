"""`keras-gen stylize photo.jpg --style great-wave -o out.png`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_gen.cli.console import bar, counted, say, show, start_tensorflow

_SHEET_SIZE = 512


def stylize(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE…", help="Image files, folders of them, or - for a pipe.")
    ],
    style: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            "-s",
            metavar="NAME[=WEIGHT]",
            help="A style, or the file of a painting; repeatable, as in --style a=0.3 --style b=0.7, whose "
            "weights count by their ratio.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="File to write, folder for several, or -.  [default: IMAGE-STYLE, here]"
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="fast, adain or gatys.  [default: fast for names, adain for paintings]"),
    ] = None,
    strength: Annotated[float, typer.Option(help="From 0, the image as it is, to 1.")] = 1.0,
    texture: Annotated[
        float | None,
        typer.Option(
            help="Strokes and grain laid in plain parts: from 0, calm skies, to 1.  [default: 0 where a "
            "network has learned calm pictures, or with restraint any painting's, else 1]"
        ),
    ] = None,
    preserve_color: Annotated[
        bool, typer.Option("--preserve-color", help="Keep the image's colours; the style gives brightness.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            min=16,
            help="Longer side in pixels, smaller or larger.  [default: the image's; of gatys and --sheet at "
            "most 512]",
        ),
    ] = None,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="One picture that shows the image in every style.")
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of gatys.  [default: 150]")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="VGG's weights for gatys: auto, imagenet, hed, or a file.  [default: auto]"),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Run of train-style, or a .keras file, in place of the package's.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Paint images in the style of a painting, at any size.

    Transparency is kept. In folders, what is there already is left out, and what is damaged is named.
    """
    from keras_gen import pictures

    optimization = {name: given for name, given in (("steps", steps), ("backbone", backbone)) if given}
    if sheet and (style or optimization or method not in (None, "fast")):
        raise ValueError(
            "--sheet shows all styles of a network: leave out --style, --method, --steps, --backbone."
        )
    pairs, folder = _pairs(images, out, sheet, style or [])
    _refuse_sources(pairs)
    if pairs[0][1] == pictures.PIPE and sys.stdout.isatty():
        raise ValueError("Standard output is a terminal: send the picture to a file, e.g. `> out.png`.")
    if not folder:
        try:
            pictures.format_of(pairs[0][1])
        except ValueError as error:
            raise ValueError(f"{error} A folder's name must end in a slash, e.g. painted/.") from None
    pictures.refuse_existing(pairs[0][1], force or folder)  # in folders what is there is left out
    start_tensorflow()
    from keras_gen.style import painter

    tell = _quiet if any(target == pictures.PIPE for _, target in pairs) else say
    painters: dict[str, Any] = {}
    if sheet:
        painters = painter.every(model, texture, strength=strength, preserve_color=preserve_color)
        paint: Any = lambda pixels, progress: painter.sheet(painters, pixels, progress)  # noqa: E731
    else:
        paint = painter.choose(
            style or [],
            method,
            model,
            optimization,
            texture,
            strength=strength,
            preserve_color=preserve_color,
        )
    # Of its own accord it makes no picture larger.
    longest = size or (_SHEET_SIZE if sheet else paint.size)
    missing = pairs if force or not folder else [pair for pair in pairs if not Path(pair[1]).exists()]
    there, failed = len(pairs) - len(missing), []
    with bar("painting") as advance:
        for done, (source, target) in enumerate(missing, 1):
            if folder and not force and Path(target).exists():  # another run may paint the same folder
                there += 1
                continue
            try:
                picture = pictures.read(source)
                if longest is not None and (size is not None or max(picture.pixels.shape[:2]) > longest):
                    picture = picture.resized(longest)
                _one(paint, picture, target, force, painters, advance if not folder else _nothing)
            except (ValueError, OSError) as error:
                if not folder:
                    raise
                failed.append(source)
                show(f"{error} It is left out.", kind="Warning", style="yellow")
            if folder:
                advance(done, len(missing))
    painted = len(pairs) - len(failed) - there
    if folder:
        skipped = f"; {counted(there, 'file')} there before, of whatever style, kept (--force replaces)"
        tell(f"{counted(painted, 'image')} in {out}" + (skipped if there else ""))
    else:
        tell(str(pairs[0][1]))
    if failed:
        others = "; the others are there" if len(failed) < len(pairs) else ""
        raise ValueError(f"{len(failed)} of {counted(len(pairs), 'image')} could not be painted{others}.")


def _one(
    paint: Any, picture: Any, target: str, force: bool, painters: dict[str, Any], advance: Callable
) -> None:
    """Paints a picture and writes it; by several painters, which make a sheet."""
    from keras_gen import pictures
    from keras_gen.style.painter import sheet_size

    size = picture.pixels.shape[:2]
    if painters:
        size = sheet_size(painters, size)
    pictures.check_size(pictures.format_of(target), size)  # before minutes of painting
    if painters:
        made = pictures.Picture(paint(picture.over_white, advance))
    else:
        made = picture._replace(pixels=paint(picture.pixels, advance))
    pictures.write(made, target, force)


def _pairs(
    images: list[str], out: str | None, sheet: bool, style: list[str]
) -> tuple[list[tuple[str, str]], bool]:
    """What to read and where to write it, and whether that is a folder."""
    from keras_gen.pictures import PIPE, find, is_named, same_ending

    named = (one if Path(one).is_file() else one.rpartition("=")[0] or one for one in style)
    name = "sheet" if sheet else "+".join(Path(one).stem for one in named)
    folder = len(images) > 1 or Path(images[0]).is_dir()
    if not folder:
        if images[0] != PIPE:
            find(images[0])  # which tells where it is not there
        if out is not None and out != PIPE and (Path(out).is_dir() or out.endswith("/")):
            out = str(Path(out) / same_ending(Path(images[0]).name))
        if out is None:
            source = Path(images[0])
            out = PIPE if images[0] == PIPE else same_ending(f"{source.stem}-{name}{source.suffix}")
        return [(images[0], out)], False
    if PIPE in images:
        raise ValueError("- is one image by itself: give it alone.")
    found = [(Path(image), find(image)) for image in images]  # which tells where there are none
    if out is None or out == PIPE or (Path(out).exists() and not Path(out).is_dir()):
        raise ValueError("Several images go into a folder: name one by --out.")
    if is_named(out) and not out.endswith("/") and not Path(out).exists():
        raise ValueError(
            f"Several images go into a folder, and {out} is the name of an image: name one, e.g. painted/."
        )
    pairs, into = [], Path(out).resolve()
    for root, paths in found:
        for path in paths:
            if root.resolve() in into.parents and into in path.resolve().parents:
                continue  # painted already
            inner = path.relative_to(root) if root.is_dir() else Path(path.name)
            pairs.append((str(path), str(Path(out) / same_ending(inner))))
    if not pairs:
        raise FileNotFoundError(f"There are no images in {', '.join(images)} but those painted, in {out}.")
    taken = [target for _, target in pairs]
    twice = next((target for target in taken if taken.count(target) > 1), None)
    if twice is not None:
        raise ValueError(f"Two images would both become {twice}: paint their folders one at a time.")
    return pairs, True


def _refuse_sources(pairs: list[tuple[str, str]]) -> None:
    """Raises a ValueError where a picture would take the place of one of the photographs."""
    from keras_gen.pictures import PIPE

    sources = {Path(source).resolve() for source, _ in pairs if source != PIPE}
    for _, target in pairs:
        if target != PIPE and Path(target).resolve() in sources:
            raise ValueError(
                f"{target} cannot be read and written at once, even by --force: name another place by --out."
            )


def _quiet(message: str) -> None:
    """Standard output is the picture."""


def _nothing(done: int, total: int | None) -> None:
    """The bar counts images, not tiles."""
