"""Saving: exact resuming in a new process; networks made by hand, functional, sequential or subclassed."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen as kg

SHAPE = (8, 8, 1)
LATENT = 4
L = keras.layers


def _images(count=40, shape=SHAPE):
    return np.random.default_rng(0).uniform(-1, 1, (count, *shape)).astype("float32")


def _data(count=40, batch=4):
    return tf.data.Dataset.from_tensor_slices(_images(count)).batch(batch)


def _networks(seed=0):
    keras.utils.set_random_seed(seed)
    return kg.networks.mlp_generator(SHAPE, LATENT, (16,)), kg.networks.mlp_discriminator(SHAPE, (16,))


def _same(a, b, **tolerance):
    for pair in zip(a, b, strict=True):
        arrays = [each.numpy() if hasattr(each, "numpy") else each for each in pair]
        np.testing.assert_allclose(*arrays, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


RESUME = """
import sys, keras, keras_gen as kg
model = keras.saving.load_model(sys.argv[1])
model.fit(kg.data.load("digits", batch_size=16, seed=5, split="train[:96]"), epochs=2, verbose=0)
model.save(sys.argv[2])
"""


def _slots(model):
    return [*model.generator_optimizer.variables, *model.discriminator_optimizer.variables]


def _trained_on_digits(epochs):
    keras.utils.set_random_seed(0)
    shape = (28, 28, 1)
    model = kg.WGANGP(
        kg.networks.dcgan_generator(shape, 16, width=4),
        kg.networks.dcgan_discriminator(shape, width=4),
        latent_dim=16,
        discriminator_steps=1,
        seed=11,
        name="same",
    )
    rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 5, 0.9)
    model.compile(
        kg.optimizers.Adam(rate, beta_1=0.5),
        kg.optimizers.Adam(1e-3, beta_1=0.5),
        ema_decay=0.9,
        gradient_clip_norm=1.0,
    )
    model.fit(kg.data.load("digits", batch_size=16, seed=5, split="train[:96]"), epochs=epochs, verbose=0)
    return model


def test_two_epochs_saved_and_two_in_a_new_process_equal_four(tmp_path):
    """Batch normalization, dropout, penalty, schedule, clipping, moving average, and the data's shuffling."""
    half, end = tmp_path / "half.keras", tmp_path / "end.keras"
    model = _trained_on_digits(2)
    model.sample(2)  # sampling must not matter
    model.save(half)
    done = subprocess.run(
        [sys.executable, "-c", RESUME, half, end],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    resumed, whole = keras.saving.load_model(end), _trained_on_digits(4)
    for counter, expected in (("step", 24), ("epoch", 4)):
        assert int(getattr(resumed, counter).numpy()) == int(getattr(whole, counter).numpy()) == expected
    assert resumed.seed == whole.seed == 11
    _same(resumed.weights, whole.weights)
    _same(resumed.ema_network.weights, whole.ema_network.weights)
    _same(_slots(resumed), _slots(whole))
    np.testing.assert_allclose(resumed.sample(4, seed=0), whole.sample(4, seed=0), atol=1e-5)


@keras.saving.register_keras_serializable(package="test_saving")
class Own(keras.Model):
    """A user's generator; its layers are built when it is first called."""

    def __init__(self, width=16, **options):
        super().__init__(**options)
        self.width = width
        self.hidden, self.normal = L.Dense(width, "relu"), L.BatchNormalization()
        self.pixels, self.image = L.Dense(64, "tanh"), L.Reshape(SHAPE)

    def call(self, latents, training=False):
        return self.image(self.pixels(self.normal(self.hidden(latents), training=training)))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable(package="test_saving")
class OwnCritic(keras.Model):
    """Scores of shape (batch,), with Keras's own dropout and normalization."""

    def __init__(self, **options):
        super().__init__(**options)
        self.flat, self.normal, self.drop = L.Flatten(), L.BatchNormalization(), L.Dropout(0.5, seed=1)
        self.score = L.Dense(1)

    def call(self, images, training=False):
        x = self.normal(self.flat(images), training=training)
        return self.score(self.drop(x, training=training))[:, 0]


KINDS = ["functional", "sequential", "sequential, not built", "subclassed", "keras convolutions"]


def _by_hand():
    functional = _networks()
    flat = [keras.Input(SHAPE), L.Flatten()]
    generator = [keras.Input((LATENT,)), L.Dense(64, "tanh"), L.Reshape(SHAPE)]
    squash = L.Lambda(keras.ops.tanh)
    return {
        "functional": functional,
        "sequential": (
            keras.Sequential(generator),
            keras.Sequential([*flat, L.BatchNormalization(), L.Dropout(0.3, seed=1), L.Dense(1)]),
        ),
        "sequential, not built": (
            keras.Sequential([L.Dense(64, "tanh"), L.Reshape(SHAPE)]),
            keras.Sequential([L.Flatten(), L.Dense(8, "relu"), squash, L.Dense(1)]),
        ),
        "subclassed": (Own(8), OwnCritic()),
        "keras convolutions": (
            keras.Sequential(
                [L.Dense(32), L.Reshape((4, 4, 2)), L.UpSampling2D(), L.Conv2D(1, 3, padding="same")]
            ),
            keras.Sequential(
                [L.SpectralNormalization(L.Conv2D(4, 3, strides=2)), L.LeakyReLU(), L.Flatten(), L.Dense(1)]
            ),
        ),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", [kg.GAN, kg.WGANGP])
def test_networks_made_by_hand_train_save_and_go_on(kind, model, tmp_path):
    generator, discriminator = _by_hand()[kind]
    settings = {"discriminator_steps": 2} if model is kg.WGANGP else {}
    model = model(generator, discriminator, LATENT, seed=3, **settings)
    model.compile(ema_decay=0.5)
    before = [w.numpy() for w in model.trainable_weights]
    model.fit(_data(16), verbose=0)
    changed = [(a != b.numpy()).any() for a, b in zip(before, model.trainable_weights, strict=True)]
    assert sum(changed) >= len(changed) - 1  # a Wasserstein critic's last bias has no gradient
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras", safe_mode=False)
    assert type(again.generator) is type(generator)
    np.testing.assert_array_equal(model.sample(3, seed=0), again.sample(3, seed=0))
    _same(model.weights, again.weights, rtol=0, atol=0)
    _same(_slots(model), _slots(again), rtol=0, atol=0)
    for each in (model, again):
        each.fit(_data(16), verbose=0)
    _same(model.weights, again.weights)


def test_unregistered_subclass_with_an_average():
    class Late(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.image = keras.Sequential([L.Dense(64, "tanh"), L.Reshape(SHAPE)])

        def call(self, latents):
            return self.image(latents)

    model = kg.GAN(Late(), _networks()[1], LATENT, seed=1)
    model.compile(ema_decay=0.0)
    model.fit(_data(8), verbose=0)
    np.testing.assert_allclose(model.sample(2, seed=0), model.generator(model.latents(2, seed=0)), atol=1e-6)


def test_network_that_cannot_be_copied_is_named():
    class Closed(keras.Model):
        def __init__(self, parts):
            super().__init__()
            self.parts = parts

        def call(self, latents):
            for part in self.parts:
                latents = part(latents)
            return latents

    model = kg.GAN(Closed([L.Dense(64), L.Reshape(SHAPE)]), _networks()[1], LATENT, name="a")
    model.compile()
    model.fit(_data(8), verbose=0)
    with pytest.raises(
        ValueError, match=r"ema_decay needs a copy .*Closed could not be made again .*get_config"
    ):
        model.compile(ema_decay=0.9)


def test_uncompiled_model_is_saved(tmp_path):
    model = kg.GAN(*_networks(), LATENT, seed=5)
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(model.sample(2, seed=0), again.sample(2, seed=0))
    assert again.seed == 5
