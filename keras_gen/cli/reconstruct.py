"""`keras-gen reconstruct RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_gen.cli.console import naming, say, start_tensorflow


def reconstruct(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a VAE.")],
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many images.")] = 32,
    out: Annotated[Path, typer.Option("--out", "-o", help="Image file to write.")] = Path(
        "reconstructed.png"
    ),
    mask: Annotated[
        str | None,
        typer.Option(help="Hide center, left, right, top, bottom, or a share such as 0.3, and fill it in."),
    ] = None,
    noise: Annotated[
        float | None, typer.Option(help="Add noise of this standard deviation (images are in -1..1).")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Images to take.  [default: test, if there is one]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of mask and noise.")] = 0,
    checkpoint: Annotated[str, typer.Option(help="last or best.")] = "last",
) -> None:
    """Show images beside what a VAE makes of them; with --mask it fills in, with --noise it denoises.

    Pairs in a grid: image, reconstruction; or image, what the model saw of it, reconstruction.
    """
    if mask is not None and noise is not None:
        raise ValueError("--mask and --noise are two tasks: give one of them.")
    start_tensorflow()
    import numpy as np

    from keras_gen.corruption import add_noise, known_pixels
    from keras_gen.image import save_grid
    from keras_gen.runs import Run, first_images

    found = Run(run)
    model = found.load(checkpoint)
    if not hasattr(model, "reconstruct" if mask is None else "impute"):
        task = "reconstruct images" if mask is None else "fill in missing pixels"
        raise ValueError(f"A {type(model).__name__} cannot {task}; a VAE can.")
    images, labels = first_images(found.settings(), n, split)
    if mask is not None:
        known = known_pixels(mask, model.image_shape, len(images), seed)
        seen, made = np.where(known, images, 0.0), model.impute(images, known, labels)
    else:
        seen = images if noise is None else add_noise(images, noise, seed)
        made = model.reconstruct(seen, labels)
    shown = [images, made] if mask is None and noise is None else [images, seen, made]
    grid = np.stack(shown, axis=1).reshape(-1, *model.image_shape)
    columns = len(shown) * max(1, round((len(images) / len(shown)) ** 0.5))
    error = float(np.square(made - images).mean())
    name = naming(out)
    save_grid(grid, out, columns)
    say(f"{len(images)} images, mean squared error {error:.4f}, in {name}")
