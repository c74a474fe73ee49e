"""The feature spaces and the choice among them."""

import keras
import numpy as np
import pytest

from keras_gen.metrics import (
    classifier_features,
    feature_extractor,
    features,
    frechet_distance,
    inception_features,
    projection_features,
)


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path))

    def few_steps(images, labels=None, **options):
        return classifier_features(images, labels, steps=2, **options)

    monkeypatch.setattr(features, "classifier_features", few_steps)


@pytest.fixture
def offline(monkeypatch):
    def no_network(*_, **__):
        raise Exception("URL fetch failure on https://example.org: None -- no network")

    monkeypatch.setattr(keras.applications, "InceptionV3", no_network)


@pytest.fixture
def online(monkeypatch):
    def network(input_shape, **_):
        return keras.Sequential([keras.Input(input_shape), keras.layers.GlobalAveragePooling2D()])

    monkeypatch.setattr(keras.applications, "InceptionV3", network)


# Choice


def test_grey_digits_with_labels_are_for_the_classifier(online):
    extractor = feature_extractor((28, 28, 1), noise(8, 28, 28, 1), np.arange(8) % 2)
    assert extractor.name.startswith("classifier-28x28x1-")


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
def test_inception_where_it_can_be_had(online, shape):
    labels = None if shape[2] == 1 else np.arange(8) % 2
    assert feature_extractor(shape, noise(8, *shape), labels).name == "inception-v3"


def test_without_inception_labels_decide(offline):
    with pytest.warns(UserWarning, match="could not be downloaded.*Going on with classifier-32x32x3-"):
        extractor = feature_extractor((32, 32, 3), noise(8, 32, 32, 3), np.arange(8) % 2)
    assert extractor.name.startswith("classifier-32x32x3-")
    with pytest.warns(UserWarning, match="Going on with projection-32x32x3-64"):
        assert feature_extractor((32, 32, 3)).name == "projection-32x32x3-64"


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="image_shape is"):
        feature_extractor((28, 28, 1), noise(8, 16, 16, 1), np.arange(8) % 2)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 2), (0, 28, 1), (None, None, 3)])
@pytest.mark.parametrize("build", [feature_extractor, inception_features, projection_features])
def test_wrong_shapes_are_refused(build, shape):
    with pytest.raises(ValueError, match="height, width, 1 or 3"):
        build(shape)


# Inception


def test_inception_preprocessing():
    grey = inception_features((28, 28, 1), weights=None)
    assert grey.name == "inception-v3-random"
    assert grey.output_shape == (None, 2048)
    network = grey.get_layer("inception_v3")
    images = noise(2, 28, 28, 1)
    large = keras.ops.image.resize(np.repeat(images, 3, axis=-1), (299, 299), antialias=True)
    expected = network(large, training=False)
    np.testing.assert_allclose(grey.predict(images, verbose=0), expected, atol=1e-5)


def test_inception_without_weights_says_what_to_do(offline):
    with pytest.raises(OSError, match=r"classifier_features.*projection_features"):
        inception_features((32, 32, 3))


def test_inception_from_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.h5"):
        inception_features((32, 32, 3), weights=tmp_path / "nothing.h5")
    (tmp_path / "other.weights.h5").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="does not hold weights of Inception"):
        inception_features((32, 32, 3), weights=tmp_path / "other.weights.h5")


# Projection


def test_projection_is_orthonormal_and_always_the_same():
    extractor = projection_features((28, 28, 1), num_features=10)
    basis = extractor.get_weights()[0]
    np.testing.assert_allclose(basis.T @ basis, np.eye(10), atol=1e-5)
    images = noise(3, 28, 28, 1)
    np.testing.assert_allclose(extractor.predict(images, verbose=0), images.reshape(3, -1) @ basis, atol=1e-4)
    np.testing.assert_array_equal(projection_features((28, 28, 1), num_features=10).get_weights()[0], basis)


def test_projection_onto_all_pixels_keeps_the_distance():
    a, b = noise(100, 3, 3, 1), noise(120, 3, 3, 1) * 0.5
    extractor = projection_features((3, 3, 1), num_features=9)
    projected = (extractor.predict(side, verbose=0) for side in (a, b))
    expected = frechet_distance(a.reshape(100, 9), b.reshape(120, 9))
    assert frechet_distance(*projected) == pytest.approx(expected, rel=1e-4)


def test_projection_of_large_images_is_float32_under_every_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        extractor = projection_features((128, 96, 3))
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    answer = extractor.predict(noise(2, 128, 96, 3), verbose=0)
    assert (answer.shape, answer.dtype) == ((2, 64), np.float32)


@pytest.mark.parametrize("number", [0, 10])
def test_projection_needs_a_basis_that_fits(number):
    with pytest.raises(ValueError, match="between 1 and 9"):
        projection_features((3, 3, 1), num_features=number)
