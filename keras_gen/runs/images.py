"""The first images of a run's data, as arrays."""

from __future__ import annotations

import numpy as np

from keras_gen.runs.evaluation import unseen
from keras_gen.runs.settings import Settings


def first_images(
    settings: Settings, n: int, split: str | None = None, labels: bool | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The first images of a split, in the order of the source.

    Args:
        settings: of the run.
        n: how many, at most.
        split: None takes the test split where there is one.
        labels: whether labels are wanted; None gives them if the model takes them.

    Returns:
        Images (n, height, width, channels) in [-1, 1], and labels (n,) or None.

    Raises:
        ValueError: n below one, or an unknown split.
    """
    if n < 1:
        raise ValueError(f"The number of images must be 1 or more; received {n}.")
    options = {} if labels is None else {"labels": labels}
    batch = next(iter(settings.in_order(split or unseen(settings), n, **options)))
    if isinstance(batch, tuple):
        return batch[0].numpy(), batch[1].numpy()
    return batch.numpy(), None
