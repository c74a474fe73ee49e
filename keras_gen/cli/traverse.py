"""`keras-gen traverse RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_gen.cli.console import naming, say, start_tensorflow


def traverse(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    units: Annotated[
        int, typer.Option("-n", "--units", min=1, help="Most latent units to show, one a row.")
    ] = 10,
    steps: Annotated[int, typer.Option(min=2, help="Images in a row.")] = 9,
    reach: Annotated[float, typer.Option(help="From minus to plus so many standard deviations.")] = 3.0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Image file to write.")] = Path("traversed.png"),
    seed: Annotated[int, typer.Option(help="Of the latent vector to begin at.")] = 0,
    checkpoint: Annotated[str, typer.Option(help="last or best.")] = "last",
) -> None:
    """Move one latent unit at a time: what each stands for. Of a VAE, the most active first."""
    start_tensorflow()
    import numpy as np

    from keras_gen import walks
    from keras_gen.image import save_grid
    from keras_gen.runs import Run, first_images

    found = Run(run)
    model = found.load(checkpoint)
    point = model.latents(1, seed)[0]
    if point.dtype.kind != "f":
        raise ValueError(
            f"The latents of a {type(model).__name__} are codes, which cannot be moved by degrees."
        )
    order = np.arange(model.latent_dim)
    if hasattr(model, "encode"):
        real, labels = first_images(found.settings(), 1000)
        order = np.argsort(-model.encode(real, labels)[0].var(axis=0))
    chosen = order[:units]
    points = walks.traverse(point, chosen, steps, reach)
    classes = {"labels": np.zeros(len(chosen) * steps, int)} if model.labelled else {}
    made = model.generate(points.reshape(-1, model.latent_dim), **classes)
    name = naming(out)
    save_grid(made, out, steps)
    say(f"Latent units {', '.join(map(str, chosen))}, a row each, in {name}")
