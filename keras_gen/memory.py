"""Memory that tensors leave is kept for the next ones, by TensorFlow's own allocator for that."""

from __future__ import annotations

import os

_NO_LIMIT = 2**30  # megabytes; by itself that allocator stops at 64 GB


def keep_freed() -> None:
    """Has TensorFlow keep the memory of freed tensors on CPUs; call it before TensorFlow computes.

    By itself it asks the C library for each tensor, which gets large ones from the system and gives them back
    at once: all pages of the next are faults, and zeroed. Steps of training take and free the same sizes over
    and over. TensorFlow has the allocator that it uses on GPUs for CPUs too ("best fit with coalescing"),
    which keeps what it once got: memory does not shrink before the process ends. This holds for all that
    TensorFlow does in the process. Where the environment has TF_CPU_ALLOCATOR_USE_BFC ("false", say), all
    stays as it is.
    """
    if "TF_CPU_ALLOCATOR_USE_BFC" not in os.environ:
        os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "true"
        os.environ.setdefault("TF_CPU_BFC_MEM_LIMIT_IN_MB", str(_NO_LIMIT))
