"""`keras-gen embed RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_gen.cli.console import naming, say, start_tensorflow


def embed(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a VAE.")],
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="Most images.")] = 10_000,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, .npz.")] = Path("embedding.npz"),
    split: Annotated[
        str | None, typer.Option(help="Images to take.  [default: test, if there is one]")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last or best.")] = "last",
) -> None:
    """Encode images: an .npz file of `mean` and `log_variance` (or a VQ-VAE's `codes`), and `labels`."""
    if out.suffix != ".npz":
        raise ValueError(f"--out must end in .npz; received {out}.")
    start_tensorflow()
    import numpy as np

    from keras_gen import atomic
    from keras_gen.runs import Run, first_images

    found = Run(run)
    model = found.load(checkpoint)
    if not hasattr(model, "encode"):
        raise ValueError(f"A {type(model).__name__} has no encoder; a VAE has.")
    settings = found.settings()
    labelled = (settings.describe().num_classes or 0) > 0
    images, labels = first_images(settings, n, split, labels=labelled)
    encoded = model.encode(images, labels if model.labelled else None)
    names = ("mean", "log_variance") if isinstance(encoded, tuple) else ("codes",)
    arrays = dict(zip(names, encoded if isinstance(encoded, tuple) else (encoded,), strict=True))
    if labels is not None:
        arrays["labels"] = labels
    name = naming(out)
    with atomic.replacing(out) as path, path.open("wb") as file:
        np.savez(file, **arrays)
    say(f"{len(images)} images as {', '.join(f'{k} {v.shape}' for k, v in arrays.items())} in {name}")
