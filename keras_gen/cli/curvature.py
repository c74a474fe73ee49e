"""`keras-gen curvature RUN`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_gen.cli.console import console, say, start_tensorflow


def curvature(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    data: Annotated[str | None, typer.Option(help="Data spec.  [default: the run's]")] = None,
    split: Annotated[
        str | None, typer.Option(help="Images to take.  [default: those that it was trained on]")
    ] = None,
    batches: Annotated[int, typer.Option(help="Batches that the losses are means over.")] = 1,
    batch_size: Annotated[int | None, typer.Option(help="Images in a batch.  [default: the run's]")] = None,
    probes: Annotated[int, typer.Option(help="Random vectors for the density.")] = 2,
    iterations: Annotated[int, typer.Option(help="Lanczos iterations for each.")] = 24,
    top: Annotated[int, typer.Option(help="Eigenvalues of largest magnitude.")] = 5,
    damping: Annotated[
        float | None, typer.Option(help="Of the filter shown.  [default: that of the run's correction, or 1]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random vectors.")] = 0,
    checkpoint: Annotated[str, typer.Option(help="last or best.")] = "last",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw the spectra of each player's loss and of their game: RUN/curvature.png and curvature.json.

    Eigenvalue density, largest eigenvalues, trace, the singularity correction's filter; and how much the
    game rotates.
    """
    start_tensorflow()
    from keras_gen.runs.curvature import measure_curvature
    from keras_gen.runs.folder import Run

    found = Run(run)
    measured = measure_curvature(
        found,
        data=data,
        split=split,
        which=checkpoint,
        batches=batches,
        batch_size=batch_size,
        say=(lambda message: None) if as_json else say,
        probes=probes,
        iterations=iterations,
        top=top,
        damping=damping,
        seed=seed,
    )
    if as_json:
        typer.echo(json.dumps(measured, indent=2))
        return
    _print(measured)
    say(f"Kept in {found.folder / 'curvature.json'}, drawn in {found.folder / 'curvature.png'}")


def _print(measured: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=f"Step {measured['step']}, {measured['images']} images of {measured['split']}")
    for column in ("player", "largest eigenvalues", "smallest seen", "trace", "negative", "near zero"):
        table.add_column(column, justify="left" if column == "player" else "right")
    for name, player in measured["players"].items():
        table.add_row(
            name,
            " ".join(f"{value:.3g}" for value in player["top_eigenvalues"]),
            f"{player['smallest']:.3g}",
            f"{player['trace']:.3g} ± {player['standard_error']:.2g}",
            f"{player['negative_share']:.1%}",
            f"{player['null_share']:.1%}",
        )
    console().print(table)
    if (game := measured["game"]) is not None:
        say(f"Rotation of the game between {' and '.join(game['players'])}: {game['rotation']:.2f}")
