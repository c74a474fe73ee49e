"""`keras-gen interpolate RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_gen.cli.console import naming, say, start_tensorflow


def interpolate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    rows: Annotated[int, typer.Option("-n", "--rows", min=1, help="Pairs of latent vectors, one a row.")] = 8,
    steps: Annotated[int, typer.Option(min=2, help="Images in a row, both ends among them.")] = 9,
    out: Annotated[Path, typer.Option("--out", "-o", help="Image file to write.")] = Path("interpolated.png"),
    images: Annotated[
        bool, typer.Option("--images", help="Between images of the test split, by a VAE's encoder.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the latent vectors.")] = 0,
    checkpoint: Annotated[str, typer.Option(help="last or best.")] = "last",
) -> None:
    """Walk between pairs of latent vectors of a GAN or a VAE, as a grid."""
    start_tensorflow()
    import numpy as np

    from keras_gen.image import save_grid
    from keras_gen.runs import Run, first_images
    from keras_gen.walks import slerp

    found = Run(run)
    model = found.load(checkpoint)
    if images:
        if not hasattr(model, "encode"):
            raise ValueError(f"A {type(model).__name__} has no encoder: leave out --images.")
        real, labels = first_images(found.settings(), 2 * rows)
        encoded = model.encode(real, labels)
        ends = encoded[0] if isinstance(encoded, tuple) else encoded
    else:
        ends, labels = model.latents(2 * rows, seed), np.arange(2 * rows)
    if ends.dtype.kind != "f":
        raise ValueError(f"The latents of a {type(model).__name__} are codes, which have no points between.")
    half = len(ends) // 2
    points = slerp(ends[:half], ends[half : 2 * half], steps).swapaxes(0, 1)
    # A row keeps the class of its first image, or has one of its own.
    classes = (
        {"labels": np.repeat(np.asarray(labels)[:half], steps) % model.num_classes} if model.labelled else {}
    )
    made = model.generate(points.reshape(-1, points.shape[-1]), **classes)
    name = naming(out)
    save_grid(made, out, steps)
    say(f"{half} walks of {steps} images in {name}")
