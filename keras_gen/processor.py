"""What computes here: by it, number formats and ways to compute are chosen."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

import tensorflow as tf

_BFLOAT16_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16"}


@functools.cache
def on_cpu() -> bool:
    """Whether there is neither a GPU nor a TPU."""
    return not any(tf.config.list_physical_devices(kind) for kind in ("GPU", "TPU"))


@functools.cache
def cpu_flags() -> frozenset[str]:
    """What the processor can do, as Linux names it ("avx512_bf16"); nothing is known elsewhere."""
    try:
        if platform.system() == "Linux":
            lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
            found = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
            return frozenset(found.split())
    except OSError:
        pass
    return frozenset()


def bfloat16_unit() -> str | None:
    """The name of the CPU's unit that multiplies bfloat16; None where there is none, or it is not known."""
    # Elsewhere than on Linux TensorFlow has no bfloat16 kernels worth choosing.
    return next((name for flag, name in _BFLOAT16_UNITS.items() if flag in cpu_flags()), None)
