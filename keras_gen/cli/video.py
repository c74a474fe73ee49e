"""`keras-gen video IN OUT --style great-wave`, and `keras-gen video --walk RUN OUT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_gen.cli.console import bar, counted, say, show, start_tensorflow

_OF_FILMS = ("style", "method", "strength", "texture", "preserve_color", "size", "momentum", "model")
_OF_WALKS = ("n", "points", "seconds", "rate", "seed", "checkpoint")


def video(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="[IN] OUT", help="Video files; the ending of OUT says its format.")
    ],
    style: Annotated[
        list[str] | None,
        typer.Option("--style", "-s", metavar="NAME[=WEIGHT]", help="As in `stylize`; repeatable."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="fast or adain.  [default: fast for names, adain for paintings]")
    ] = None,
    strength: Annotated[float, typer.Option(help="From 0, the film as it is, to 1.")] = 1.0,
    texture: Annotated[
        float,
        typer.Option(help="As in `stylize`; it stands still on the screen, whatever moves."),
    ] = 0.0,
    preserve_color: Annotated[
        bool, typer.Option("--preserve-color", help="Keep the film's colours; the style gives brightness.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            min=16,
            help="Longer side in pixels, smaller or larger, made even but for .gif.  [default: the film's]",
        ),
    ] = None,
    momentum: Annotated[
        float | None,
        typer.Option(
            help="Against flicker: share of the frame before, from 0 (sharpest) to below 1 (steadiest).  "
            "[default: 0.84]"
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Run of train-style, or a .keras file, in place of the package's.")
    ] = None,
    walk: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Show walks between latent vectors of this run.")
    ] = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="Walks side by side.")] = 16,
    points: Annotated[
        int, typer.Option(min=2, help="Latent vectors on a walk, which ends where it began.")
    ] = 6,
    seconds: Annotated[float, typer.Option(help="Of a walk.")] = 12.0,
    rate: Annotated[float, typer.Option(help="Frames a second of a walk.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Of the latent vectors.")] = 0,
    checkpoint: Annotated[str, typer.Option(help="Of the walk's run: last or best.")] = "last",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Paint a film in a style, without flicker and with its sound; or film a walk through a latent space.

    OUT is an .mp4, .m4v, .mov, .mkv, .webm or .gif. Needs `pip install "keras-gen[video]"`.
    """
    wanted = 1 if walk is not None else 2
    if len(files) != wanted:
        asked = "--walk RUN takes one file, OUT" if walk is not None else "it takes two files, IN and OUT"
        raise typer.BadParameter(f"{asked}; received {len(files)}", param_hint="[IN] OUT")
    others = _OF_WALKS if walk is None else _OF_FILMS
    why = "it is only for --walk RUN" if walk is None else "it paints a film, not a --walk"
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name))
        if option.name in others and given is not None and given.name == "COMMANDLINE":
            raise typer.BadParameter(why, param_hint=max(option.opts, key=len))
    from keras_gen.video import check

    check(files[-1], force, files[0] if walk is None else None)
    start_tensorflow()
    if walk is not None:
        _walk(walk, files[0], n, points, seconds, rate, seed, checkpoint, force)
        return
    from keras_gen.style import painter
    from keras_gen.style.video import RecurrentBlend, stylized
    from keras_gen.video import transform

    if method == "gatys":
        raise ValueError("The method gatys takes minutes for a frame: take fast or adain for a film.")
    if not style:
        names = ", ".join(painter.every(model))
        raise ValueError(f"Name a --style, or give the file of a painting by it. There are: {names}.")
    paint = painter.choose(
        style, method, model, texture=texture, strength=strength, preserve_color=preserve_color
    )
    blend = RecurrentBlend() if momentum is None else RecurrentBlend(momentum)
    with bar("painting") as advance:
        report = transform(files[0], files[1], stylized(paint, blend, size), force, advance)
    for noted, said in (
        (report.broken, f"{counted(report.broken, 'frame')} could not be read: others are shown for it"),
        (report.converted, f"{counted(report.converted, 'sound track')} had to be encoded anew"),
        (report.lost, f"{counted(report.lost, 'sound track')} could not be kept: {files[1]} takes none such"),
        (report.gaps, f"{counted(report.gaps, 'piece')} of sound could not be kept: silence is heard for it"),
        (report.cut, "it ends before the end that it announces, cut short or damaged"),
    ):
        if noted:
            show(f"{files[0]}: {said}.", kind="Warning", style="yellow")
    sound = "with its sound" if report.sound + report.converted else "silent"
    say(f"{counted(report.frames, 'frame')} in {files[1]}, {sound}")


def _walk(
    run: Path,
    out: Path,
    n: int,
    points: int,
    seconds: float,
    rate: float,
    seed: int,
    checkpoint: str,
    force: bool,
) -> None:
    from keras_gen.runs import Run
    from keras_gen.style.settings import began
    from keras_gen.video import write
    from keras_gen.walks import film

    if began(Run(run)):
        raise ValueError(f"{run} is a run of train-style, which has no latents to walk through.")
    model = Run(run).load(checkpoint)
    if not 0 < rate <= 120 or not 0 < seconds <= 3600:
        raise ValueError(
            f"--rate and --seconds must be from above 0 to 120 and 3600; received {rate}, {seconds}."
        )
    steps = max(1, round(seconds * rate / points))
    with bar("walking") as advance:
        count = write(
            film(model, n, points, steps, seed, lambda done, of: advance(done, of)), out, rate, force
        )
    say(f"{counted(n, 'walk')} of {counted(count, 'frame')} in {out}")
