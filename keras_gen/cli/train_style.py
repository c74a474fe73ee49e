"""`keras-gen train-style --styles FOLDER --content FOLDER`."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_gen.cli.console import bar, counted, say, start_tensorflow


def train_style(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Run folder to make, or to resume.  [default: runs/ and the name of --styles]"
        ),
    ] = None,
    styles: Annotated[
        Path | None,
        typer.Option(
            help="Folder of paintings, or one's file: a style each, so called; required but by --resume."
        ),
    ] = None,
    content: Annotated[
        str | None,
        typer.Option(help="Folder of photographs, or a data spec as of `train`; required but by --resume."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the last checkpoint of --out, by its settings; content, crop, batch size, "
            "steps, learning rate and style weight may change.",
        ),
    ] = False,
    method: Annotated[
        str | None,
        typer.Option(
            help="fast: a network for these paintings; adain: one for any painting.  [default: fast]"
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="How many in all.  [default: fast 6000, adain 20000]")
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=1, help="Channels of the network: 8 is fast, 32 is fine.  [default: 16]")
    ] = None,
    decoder_width: Annotated[
        int | None, typer.Option(min=1, help="Of adain's decoder.  [default: 16]")
    ] = None,
    blocks: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Residual blocks at a quarter of a picture's size: more may paint better, and take longer.  "
            "[default: 5]",
        ),
    ] = None,
    calm_blocks: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of the network for calm pictures, which --temporal-weight trains.  [default: as --blocks]",
        ),
    ] = None,
    separable: Annotated[
        bool | None,
        typer.Option(
            "--separable/--full", help="Lighter residual blocks, or full ones.  [default: --separable]"
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Photographs a step.  [default: fast 4, adain 8]")
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=32, help="Side of the crops in pixels.  [default: fast 256, adain 128]"),
    ] = None,
    painting_size: Annotated[
        int | None,
        typer.Option(
            min=32, help="Longer side of the paintings: strokes come out at this scale.  [default: 512]"
        ),
    ] = None,
    style_weight: Annotated[
        float | None, typer.Option(min=0, help="Style against content.  [default: 15]")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            help="Of Muon at its highest; it falls along a cosine. Another one by --resume begins a new "
            "cosine there.  "
            "[default: fast 4e-3, adain 1e-3]",
        ),
    ] = None,
    restraint_weight: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Plain skies, faces and the painting's own colours, instead of strokes everywhere.  "
            "[default: fast 0, adain 1]",
        ),
    ] = None,
    temporal_weight: Annotated[
        float | None,
        typer.Option(
            min=0, help="Steadiness, for films and --texture 0; try 10.  [default: 0, at less cost a step]"
        ),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.  [default: auto]")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="VGG's weights: auto, imagenet, hed, or a file of weights.  [default: auto]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.  [default: 0]")] = None,
) -> None:
    """Train a network of one's own styles on photographs, into a run folder that `stylize --model` reads.

    Ctrl-C ends after the current step with a checkpoint; previews are in RUN/previews.
    """
    given = {
        "method": method,
        "styles": None if styles is None else str(styles),
        "content": content,
        "steps": steps,
        "width": width,
        "decoder_width": decoder_width,
        "blocks": blocks,
        "calm_blocks": calm_blocks,
        "separable": separable,
        "batch_size": batch_size,
        "crop": crop,
        "painting_size": painting_size,
        "style_weight": style_weight,
        "learning_rate": learning_rate,
        "restraint_weight": restraint_weight,
        "temporal_weight": temporal_weight,
        "precision_name": precision,
        "backbone": backbone,
        "seed": seed,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if out is None:
        if resume or styles is None:
            raise typer.BadParameter("it is missing, e.g. --out folder", param_hint="--out")
        source = styles.resolve()
        out = Path("runs") / (source.stem if source.is_file() else source.name)
    if not resume:
        for name in ("content", "styles"):
            if name not in given:
                raise typer.BadParameter(f"it is missing, e.g. --{name} folder", param_hint=f"--{name}")
    start_tensorflow()
    import keras

    from keras_gen.models.registry import look_up
    from keras_gen.runs.settings import option_name
    from keras_gen.style import adain_training, settings, training

    chosen = settings.recall(out, given) if resume else {"method": "fast", **given}
    functions: dict[str, Callable[..., Any]] = {
        "fast": training.train_style,
        "adain": adain_training.train_adain,
    }
    taken = str(chosen.pop("method"))
    train = look_up("method", taken, functions)
    for name in chosen:
        if name not in inspect.signature(train).parameters:
            raise ValueError(f"{option_name(name)} is not an option of --method {taken}: leave it out.")

    with bar("training") as advance:

        def report(batch: int, logs: dict[str, Any] | None) -> None:
            advance(int(model_of.model.step.numpy()), total)

        total = chosen.get("steps", inspect.signature(train).parameters["steps"].default)
        model_of = keras.callbacks.LambdaCallback(on_train_batch_end=report)
        model = train(**chosen, out=out, resume=resume, callbacks=[model_of], say=say)
    made = counted(len(model.styles), "style") if taken == "fast" else "A network for any painting"
    say(f"{made} after {counted(int(model.step.numpy()), 'step')}; previews: {out / 'previews'}")
    how = "--sheet" if taken == "fast" else "--style painting.jpg"
    say(f"Try it: keras-gen stylize photo.jpg --model {shlex.quote(str(out))} {how}")
