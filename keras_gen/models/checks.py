"""Checks within a training graph, and what their failures say to a user."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

NON_FINITE = "keras_gen:non-finite"
OUT_OF_RANGE = "keras_gen:out-of-range"
UNEVEN = "keras_gen:uneven"
LABEL = "keras_gen:label"


def _failed_check(marker: str, message: str) -> tuple[str, str] | None:
    """What a check reported after its marker: in graphs as `[marker] [what] [step]`, eagerly in lines."""
    found = re.search(rf"{marker}\]\s*\[(.+?)\]\s*\[(\d+)\]", message) or re.search(
        rf"{marker}'\s+(?:b')?(.+?)'?\n(\d+)", message
    )
    return None if found is None else (found[1], found[2])


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turns the in-graph checks' failures into errors that a user can act on."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = _failed_check(NON_FINITE, str(error))
        if found:
            name, step = found
            raise FloatingPointError(
                f"{name} is NaN or infinite at step {step}; the update was stopped before it touched a "
                "weight. Go on from the last checkpoint with a lower learning rate, gradient_clip_norm=1.0, "
                "or precision float32."
            ) from None
        found = _failed_check(UNEVEN, str(error))
        if found:
            raise ValueError(
                f"At step {found[1]} a batch could not be shared evenly among the replicas: make the global "
                "batch size a multiple of their number, and drop the remainder "
                "(keras_gen.data.load(..., drop_remainder=True))."
            ) from None
        found = _failed_check(LABEL, str(error))
        if found:
            raise ValueError(
                f"Labels must be from 0 to num_classes - 1; at step {found[1]} there is {found[0]}. "
                "Build the model with the data's num_classes."
            ) from None
        found = _failed_check(OUT_OF_RANGE, str(error))
        if found:
            largest, step = found
            raise ValueError(
                f"Images must be in [-1, 1]; at step {step} the largest magnitude is {largest}. For images "
                "in 0..255 use images / 127.5 - 1, or load them with keras_gen.data.load."
            ) from None
        raise
