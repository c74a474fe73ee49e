"""Each test begins with the same random weights, and its models do not stay in memory for the next."""

import keras
import pytest


@pytest.fixture(autouse=True)
def fresh():
    keras.utils.set_random_seed(0)
    yield
    keras.backend.clear_session()  # which collects garbage
