"""Once for each file of the test run."""

import gc

import pytest

import keras_gen  # noqa: F401  before any TensorFlow, which it prepares


@pytest.fixture(scope="module", autouse=True)
def what_came_before_is_no_garbage():
    """Imports and what earlier tests left are not searched again and again: up to two seconds each time."""
    gc.collect()
    gc.freeze()
