"""`keras-gen sample RUN -n 64 --out grid.png`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_gen.cli.console import naming, say, start_tensorflow


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    n: Annotated[int, typer.Option("-n", "--number", help="How many images.")] = 64,
    out: Annotated[Path, typer.Option("--out", "-o", help="Image file to write.")] = Path("grid.png"),
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same images.  [default: drawn]")
    ] = None,
    label: Annotated[
        int | None, typer.Option(help="The class, of a conditional model.  [default: each in turn]")
    ] = None,
    columns: Annotated[
        int | None, typer.Option(min=1, help="Images in a row.  [default: nearly square]")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last or best.")] = "last",
) -> None:
    """Draw images from a trained model, as a grid."""
    start_tensorflow()
    from keras_gen.image import save_grid
    from keras_gen.runs import Run

    model = Run(run).load(checkpoint)
    if label is not None and not model.labelled:
        raise ValueError(f"A {type(model).__name__} knows no classes: leave out --label.")
    images = model.sample(n, seed, **({} if label is None else {"labels": label}))
    name = naming(out)
    save_grid(images, out, columns)
    say(f"{n} images in {name}")
