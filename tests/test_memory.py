"""Freed memory is kept: a tensor that takes the place of another needs no page from the system."""

import os
import subprocess
import sys

import pytest

_SCRIPT = """
import resource
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
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
_PAGES = 5 * 160e6 / 4096  # of one tensor in each of the five


def faults(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPU_")}
    command = [sys.executable, "-c", _SCRIPT]
    ran = subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="counted as Linux does")
def test_tensors_take_the_place_of_freed_ones_unless_the_environment_says_otherwise():
    assert faults() < 0.02 * _PAGES
    assert faults(TF_CPU_ALLOCATOR_USE_BFC="false") > _PAGES  # TensorFlow's default
