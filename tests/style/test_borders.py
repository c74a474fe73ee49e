"""Borders: NumPy's reflection, at sizes that are known while a graph is traced and at those that are not."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.style.borders import cropped, reflected


@pytest.mark.parametrize("margin", [0, 3, 64])
@pytest.mark.parametrize("size", [(40, 37), (33, 64), (5, 9), (1, 2)])
def test_the_same_as_numpys_and_back(size, margin):
    images = np.random.default_rng(0).uniform(-1, 1, (2, *size, 3)).astype("float32")
    # Multiples of 4, of which the smallest is too small.
    sides = [(margin, margin + max(-side % 4, 8 - side)) for side in size]
    expected = np.pad(images, [(0, 0), *sides, (0, 0)], mode="reflect")

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
    def free(x):
        return reflected(x, 4, margin)

    for padded in (reflected(tf.constant(images), 4, margin), free(images)):
        np.testing.assert_array_equal(padded, expected)
        np.testing.assert_array_equal(cropped(padded, tf.constant(images), margin), images)


def test_what_fits_stays():
    images = tf.zeros((1, 16, 8, 3))
    assert reflected(images, 4) is images
    assert cropped(images, images) is images
    free = tf.function(lambda like: cropped(images, like), [tf.TensorSpec((1, None, None, 3))])
    assert free(images[:, :5, :3]).shape == (1, 5, 3, 3)


@pytest.mark.parametrize(("size", "margin"), [(72, 64), (64, 64), (20, 64), (21, 0)])
def test_known_sizes_need_only_what_delegates_of_tflite_take(size, margin):
    traced = tf.function(lambda x: reflected(x, 4, margin))
    traced = traced.get_concrete_function(tf.TensorSpec((1, size, size, 3)))
    kinds = {operation.type for operation in traced.graph.get_operations()}
    assert "MirrorPad" in kinds
    assert not kinds & {"GatherV2", "Range", "StridedSlice"}
    assert kinds <= {"Placeholder", "Const", "MirrorPad", "Identity", "NoOp"}
