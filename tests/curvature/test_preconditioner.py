"""The correction in training: its step, its cost, what it keeps, saving. Replicas: see test_distribute."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from correction_examples import model

import keras_gen as kg
from keras_gen.curvature import SingularityCorrection, corrected_step
from keras_gen.curvature.operators import Hessian

IMAGES = np.random.default_rng(0).uniform(-1, 1, (16, 4, 4, 1)).astype("float32")


def fitted(images=IMAGES, **corrections):
    made = model()
    rates = {f"{player}_optimizer": keras.optimizers.SGD(0.1) for player in made.players}
    made.compile(**rates, **corrections)
    return made, made.fit(images, batch_size=8, shuffle=False, verbose=0).history


def test_the_step_is_the_dense_corrected_step():
    """With as many iterations as parameters, on a quadratic-free loss with all its state."""
    weight = keras.Variable(np.random.default_rng(0).standard_normal(6), dtype="float32")
    target = np.arange(6, dtype="float32")

    def loss():
        return tf.reduce_mean(tf.cos(weight.value - target)) + tf.reduce_sum(weight.value) ** 2 / 20

    correction = SingularityCorrection(damping=0.2, iterations=6, warm_start=False)
    correction.prepare([weight])
    hessian = Hessian(loss, [weight])
    (step,), logs, due = correction.correct([hessian.gradient()], [weight], loss)
    np.testing.assert_allclose(step, corrected_step(hessian, hessian.gradient(), 0.2), rtol=1e-3, atol=1e-5)
    assert due == 1
    assert logs["products"] == 6
    ratio = np.linalg.norm(step) / np.linalg.norm(hessian.gradient())
    np.testing.assert_allclose(logs["step_ratio"], ratio, rtol=1e-6)
    np.testing.assert_allclose(
        [logs["smallest_ritz"], logs["largest_ritz"]], np.sort(hessian.eigenvalues())[[0, -1]], atol=1e-4
    )


TABLE = re.findall(r"\| (\d+) \| (\d+) \| (\w+) \| (\w+) \| (\S+) \| (\S+) \|", SingularityCorrection.__doc__)


def _convolutions(function, *arguments) -> tuple[int, int]:
    """In a graph outside of its loop, and in one turn of that loop."""

    def count(nodes):
        return sum(node.op.startswith("Conv2D") for node in nodes)

    graph = function.get_concrete_function(*arguments).graph.as_graph_def()
    counts = {f.signature.name: count(f.node_def) for f in graph.library.function}
    loop = sum(value for name, value in counts.items() if "while_body" in name)
    return count(graph.node) + sum(counts.values()) - loop, loop


@pytest.mark.parametrize("row", TABLE)
def test_costs_are_those_of_the_table(row):
    """Convolutions of a correction, against those of a gradient."""
    assert len(TABLE) == 7
    iterations, every = int(row[0]), int(row[1])
    settings = {"warm_start": row[2] == "True", "saddle_free": row[3] == "True"}
    layers = [kg.layers.Conv2D(2, 3, padding="same", activation="tanh") for _ in range(8)]
    network = keras.Sequential([keras.Input((6, 6, 2)), *layers])
    variables, images = network.trainable_variables, np.ones((2, 6, 6, 2), "float32")

    def loss():
        return tf.reduce_mean(network(images) ** 2)

    def gradient():
        with tf.GradientTape() as tape:
            value = loss()
        return tape.gradient(value, variables)

    alone, none = _convolutions(tf.function(gradient))
    assert none == 0
    correction = SingularityCorrection(iterations=iterations, every=every, **settings)
    correction.prepare(variables)
    step = tf.function(lambda gradients: correction.correct(gradients, variables, loss)[:2])
    gradients = gradient()
    _, logs = step(gradients)
    assert float(logs["products"]) / every == pytest.approx(float(row[4]))
    outside, turn = _convolutions(step, gradients)
    assert turn > alone
    counted = (outside + iterations * turn) / alone / every
    assert 0.94 * float(row[5]) < counted <= float(row[5])


def test_logs_and_trust_radius():
    made, history = fitted(discriminator_correction=SingularityCorrection(iterations=3, trust_radius=1e-3))
    assert {name for name in history if name.startswith("discriminator_")} >= {
        f"discriminator_{name}" for name in kg.curvature.preconditioner.LOG_NAMES
    }
    assert not any(name == "generator_products" for name in history)
    assert history["discriminator_step_ratio"][0] < 1e-2
    made.compile()
    assert "discriminator_products" not in made.fit(IMAGES, batch_size=8, verbose=0).history


def test_batch_statistics_move_once_a_step():
    first, _ = fitted(IMAGES[:8])
    second, _ = fitted(IMAGES[:8], generator_correction=SingularityCorrection(iterations=2))
    statistics = [[v for v in made.generator.variables if "moving" in v.path] for made in (first, second)]
    assert len(statistics[0]) == 2
    for a, b in zip(*statistics, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_loss_comes_again_with_its_random_numbers():
    """Draws of the stream, and the masks of Keras's own dropout, whose state has moved on since."""
    made = model()
    made.discriminator.add(keras.layers.Dropout(0.5, seed=3))
    made.discriminator.build((None, 4, 4, 1))
    with made.random_stream() as stream:
        stream.normal(2, (3,))

        def loss():
            return tf.reduce_sum(made.discriminator(stream.uniform(8, (4, 4, 1)), training=True))

        again = made.repeatable(stream, loss)
        first = loss()
        assert loss() != first
        assert again() == first
        assert again() == first
        assert stream.position == 5


def test_goes_on_exactly_after_saving(tmp_path):
    settings = {"iterations": 3, "damping": 0.5, "every": 2}
    made, _ = fitted(generator_correction=SingularityCorrection(**settings))
    made.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.generator_correction.get_config() == made.generator_correction.get_config()
    assert np.abs(made.generator_correction.before).max() > 0
    for each in (made, loaded):
        each.fit(IMAGES[:8], batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(made.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_errors():
    with pytest.raises(ValueError, match="damping must be a number above zero; received 0"):
        SingularityCorrection(damping=0)
    with pytest.raises(ValueError, match="received iterations=1, every=1"):
        SingularityCorrection(iterations=1)
    with pytest.raises(ValueError, match="trust_radius must be above zero"):
        SingularityCorrection(trust_radius=-1)
    one = SingularityCorrection()
    with pytest.raises(ValueError, match="Two players got the same correction object"):
        model().compile(generator_correction=one, discriminator_correction=one)
    one.prepare([keras.Variable([1.0])])
    with pytest.raises(
        ValueError, match="for a player of 1 trainable weights, and has been handed to one of 384"
    ):
        model().compile(generator_correction=one)
