"""A tensor in the place of a freed one needs no page from the system. And oneDNN computes."""

import os
import platform
import subprocess
import sys

import pytest

_FAULTS = """
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
_CONVOLUTION = """
import tensorflow as tf

tf.function(tf.nn.conv2d)(tf.ones((1, 8, 8, 16)), tf.ones((3, 3, 16, 16)), 1, "SAME")
"""
_OWN = ("TF_CPU_", "TF_ENABLE_", "GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_")


def _ran(script, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=kept | variables | {"CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=True,
    )


def _faulted(**variables):
    """How much of one tensor's memory was faulted in for each made, on average."""
    return float(_ran(_FAULTS, **variables).stdout)


def _convolved(imports, **variables):
    """Whether oneDNN computed the convolution, by its own account, and what was warned of."""
    ran = _ran(imports + _CONVOLUTION, ONEDNN_VERBOSE="1", **variables)
    return ",exec,cpu,convolution," in ran.stdout, ran.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counted as Linux does")
def test_tensors_take_the_place_of_freed_ones_unless_the_environment_says_otherwise():
    assert _faulted() < 0.02
    alone = {"TF_ENABLE_ONEDNN_OPTS": "0"}  # with oneDNN, TensorFlow's allocator keeps memory anyway
    assert _faulted(**alone) < 0.02
    assert _faulted(**alone, TF_CPU_ALLOCATOR_USE_BFC="false") > 1  # TensorFlow's default


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="asked for on x86 alone")
def test_onednn_convolves_unless_the_environment_says_otherwise_and_late_imports_are_told():
    by_onednn, warned = _convolved("import keras_gen")
    assert by_onednn
    assert "UserWarning" not in warned
    by_onednn, warned = _convolved("import keras_gen", TF_ENABLE_ONEDNN_OPTS="0")
    assert not by_onednn
    assert "UserWarning" not in warned
    by_onednn, warned = _convolved("import keras\nimport keras_gen")
    assert by_onednn != ("TensorFlow was imported before keras_gen" in warned)  # newer CPUs need no telling
