"""What computes here: by it, layers choose among equal ways to compute the same."""

from __future__ import annotations

import functools
from pathlib import Path

import tensorflow as tf


@functools.cache
def on_cpu() -> bool:
    """Whether there is no GPU."""
    return not tf.config.list_physical_devices("GPU")


@functools.cache
def has_matrix_units() -> bool:
    """Whether the processor has units for matrices of bfloat16 (Intel's AMX)."""
    known = Path("/proc/cpuinfo")
    return known.is_file() and "amx_bf16" in known.read_text()
