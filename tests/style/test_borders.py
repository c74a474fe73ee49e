"""Borders: NumPy's reflection, at sizes that are known while a graph is traced and at those that are not."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.style.borders import MARGIN, cropped, reflected


@pytest.mark.parametrize("size", [(40, 37), (33, 64), (5, 9), (1, 2)])
def test_the_same_as_numpys_and_back(size):
    images = np.random.default_rng(0).uniform(-1, 1, (2, *size, 3)).astype("float32")
    sides = [(MARGIN, MARGIN + -side % 4) for side in size]
    expected = np.pad(images, [(0, 0), *sides, (0, 0)], mode="reflect")
    free = tf.function(lambda x: reflected(x, 4), input_signature=[tf.TensorSpec((None, None, None, 3))])
    for padded in (reflected(tf.constant(images), 4), free(images)):
        np.testing.assert_array_equal(padded, expected)
        np.testing.assert_array_equal(cropped(padded, tf.constant(images)), images)


@pytest.mark.parametrize("size", [72, 64, 20])
def test_known_sizes_need_only_what_delegates_of_tflite_take(size):
    traced = tf.function(lambda x: reflected(x, 4)).get_concrete_function(tf.TensorSpec((1, size, size, 3)))
    kinds = {operation.type for operation in traced.graph.get_operations()}
    assert "MirrorPad" in kinds
    assert not kinds & {"GatherV2", "Range", "StridedSlice"}
    assert kinds <= {"Placeholder", "Const", "MirrorPad", "Identity", "NoOp"}
