"""The codebook: nearest codes, moving means by hand, dead codes."""

import numpy as np
import pytest

from keras_gen.layers import VectorQuantizer
from keras_gen.random import RandomStream


def _layer(codebook, **options):
    layer = VectorQuantizer(*np.shape(codebook), **options)
    layer.codebook.assign(codebook)
    layer.sums.assign(codebook)
    layer.counts.assign(np.ones(len(codebook)))
    return layer


def test_codes_are_the_nearest():
    codebook = np.random.default_rng(0).standard_normal((7, 3)).astype("float32")
    vectors = np.random.default_rng(1).standard_normal((2, 4, 4, 3)).astype("float32")
    distances = ((vectors[..., None, :] - codebook) ** 2).sum(-1)
    codes = _layer(codebook)(vectors)
    np.testing.assert_array_equal(codes, distances.argmin(-1))
    np.testing.assert_array_equal(_layer(codebook).look_up(codes), codebook[distances.argmin(-1)])


def test_codebook_follows_the_mean_of_its_vectors():
    layer = _layer([[0.0], [10.0]], decay=0.5)
    vectors = np.array([[1.0], [2.0], [3.0], [12.0]], "float32").reshape(1, 4, 1)
    perplexity = layer.update(vectors, layer(vectors), RandomStream(0, 0))
    # Counts ½·1 + ½·3 and ½·1 + ½·1; sums ½·0 + ½·6 and ½·10 + ½·12.
    np.testing.assert_allclose(layer.counts, [2.0, 1.0])
    np.testing.assert_allclose(layer.codebook, [[3.0 / 2.0], [11.0]], rtol=1e-6)
    assert float(perplexity) == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))


def test_dead_codes_begin_anew_at_vectors_of_the_batch():
    layer = _layer([[0.0, 0.0], [100.0, 100.0], [-100.0, 100.0]], decay=0.5)
    vectors = np.random.default_rng(0).standard_normal((8, 4, 2)).astype("float32")
    for step in range(8):
        layer.update(vectors, layer(vectors), RandomStream(0, step))
    codebook = layer.codebook.numpy()
    assert np.abs(codebook).max() < 5
    assert len(np.unique(layer(vectors))) == 3


def test_the_first_update_begins_at_vectors_of_the_batch():
    layer = VectorQuantizer(4, 2)
    vectors = np.random.default_rng(0).standard_normal((8, 4, 2)).astype("float32")
    layer.update(vectors, layer(vectors), RandomStream(0, 0))
    distances = np.abs(layer.codebook.numpy()[:, None] - vectors.reshape(1, -1, 2)).max(-1).min(1)
    assert distances.max() < 1e-5
    assert len(np.unique(layer.codebook.numpy(), axis=0)) == 4


@pytest.mark.parametrize("arguments", [(1, 4), (4, 0), (4, 4, 1.0)])
def test_what_is_wrong_is_said(arguments):
    with pytest.raises(ValueError, match="num_codes must be 2 or more"):
        VectorQuantizer(*arguments)
