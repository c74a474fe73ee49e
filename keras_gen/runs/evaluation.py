"""How good a run's model is: losses and Fréchet distance on images that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_gen import atomic
from keras_gen.metrics import FrechetDistance, feature_extractor
from keras_gen.runs.folder import Run
from keras_gen.runs.settings import Settings

_BATCH = 256
_MOST_SAMPLES = 10_000
_PREFERRED = ("test", "testing", "validation", "valid", "val")


def evaluate(
    run: Run,
    *,
    which: str = "last",
    split: str | None = None,
    samples: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Measures a checkpoint and writes `evaluation.json`.

    Args:
        run: the run.
        which: "last" or "best".
        split: the images to compare with; None takes the test split, or the one that it was trained on where
            there is no other.
        samples: how many to draw; None takes as many as there are real images, at most 10,000.
        seed: of the samples.
        say: is told what is being done, a line at a time.

    Returns:
        checkpoint, epoch, step, split, losses and measures (by name), frechet_distance, feature_space,
        images, samples and seed, as in the file.

    Raises:
        ValueError: fewer than two samples or images, an unknown split, a damaged checkpoint.
        FileNotFoundError: no run, no checkpoint, or no data.
    """
    if samples is not None and samples < 2:
        raise ValueError(f"A distance needs two samples or more; received {samples}.")
    settings = run.settings()
    which = run.available(which)
    model = run.load(which)
    split = split or unseen(settings, say)
    losses = model.evaluate(settings.in_order(split, settings.batch_size), verbose=0, return_dict=True)

    measures = model.measures(settings.in_order(split, _BATCH))

    labelled, name = settings.labelled()
    if labelled is None or model.image_shape != (28, 28, 1):
        say("Features of Inception v3, whose 88 MB are downloaded if they are not on this machine yet …")
    distance = FrechetDistance(feature_extractor(model.image_shape, labelled, fingerprint=name))
    images = 0
    for batch in settings.in_order(split, _BATCH, labels=False):
        distance.update_real(batch)
        images += len(batch)
    samples = min(images, _MOST_SAMPLES) if samples is None else samples
    latents = model.latents(samples, seed)
    for i in range(0, samples, _BATCH):
        distance.update_fake(model.generate(latents[i : i + _BATCH]))

    measured = {
        "checkpoint": which,
        "epoch": int(model.epoch.numpy()),
        "step": int(model.step.numpy()),
        "split": split,
        "losses": {name: float(value) for name, value in losses.items()},
        "measures": measures,
        "frechet_distance": float(distance.result()),
        "feature_space": distance.feature_space,
        "images": images,
        "samples": samples,
        "seed": seed,
    }
    atomic.write_json(run.evaluation, measured)
    return measured


def unseen(settings: Settings, say: Callable[[str], None] = lambda message: None) -> str:
    """The split that is best for measuring."""
    splits = settings.describe().splits
    for name in _PREFERRED:
        if name in splits:
            return name
    say(f"{settings.data} has no test split: measuring on {settings.split!r}, which the model has seen.")
    return settings.split
