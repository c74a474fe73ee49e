"""Instance normalization: tensorflow-addons' numbers, GroupNormalization, precision, TFLite."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers.instance_normalization import InstanceNormalization

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "tensorflow_addons.npz")


def test_equals_tensorflow_addons():
    layer = InstanceNormalization(
        epsilon=1e-3,
        gamma_initializer=lambda shape, dtype=None: REFERENCE["gamma"],
        beta_initializer=lambda shape, dtype=None: REFERENCE["beta"],
    )
    np.testing.assert_allclose(layer(REFERENCE["x"]), REFERENCE["instance_norm_eps1e_3"], atol=1e-5)


@pytest.mark.parametrize("epsilon", [1e-6, 1e-5, 0.5])
@pytest.mark.parametrize("shape", [(3, 7, 2), (2, 4, 5, 3), (2, 3, 4, 2, 5)])
def test_equals_group_normalization_at_any_epsilon_and_rank(epsilon, shape):
    x = np.random.default_rng(1).normal(3.0, 2.0, shape).astype("float32")
    expected = keras.layers.GroupNormalization(groups=-1, epsilon=epsilon)(x)
    np.testing.assert_allclose(InstanceNormalization(epsilon=epsilon)(x), expected, atol=1e-5)


def test_mean_zero_variance_one_with_large_offset():
    x = 1000.0 + np.random.default_rng(2).standard_normal((2, 16, 16, 3)).astype("float32")
    y = InstanceNormalization(epsilon=1e-6)(x).numpy()
    # float32 cannot hold the mean, near 1000, any finer than this.
    np.testing.assert_allclose(y.mean((1, 2)), 0.0, atol=4 * np.spacing(np.float32(1000)))
    np.testing.assert_allclose(y.var((1, 2)), 1.0, atol=1e-3)


def test_without_center_and_scale_has_no_weights():
    layer = InstanceNormalization(center=False, scale=False)
    y = layer(REFERENCE["x"])
    assert layer.weights == []
    plain = (REFERENCE["instance_norm_eps1e_3"] - REFERENCE["beta"]) / REFERENCE["gamma"]
    np.testing.assert_allclose(y, plain, atol=1e-5)


def test_statistics_are_float32_under_mixed_precision():
    # At 300 a bfloat16 resolves 2: statistics in bfloat16 would be of noise.
    x = tf.cast(300.0 + np.random.default_rng(3).normal(0, 20, (2, 32, 32, 4)), tf.bfloat16)
    layer = InstanceNormalization(dtype="mixed_bfloat16")
    y = layer(x)
    assert y.dtype == tf.bfloat16
    assert all(w.dtype == "float32" for w in layer.weights)
    exact = InstanceNormalization(dtype="float32")(tf.cast(x, tf.float32))
    np.testing.assert_array_equal(tf.cast(y, tf.float32), tf.cast(tf.cast(exact, tf.bfloat16), tf.float32))


def test_float64_stays_float64():
    x = np.random.default_rng(4).standard_normal((2, 5, 5, 3))
    y = InstanceNormalization(dtype="float64", epsilon=1e-12)(x)
    np.testing.assert_allclose(
        y, (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True), rtol=1e-9
    )


def test_resumes_from_config_and_file(tmp_path):
    model = keras.Sequential(
        [keras.Input((None, None, 3)), InstanceNormalization(epsilon=0.01, gamma_initializer="random_normal")]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == model.layers[0].get_config()
    x = np.random.default_rng(5).standard_normal((1, 6, 4, 3)).astype("float32")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_converts_to_builtin_tflite_operators_without_reshape():
    layer = InstanceNormalization()
    layer.build((None, 8, 8, 4))
    function = tf.function(layer.__call__, input_signature=[tf.TensorSpec((1, 8, 8, 4))])
    concrete = function.get_concrete_function()
    frozen = tf.lite.TFLiteConverter.from_concrete_functions([concrete], layer)
    interpreter = tf.lite.Interpreter(
        model_content=frozen.convert(),
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    operators = {d["op_name"] for d in interpreter._get_ops_details()}
    assert operators & {"RESHAPE", "TRANSPOSE", "TILE", "BROADCAST_TO"} == set()
    assert {"MEAN", "RSQRT"} <= operators


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 4, None)])
def test_shapes_without_space_or_channels_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(batch, \.\.\., channels\)"):
        InstanceNormalization().build(shape)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan")])
def test_epsilon_must_be_positive(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        InstanceNormalization(epsilon=epsilon)
