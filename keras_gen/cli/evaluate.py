"""`keras-gen evaluate RUN`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_gen.cli.console import console, say, start_tensorflow


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    samples: Annotated[
        int | None, typer.Option("-n", "--samples", help="Images to draw.  [default: as many as real ones]")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Real images to compare with.  [default: test, where there is one]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the samples.")] = 0,
    checkpoint: Annotated[str, typer.Option(help="last or best.")] = "last",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a trained model on the test split: losses, Fréchet distance, a VAE's likelihood and more.

    Kept in RUN/evaluation.json.
    """
    start_tensorflow()
    from keras_gen import runs

    found = runs.Run(run)
    measured = runs.evaluate(
        found,
        which=checkpoint,
        split=split,
        samples=samples,
        seed=seed,
        say=(lambda message: None) if as_json else say,
    )
    if as_json:
        typer.echo(json.dumps(measured, indent=2))
        return
    print_evaluation(measured)
    say(f"Kept in {found.evaluation}")


def print_evaluation(measured: dict[str, Any]) -> None:
    """The table of what was measured."""
    from rich.table import Table

    table = Table(title=f"Epoch {measured['epoch']}, step {measured['step']}, on {measured['split']}")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for name, value in {**measured["losses"], **measured["measures"]}.items():
        table.add_row(name.replace("_", " "), f"{value:.4f}" if isinstance(value, float) else str(value))
    console().print(table)
    say(
        f"Fréchet distance {measured['frechet_distance']:.2f} between {measured['samples']} samples and "
        f"{measured['images']} images, in the feature space {measured['feature_space']}"
    )
