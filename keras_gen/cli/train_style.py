"""`keras-gen train-style --styles FOLDER --content FOLDER --out RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_gen.cli.console import bar, say, start_tensorflow


def train_style(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder to make, or to resume; required.")
    ] = None,
    styles: Annotated[
        Path | None,
        typer.Option(
            help="Folder of paintings, a style each, called as its file; required but with --resume."
        ),
    ] = None,
    content: Annotated[
        str | None, typer.Option(help="Folder of photographs, or a data spec as of `train`; required.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint of --out, with its styles.")
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="How many in all.")] = 8000,
    width: Annotated[int, typer.Option(help="Of the network: 8, 16 or 32.")] = 16,
    separable: Annotated[
        bool, typer.Option("--separable/--full", help="Lighter residual blocks, or full ones.")
    ] = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Photographs a step.")] = 4,
    crop: Annotated[int, typer.Option(min=32, help="Side of the photographs' crops, a multiple of 4.")] = 256,
    painting_size: Annotated[
        int, typer.Option(min=32, help="Longer side of the paintings: strokes come out at this scale.")
    ] = 512,
    style_weight: Annotated[float, typer.Option(min=0, help="Style against content.")] = 10.0,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    backbone: Annotated[
        str, typer.Option(help="VGG's weights: auto, imagenet, hed, or a file of weights.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Train a network of one's own styles on photographs, into a run folder that `stylize --model` reads.

    Ctrl-C ends after the current step with a checkpoint; previews are in RUN/previews.
    """
    for name, given in (("--out", out), ("--content", content), ("--styles", styles if not resume else out)):
        if given is None:
            raise typer.BadParameter(f"it is missing, e.g. {name} folder", param_hint=name)
    assert out is not None  # by what is above
    if crop % 4:
        raise ValueError(f"--crop must be a multiple of 4, received {crop}.")
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is not empty: go on by --resume, or choose another --out.")
    start_tensorflow()
    import keras

    from keras_gen.style import training

    with bar("training") as advance:

        def report(batch: int, logs: dict[str, Any] | None) -> None:
            advance(int(model_of.model.step.numpy()), steps)

        model_of = keras.callbacks.LambdaCallback(on_train_batch_end=report)
        model = training.train_style(
            styles or "",
            str(content),
            out,
            steps=steps,
            width=width,
            separable=separable,
            batch_size=batch_size,
            crop=crop,
            painting_size=painting_size,
            style_weight=style_weight,
            precision_name=precision,
            backbone=backbone,
            seed=seed,
            resume=resume,
            callbacks=[model_of],
            say=say,
        )
    say(f"{len(model.styles)} styles after {int(model.step.numpy())} steps; previews: {out / 'previews'}")
    say(f"Try them: keras-gen stylize photo.jpg --model {out} --sheet")
