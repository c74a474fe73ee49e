"""`keras-gen demo`: from nothing to digits that a network invented, in a few minutes, and a painting."""

from __future__ import annotations

import itertools
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_gen.cli.console import console, say, start_tensorflow
from keras_gen.cli.evaluate import print_evaluation

_STEPS_PER_EPOCH = 62  # the 4,000 digits once, in batches of 64
_PICTURE, _STYLE = "aigues-mortes.jpg", "great-wave"  # Frédéric Bazille, The Ramparts at Aigues-Mortes, 1867


def demo(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Run folder to make.  [default: runs/demo, or the next free]"),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="Time for training; a slower machine takes fewer steps.")
    ] = 4.0,
    steps: Annotated[int, typer.Option(help="Most generator steps.")] = 1860,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Train WGAN-GP on 4,000 handwritten digits for a few minutes, measure its samples, and export it.

    Then a picture is painted in one of the package's styles.
    """
    if minutes <= 0 or steps < 1:
        raise ValueError(f"--minutes and --steps must be above zero; received {minutes} and {steps}.")
    start_tensorflow()
    from keras_gen import runs
    from keras_gen.callbacks import TimeBudget
    from keras_gen.image import save_grid
    from keras_gen.precision import resolve

    run = runs.Run(out or next_free(Path("runs/demo")))
    per_epoch = min(steps, _STEPS_PER_EPOCH)
    # Narrow networks, fast learning and few critic steps: what is most readable after minutes, not hours.
    settings = runs.Settings(
        "wgan-gp",
        "digits",
        preset="dcgan-small",
        epochs=-(-steps // per_epoch),
        steps_per_epoch=per_epoch,
        learning_rate=1e-3,
        options={"discriminator_steps": 2},
        ema=0.99,
        precision=precision,
        seed=seed,
    )
    with run.new(settings) as settings:
        say(
            f"WGAN-GP on the embedded digits, for {minutes:g} minutes, at most {settings.epochs} epochs of "
            f"{per_epoch} steps. "
            f"{resolve(precision)[1]}"
        )
        model = runs.train(
            run, settings, console=console(), more_callbacks=[TimeBudget(minutes * 60)], say=say
        )
        grid = save_grid(model.sample(64, seed), run.folder / "samples.png")
        measured = runs.evaluate(run, say=say)
    print_evaluation(measured)
    _export(model, run.folder / "saved_models" / "digits")
    painted = _paint(run.folder / f"{_STYLE}.png")
    say(f"Look at {grid} (digits that the network invented) and {run.losses} (its losses).")
    say(f"And at {painted}: a picture of the package, painted by another network of it.")
    say(f"More of them: keras-gen sample {run.folder} -n 100 --out grid.png")


def _export(model: Any, folder: Path) -> None:
    """Both ways, each compared with the model, their reports printed."""
    from keras_gen.export.saved_model import to_saved_model
    from keras_gen.export.tflite import to_tflite

    to_saved_model(model, folder)
    to_tflite(model, folder / "digits-float16.tflite")


def _paint(path: Path) -> Path:
    """The bundled picture in one of the package's styles."""
    from keras_gen import pictures
    from keras_gen.style import painter

    picture = pictures.read(Path(str(files("keras_gen.data"))) / _PICTURE)
    painted = painter.choose([_STYLE])(picture.pixels)
    pictures.write(picture._replace(pixels=painted), path, force=True)
    return path


def next_free(folder: Path) -> Path:
    """`runs/demo`, or `runs/demo-2`, … where that holds something."""
    names = itertools.chain([folder], (folder.with_name(f"{folder.name}-{i}") for i in itertools.count(2)))
    return next(path for path in names if not path.exists() or (path.is_dir() and not any(path.iterdir())))
