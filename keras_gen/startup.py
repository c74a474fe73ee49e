"""What TensorFlow is told before it starts, by the environment. What is set there already stays as it is."""

from __future__ import annotations

import os
import platform
import sys
import warnings

_NO_LIMIT = 2**30  # megabytes; by itself that allocator stops at 64 GB
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def keep_freed_memory() -> None:
    """Has TensorFlow keep the memory of freed tensors on CPUs; call it before TensorFlow computes.

    By itself, where it computes without oneDNN, it asks the C library for each tensor, which gets large ones
    from the system and gives them back at once: all pages of the next are faults, and zeroed. Steps of
    training take and free the same sizes over and over. TensorFlow has the allocator that it uses on GPUs for
    CPUs too ("best fit with coalescing"), which keeps what it once got: memory does not shrink before the
    process ends. This holds for all that TensorFlow does in the process. Where the environment has
    TF_CPU_ALLOCATOR_USE_BFC ("false", say), all stays as it is.
    """
    if "TF_CPU_ALLOCATOR_USE_BFC" not in os.environ:
        os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "true"
        os.environ.setdefault("TF_CPU_BFC_MEM_LIMIT_IN_MB", str(_NO_LIMIT))


def compute_with_onednn() -> None:
    """Has TensorFlow compute with oneDNN's kernels on every x86 CPU; call it before TensorFlow is imported.

    By itself it does so, on Linux, where the CPU has instructions of VNNI, BF16 or AMX, and computes by Eigen
    elsewhere; with AVX2 alone convolutions and their gradients take about twice as long so. Where the
    environment has TF_ENABLE_ONEDNN_OPTS ("0", say), all stays as it is.

    Warns:
        UserWarning: TensorFlow is imported already, without oneDNN, and there is no GPU or TPU: it does not
            look at the environment again.
    """
    if _ONEDNN in os.environ or platform.machine().lower() not in ("x86_64", "amd64"):
        return
    if "tensorflow" not in sys.modules:
        os.environ[_ONEDNN] = "1"
    elif not has_onednn() and _on_cpu():
        warnings.warn(
            "TensorFlow was imported before keras_gen and computes without oneDNN: on this CPU convolutions "
            "take about twice as long. Start Python anew and import keras_gen before keras and tensorflow, "
            f"or with {_ONEDNN}=1 in the environment; {_ONEDNN}=0 leaves it so without this warning.",
            stacklevel=3,
        )


def has_onednn() -> bool:
    """Whether TensorFlow, once imported, has oneDNN; taken to be so where it does not tell."""
    try:
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled  # nothing public tells
    except ImportError:
        return True
    return bool(IsMklEnabled())


def _on_cpu() -> bool:
    from keras_gen.processor import on_cpu  # which imports TensorFlow

    return on_cpu()
