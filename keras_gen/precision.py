"""Which number format to compute in: bfloat16 where the hardware multiplies it, float32 elsewhere.

In bfloat16, weights, losses, scores, penalties, batch statistics and optimizer states stay float32: it is
Keras's `mixed_bfloat16` policy, and the networks' last layers are float32.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Iterator

import keras
import tensorflow as tf

from keras_gen.processor import bfloat16_unit

PRECISIONS = ("auto", "float32", "bfloat16")


def bfloat16_hardware() -> str | None:
    """The name of the unit that multiplies bfloat16 here, GPU before CPU; None where there is none."""
    for device in tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(device).get("compute_capability", (0, 0))
        return f"GPU of compute capability {capability[0]}.{capability[1]}" if capability >= (8, 0) else None
    if tf.config.list_physical_devices("TPU"):
        return "TPU"
    unit = bfloat16_unit()
    return unit and f"CPU with {unit}"


def resolve(precision: str = "auto") -> tuple[str, str]:
    """Chooses a number format.

    Args:
        precision: "auto", "float32" or "bfloat16".

    Returns:
        "float32" or "bfloat16", and a sentence that says why.

    Raises:
        ValueError: any other precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)}; received {precision!r}. float16 is left out: "
            "its range is too small for gradient penalties without loss scaling."
        )
    if precision == "float32":
        return precision, "Computing in float32, as asked."
    hardware = bfloat16_hardware()
    if precision == "bfloat16":
        # Convolutions are computed in float32 then, and take as long; depthwise ones take longer.
        slow = "" if hardware else ", though this hardware has no units for it: float32 is as fast"
        return precision, f"Computing in bfloat16, as asked{slow}."
    if hardware is None:
        return "float32", "Computing in float32: this hardware has no bfloat16 units."
    return "bfloat16", f"Computing in bfloat16 on a {hardware}; weights, losses and statistics stay float32."


@contextlib.contextmanager
def scope(precision: str) -> Iterator[str]:
    """Within it, networks are built for that precision, "auto" included; yields `resolve`'s sentence."""
    chosen, reason = resolve(precision)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if chosen == "bfloat16" else "float32")
    try:
        yield reason
    finally:
        keras.config.set_dtype_policy(before)


_evaluation = threading.local()


@functools.cache
def _layers_heed_full_precision() -> None:
    """Teaches Keras's dtype policies `full`; once, for all threads, since replicas trace in several."""
    own = keras.DTypePolicy.compute_dtype.fget

    def compute_dtype(policy):
        chosen = own(policy)
        what: str | None = getattr(_evaluation, "full", None)
        if chosen in ("bfloat16", "float16") and what:
            _say_so(chosen, what)
            return "float32"
        return chosen

    keras.DTypePolicy.compute_dtype = property(compute_dtype, doc=keras.DTypePolicy.compute_dtype.__doc__)


@functools.cache
def _say_so(precision: str, what: str) -> None:
    warnings.warn(f"These networks compute in {precision}; {what} in float32.", stacklevel=2)


@contextlib.contextmanager
def full(what: str = "their curvature is computed") -> Iterator[None]:
    """Within it, this thread's layers compute in float32, whatever they were built for.

    Args:
        what: is done in float32, for the warning where they were built for less.
    """
    _layers_heed_full_precision()
    outer: str | None = getattr(_evaluation, "full", None)
    _evaluation.full = what
    try:
        yield
    finally:
        _evaluation.full = outer
