"""Once for each process of the test run."""

import gc

import pytest


@pytest.fixture(scope="session", autouse=True)
def imports_are_no_garbage():
    """TensorFlow, Keras and the rest are not searched for garbage again and again: 0.2 s each time."""
    gc.collect()
    gc.freeze()
