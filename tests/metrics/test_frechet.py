"""Fréchet distance: pytorch-fid's number, closed forms, streaming, strategies, broken input."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.metrics import FrechetDistance, frechet_distance, frechet_distance_of_moments

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "metrics.npz")


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def stream(metric, real, fake, size):
    for start in range(0, max(len(real), len(fake)), size):
        if len(real[start : start + size]):
            metric.update_real(real[start : start + size])
        if len(fake[start : start + size]):
            metric.update_fake(fake[start : start + size])
    return float(metric.result())


# The function


def test_equals_pytorch_fid():
    distance = frechet_distance(REFERENCE["real"], REFERENCE["fake"])
    assert distance == pytest.approx(float(REFERENCE["frechet_distance"]), rel=1e-6)


def test_of_equal_sets_is_zero():
    assert frechet_distance(REFERENCE["real"], REFERENCE["real"]) == pytest.approx(0.0, abs=1e-10)


def test_is_symmetric():
    there, back = (frechet_distance(*pair) for pair in ((REFERENCE["real"], REFERENCE["fake"]),
                                                       (REFERENCE["fake"], REFERENCE["real"])))  # fmt: skip
    assert there == pytest.approx(back, rel=1e-10)


def test_of_a_shift_and_of_a_scale_has_a_closed_form():
    a = normal(0, 500, 6)
    assert frechet_distance(a, a + 3.0) == pytest.approx(6 * 9.0, rel=1e-9)
    a -= a.mean(0)
    # tr((2 - 1)² C) for b = 2 a
    assert frechet_distance(a, 2 * a) == pytest.approx(np.trace(np.cov(a.T)), rel=1e-9)


def test_of_moments_that_commute_has_a_closed_form():
    basis = np.linalg.qr(normal(1, 5, 5))[0]
    first, second = np.array([4.0, 1.0, 0.0, 9.0, 1e-8]), np.array([1.0, 0.0, 0.0, 4.0, 1e-6])
    distance = frechet_distance_of_moments(
        np.zeros(5), basis * first @ basis.T, np.ones(5), basis * second @ basis.T
    )
    assert distance == pytest.approx(5 + ((np.sqrt(first) - np.sqrt(second)) ** 2).sum(), rel=1e-9)


def test_with_fewer_samples_than_features_and_constant_ones():
    # Zero columns change nothing, though they make both covariances singular; so do repeated columns by
    # rotation: (x, x) / √2 has the Gaussian of x in one direction and nothing in the other.
    real, fake = REFERENCE["real"], REFERENCE["fake"]
    expected = frechet_distance(real, fake)
    wide = [np.hstack([side, np.full((len(side), 700), 0.5)]) for side in (real, fake)]
    assert frechet_distance(*wide) == pytest.approx(expected, rel=1e-9)
    double = [
        np.hstack([side, side]) / np.sqrt(2) for side in (real.astype("float64"), fake.astype("float64"))
    ]
    assert frechet_distance(*double) == pytest.approx(expected, rel=1e-9)


def test_of_two_identical_samples_each():
    assert frechet_distance(np.zeros((2, 3)), np.full((2, 3), 2.0)) == pytest.approx(12.0)


def test_takes_half_precision_and_tensors():
    real, fake = tf.cast(REFERENCE["real"], tf.bfloat16), tf.cast(REFERENCE["fake"], tf.float16)
    expected = frechet_distance(tf.cast(real, tf.float64).numpy(), tf.cast(fake, tf.float64).numpy())
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "a must hold at least two samples"),
        (np.zeros((5, 3)), np.zeros((0, 3)), "b must hold at least two samples"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "received 3 and 4"),
        (np.zeros((5, 3, 3, 1)), np.zeros((5, 9)), r"a must have shape \(samples, features\)"),
        (np.zeros(5), np.zeros(5), "a must have shape"),
        (np.zeros((5, 0)), np.zeros((5, 0)), "a must have shape"),
        (np.array([[0.0], [np.nan], [1.0]]), np.zeros((5, 1)), "in 1 of 3 samples"),
        (np.zeros((5, 1)), np.array([[0.0], [np.inf], [1.0]]), "b must be finite"),
    ],
)
def test_broken_features_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)


@pytest.mark.parametrize("covariance", [np.eye(3), np.full((2, 2), np.nan)])
def test_broken_moments_are_refused(covariance):
    with pytest.raises(ValueError, match="Means and covariances"):
        frechet_distance_of_moments(np.zeros(2), np.eye(2), np.zeros(2), covariance)


# The metric


@pytest.mark.parametrize("size", [1, 7, 64, 600])
def test_streaming_equals_one_shot(size):
    distance = stream(FrechetDistance(), REFERENCE["real"], REFERENCE["fake"], size)
    assert distance == pytest.approx(float(REFERENCE["frechet_distance"]), rel=1e-9)


def test_streaming_with_large_means_keeps_precision():
    # Plain sums of squares would lose 12 of 16 digits here.
    real, fake = (REFERENCE[side].astype("float64") + 1e6 for side in ("real", "fake"))
    assert stream(FrechetDistance(), real, fake, 50) == pytest.approx(frechet_distance(real, fake), rel=1e-9)


def test_update_reset_and_undefined_results():
    metric = FrechetDistance(num_features=16)
    assert np.isnan(metric.result())
    metric.update_state(REFERENCE["real"][:1], REFERENCE["fake"][:100])
    assert np.isnan(metric.result())
    metric.reset_state()
    metric.update_state(REFERENCE["real"], REFERENCE["fake"])
    assert float(metric.result()) == pytest.approx(float(REFERENCE["frechet_distance"]), rel=1e-9)


def test_in_a_graph_with_batches_of_any_size():
    metric = FrechetDistance()

    @tf.function(input_signature=[tf.TensorSpec((None, 16)), tf.TensorSpec((None, 16))])
    def step(real, fake):
        metric.update_state(real, fake)
        return metric.result()

    for start in range(0, 600, 130):
        distance = step(REFERENCE["real"][start : start + 130], REFERENCE["fake"][start : start + 130])
    assert float(distance) == pytest.approx(float(REFERENCE["frechet_distance"]), rel=1e-9)


def test_in_model_evaluate():
    model = keras.Sequential([keras.Input((16,)), keras.layers.Identity()])
    model.compile(loss="mse", metrics=[FrechetDistance()])
    logs = model.evaluate(
        REFERENCE["fake"], REFERENCE["real"][:500], batch_size=64, return_dict=True, verbose=0
    )
    expected = frechet_distance(REFERENCE["real"][:500], REFERENCE["fake"])
    assert logs["frechet_distance"] == pytest.approx(expected, rel=1e-6)


def test_weighted_samples_are_refused():
    with pytest.raises(ValueError, match="sample_weight"):
        FrechetDistance().update_state(REFERENCE["real"], REFERENCE["fake"], np.ones(600))


def test_feature_extractors():
    real, fake = normal(0, 40, 4, 4, 1).astype("float32"), normal(1, 30, 4, 4, 1).astype("float32") * 2

    def brightness(images):
        return tf.reduce_mean(images, axis=(1, 2))

    metric = FrechetDistance(brightness)
    assert metric.feature_space == "brightness"
    expected = frechet_distance(real.mean((1, 2)), fake.mean((1, 2)))
    assert stream(metric, real, fake, 16) == pytest.approx(expected, rel=1e-5)

    network = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dropout(0.9), keras.layers.Dense(3)],
        name="net",
    )
    metric = FrechetDistance(network)
    assert metric.feature_space == "net"
    assert len(metric.variables) == 8  # they exist before the first batch
    expected = frechet_distance(network.predict(real, verbose=0), network.predict(fake, verbose=0))
    assert stream(metric, real, fake, 16) == pytest.approx(expected, rel=1e-5)

    assert FrechetDistance().feature_space == "pixels"
    expected = frechet_distance(real.reshape(40, 16), fake.reshape(30, 16))
    assert stream(FrechetDistance(), real, fake, 16) == pytest.approx(expected, rel=1e-6)


REPLICAS = """
import sys
import numpy as np, tensorflow as tf
from keras_gen.metrics import FrechetDistance
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
reference = np.load(sys.argv[1])
real, fake = reference["real"][:500] + np.float32(100), reference["fake"] + np.float32(100)
with strategy.scope():
    metric = FrechetDistance(num_features=16)
data = tf.data.Dataset.from_tensor_slices((real, fake)).batch(62)
step = tf.function(lambda batch: strategy.run(metric.update_state, args=batch))
for batch in strategy.experimental_distribute_dataset(data):
    step(batch)
print(repr(float(metric.result())))
"""


def test_two_replicas_equal_one():
    reference = Path(__file__).parents[1] / "reference" / "metrics.npz"
    run = subprocess.run(
        [sys.executable, "-c", REPLICAS, reference], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    real, fake = (REFERENCE[side][:500] + np.float32(100) for side in ("real", "fake"))
    assert float(run.stdout) == pytest.approx(frechet_distance(real, fake), rel=1e-9)


def test_features_that_are_not_finite_stop_the_run():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Features for frechet_distance"):
        FrechetDistance().update_real(np.full((4, 2), np.nan))


def test_features_of_another_size_are_refused():
    metric = FrechetDistance()
    metric.update_real(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="Expected 2 features, received 3"):
        metric.update_fake(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="batch, features"):
        metric.update_fake(np.zeros(4))


def test_images_too_large_for_a_covariance_are_refused():
    with pytest.raises(ValueError, match=r"at most 10000.*projection_features"):
        FrechetDistance().update_real(np.zeros((2, 64, 64, 3), "float32"))


def test_config_does_not_forget_the_extractor(tmp_path):
    again = keras.metrics.deserialize(keras.metrics.serialize(FrechetDistance(name="fd")))
    assert (again.name, again.feature_space) == ("fd", "pixels")
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)], name="net")
    with pytest.raises(ValueError, match="'net' cannot be built from a configuration"):
        FrechetDistance.from_config(FrechetDistance(network).get_config())


def test_saving_a_model_does_not_save_the_extractor(tmp_path):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="of_extractor")])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.distance = FrechetDistance(network)
    model.save_weights(tmp_path / "model.weights.h5")
    assert (tmp_path / "model.weights.h5").read_bytes().count(b"of_extractor") == 0
