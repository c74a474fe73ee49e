"""Models of one test do not stay in memory for the next."""

import keras
import pytest


@pytest.fixture(autouse=True)
def forget_models():
    yield
    keras.backend.clear_session()  # which collects garbage
