"""Freed memory is kept: a tensor that takes the place of another needs no page from the system."""

import os
import subprocess
import sys

import pytest

_SCRIPT = """
import ctypes
import resource

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # without huge pages, which fewer faults are for
import tensorflow as tf
import keras_gen

def made():
    images = tf.ones((40, 1000, 1000))
    return tf.reduce_sum(2 * images + 1)

for _ in range(3):
    made()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    made()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults * resource.getpagesize() / (5 * 160e6))
"""
_OWN = ("TF_CPU_", "GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_")


def _faulted(**variables):
    """How much of one tensor's memory was faulted in for each made, on average."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    command = [sys.executable, "-c", _SCRIPT]
    ran = subprocess.run(
        command,
        env=kept | variables | {"CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ran.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counted as Linux does")
def test_tensors_take_the_place_of_freed_ones_unless_the_environment_says_otherwise():
    assert _faulted() < 0.02
    assert _faulted(TF_CPU_ALLOCATOR_USE_BFC="false") > 1  # TensorFlow's default
