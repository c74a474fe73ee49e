"""Pictures that tests of several style models train on."""

import numpy as np


def photographs(count=8, size=32):
    return np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3)).astype("float32")


def paintings():
    """One of red stripes, one that is blue and plain."""
    stripes = np.full((40, 48, 3), -0.5, "float32")
    stripes[::4, :, 0] = 1
    plain = np.full((32, 32, 3), -0.8, "float32")
    plain[..., 2] = 0.8
    return {"stripes": stripes, "plain": plain}
