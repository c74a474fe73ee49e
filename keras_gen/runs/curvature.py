"""The curvature of a run's model: spectra of its players' losses and of their game, as JSON and PNG."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from keras_gen import atomic
from keras_gen.curvature.players import PlayersCurvature, draw, png
from keras_gen.runs.folder import Run
from keras_gen.runs.settings import absolute_spec


def measure_curvature(
    run: Run,
    *,
    data: str | None = None,
    split: str | None = None,
    which: str = "last",
    batches: int = 1,
    batch_size: int | None = None,
    say: Callable[[str], None] = lambda message: None,
    **options: Any,
) -> dict[str, Any]:
    """Measures a checkpoint and writes `curvature.json` and `curvature.png` into the run folder.

    Args:
        run: the run.
        data: a data spec; None takes the run's.
        split: None takes the one that the model was trained on.
        which: "last" or "best".
        batches: how many batches the losses are means over, the first of the split.
        batch_size: None takes the run's.
        say: is told what is being done, a line at a time.
        **options: of `PlayersCurvature.measure`.

    Returns:
        What that gives, and checkpoint, epoch, step, data, split, images, and seconds.

    Raises:
        ValueError: a number below one, a model without curvature, an unknown split, a damaged checkpoint.
        FileNotFoundError: no run, no checkpoint, or no data.
        FloatingPointError: a loss that is NaN or infinite.
    """
    settings = run.settings()
    batch_size = settings.batch_size if batch_size is None else batch_size
    if batches < 1 or batch_size < 1:
        raise ValueError(f"batches and batch size must be 1 or more; received {batches} and {batch_size}.")
    model = run.load(which)
    if data is not None:
        settings = dataclasses.replace(settings, data=absolute_spec(data))
    split = split or settings.split
    taken = list(settings.in_order(split, batch_size).take(batches))
    images = sum(len(batch[0] if isinstance(batch, tuple) else batch) for batch in taken)
    begun = time.monotonic()
    measured = PlayersCurvature(model, taken).measure(say=say, **options)
    measured = {
        "checkpoint": which,
        "epoch": int(model.epoch.numpy()),
        "step": int(model.step.numpy()),
        "data": settings.data,
        "split": split,
        "images": images,
        "seconds": round(time.monotonic() - begun, 1),
        **measured,
    }
    atomic.write_json(run.folder / "curvature.json", measured)
    with atomic.replacing(run.folder / "curvature.png") as path:
        path.write_bytes(png(draw(measured)))
    return measured
