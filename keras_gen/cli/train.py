"""`keras-gen train MODEL --data SPEC --epochs N --out RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_gen.cli.console import console, parse_assignments, say, start_tensorflow


def train(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="Name of a model; see `keras-gen list`. Required but with --resume."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder to make, or to resume; required.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "-d",
            help="digits, idx:FOLDER, folder:PATH, npz:FILE or tfds:NAME; required but with --resume.",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", "-e", help="Last epoch.  [default: 20]")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint of --out, with its settings.")
    ] = False,
    batch_size: Annotated[int | None, typer.Option(help="Images in a batch.  [default: 64]")] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option(help="Batches in an epoch, for short trials.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="auto, float32 or bfloat16.  [default: auto: bfloat16 where it is fast]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.  [default: drawn]")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Networks; see `keras-gen list`.  [default: the model's]")
    ] = None,
    latent_dim: Annotated[
        int | None, typer.Option(help="Length of the latent vectors.  [default: the preset's]")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the model; repeatable."),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Pixels of height and width.  [default: the data's]")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="1 (grey) or 3 (colour).  [default: the data's]")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Images to train on.  [default: train]")] = None,
    crop: Annotated[str | None, typer.Option(help="center or random.  [default: center]")] = None,
    flip: Annotated[bool | None, typer.Option("--flip/--no-flip", help="Mirror images at random.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of prepared tensorflow-datasets.")] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            help="Decay of the weights' moving average, 0 for none.  [default: up to 0.999, by steps]"
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of all players.  [default: the model's]")
    ] = None,
    gradient_clip: Annotated[
        float | None, typer.Option(help="Largest norm of a gradient.  [default: none]")
    ] = None,
    frechet_samples: Annotated[
        int | None,
        typer.Option(
            help="Samples of each epoch's Fréchet distance, which decides the best; 0: none.  [default: 1000]"
        ),
    ] = None,
) -> None:
    """Train a model on images, into a run folder.

    Ctrl-C ends after the current step with a checkpoint; a second one ends at once.
    """
    given: dict[str, Any] = {
        "model": model,
        "data": data,
        "epochs": epochs,
        "steps_per_epoch": steps_per_epoch,
        "batch_size": batch_size,
        "preset": preset,
        "latent_dim": latent_dim,
        "options": parse_assignments(option) or None,
        "image_size": image_size,
        "channels": channels,
        "split": split,
        "crop": crop,
        "flip": flip,
        "data_dir": None if data_dir is None else str(data_dir),
        "precision": precision,
        "seed": seed,
        "ema": ema,
        "learning_rate": learning_rate,
        "gradient_clip": gradient_clip,
        "frechet_samples": frechet_samples,
    }
    given = {name: value for name, value in given.items() if value is not None}
    start_tensorflow()
    from keras_gen import runs
    from keras_gen.models.registry import MODELS, look_up
    from keras_gen.precision import resolve

    if model is not None:
        look_up("model", model, MODELS)
    if out is None:
        raise typer.BadParameter("the run folder is missing, e.g. --out runs/a", param_hint="--out")
    if not resume:
        for name, hint in (("model", "MODEL"), ("data", "--data")):
            if name not in given:
                raise typer.BadParameter("it is missing (only --resume knows it)", param_hint=hint)

    run = runs.Run(out)
    with run.resumed(given) if resume else run.new(runs.Settings(**given)) as settings:
        say(f"{settings.model} on {settings.data}, into {out}.")
        say(
            resolve(precision or "auto")[1]
            if not resume
            else f"Computing in {settings.precision}, as before."
        )
        runs.train(run, settings, resume=resume, console=console(), say=say)
    say(f"Samples: {out / 'samples'}; losses: {run.losses}; checkpoints: {run.checkpoints}")
