import numpy as np
import pytest

from keras_gen.models.registry import build


@pytest.fixture
def model():
    """A tiny GAN that makes grey 8x8 images."""
    return build("gan", (8, 8, 1), latent_dim=4, seed=0, precision="float32")


@pytest.fixture(scope="session")
def images():
    """Sixteen grey 8x8 images: four batches of four."""
    return np.random.default_rng(0).uniform(-1, 1, (16, 8, 8, 1)).astype("float32")
