"""keras.layers.SpectralNormalization is the same product as tensorflow-addons'.

Both keep `u` as a (1, channels) weight, run `power_iterations` of v = u Wᵀ, u = v W (each normalized) when
called with training=True, and divide the stored kernel by v W uᵀ in place. They differ in two corners only:
Keras bounds the norm from below by 1e-7 (tensorflow-addons by 1e-6), and leaves a kernel of zeros alone where
tensorflow-addons divides by zero.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "tensorflow_addons.npz")


def wrapped(kernel):
    layer = keras.layers.SpectralNormalization(
        keras.layers.Conv2D(kernel.shape[-1], 3, padding="same", use_bias=False)
    )
    layer.build((None, 6, 5, kernel.shape[2]))
    layer.layer.kernel.assign(kernel)
    return layer


def test_one_power_iteration_equals_tensorflow_addons():
    layer = wrapped(REFERENCE["kernel"])
    layer.vector_u.assign(REFERENCE["u"])
    layer(REFERENCE["x"], training=True)
    np.testing.assert_allclose(layer.layer.kernel, REFERENCE["spectral_kernel_1_iter"], atol=1e-5)
    np.testing.assert_allclose(layer.vector_u, REFERENCE["spectral_u_after"], atol=1e-5)


def test_inference_leaves_the_kernel_alone():
    layer = wrapped(REFERENCE["kernel"])
    layer(REFERENCE["x"], training=False)
    np.testing.assert_array_equal(layer.layer.kernel, REFERENCE["kernel"])


def test_iterations_lead_to_spectral_norm_one():
    layer = wrapped(REFERENCE["kernel"])
    for _ in range(60):
        layer(REFERENCE["x"], training=True)
    matrix = np.reshape(layer.layer.kernel, (-1, 6))
    assert np.linalg.norm(matrix, 2) == pytest.approx(1.0, abs=1e-4)
