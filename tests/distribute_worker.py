"""Trains small models of each kind under a strategy and writes the results; for `test_distribute`.

Usage: distribute_worker.py STRATEGY OUT.npz; "none" is no strategy.
"""

import contextlib
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from curvature.correction_examples import corrected, curvature

import keras_gen as kg

SHAPE = (28, 28, 1)
GLOBAL_BATCH = 16
STEPS = 20
LATENTS = GLOBAL_BATCH + 1  # of the last batch one replica has nothing


def _train() -> tuple[kg.WGANGP, dict]:
    """Convolutions, batch normalization and dropout as in `networks.dcgan`, but smooth.

    A LeakyReLU that changes sides by a rounding changes the gradient, and Adam makes much of that.
    """
    keras.utils.set_random_seed(7)
    layers = kg.layers
    generator = [keras.Input((16,)), layers.Dense(7 * 7 * 16), layers.Reshape((7, 7, 16))]
    for filters in (16, 8):
        convolution = layers.UpSamplingConv2D(filters, use_bias=False)
        generator += [convolution, layers.BatchNormalization(), layers.Activation("tanh")]
    discriminator = [keras.Input(SHAPE)]
    for filters in (8, 16, 32):
        convolution = layers.Conv2D(filters, 5, strides=2, padding="same", activation="tanh")
        discriminator += [convolution, layers.Dropout(0.3)]
    model = kg.WGANGP(
        keras.Sequential([*generator, layers.Conv2D(1, 3, padding="same", activation="tanh")]),
        keras.Sequential([*discriminator, layers.Flatten(), layers.Dense(1)]),
        latent_dim=16,
        discriminator_steps=2,
        seed=7,
    )
    model.compile(ema_decay=0.9, gradient_clip_norm=5.0)
    data = kg.data.load("digits", batch_size=GLOBAL_BATCH, seed=3).take(STEPS)
    history = model.fit(data, verbose=0).history
    # A last batch of one: the other replica has none.
    held_out = kg.data.load("digits", batch_size=GLOBAL_BATCH, shuffle=False, split="test[:49]")
    return model, {
        **{f"log_{name}": values[0] for name, values in history.items()},
        **{f"score_{k}": v for k, v in model.evaluate(held_out, verbose=0, return_dict=True).items()},
    }


def _users_networks() -> bool:
    """Keras's own layers, whose random numbers and statistics are each replica's own, weights clipped."""
    layers = keras.layers
    generator = keras.Sequential(
        [keras.Input((4,)), layers.Dense(784), layers.BatchNormalization(), layers.Reshape(SHAPE)]
    )
    discriminator = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Flatten(),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(1),
        ]
    )
    model = kg.WGAN(generator, discriminator, latent_dim=4, discriminator_steps=1, seed=1)
    model.compile(steps_per_execution=2, ema_decay=0.5)
    before = model.get_weights()
    model.fit(kg.data.load("digits", batch_size=GLOBAL_BATCH).take(3), verbose=0)
    weights = [weight.numpy() for weight in discriminator.trainable_weights]
    changed = any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    bounded = max(np.abs(weight).max() for weight in weights) <= np.float32(0.01)
    return bool(changed and bounded and int(model.step.numpy()) == 3)


def _refusal_of_uneven_shares() -> str:
    layers = keras.layers
    generator = keras.Sequential([keras.Input((4,)), layers.Dense(784), layers.Reshape(SHAPE)])
    discriminator = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(1)])
    model = kg.WGAN(generator, discriminator, latent_dim=4, discriminator_steps=1, seed=1)
    model.compile()
    try:
        model.fit(kg.data.load("digits", batch_size=3, split="train[:6]"), verbose=0)
    except ValueError as error:
        return str(error)
    return "trained"


def _autoencoders() -> dict:
    """A VAE, whose active units are counted over all replicas, and a VQ-VAE, whose codebook follows all."""
    keras.utils.set_random_seed(7)
    vae = kg.build("vae", SHAPE, preset="vae-mlp", latent_dim=4, seed=7, ema_decay=0.9)
    vqvae = kg.VQVAE(
        keras.Sequential(
            [keras.Input(SHAPE), kg.layers.Conv2D(4, 5, strides=4, padding="same", activation="tanh")]
        ),
        keras.Sequential([keras.Input((7, 7, 4)), kg.layers.Conv2DTranspose(1, 4, strides=4)]),
        keras.Sequential([keras.Input((49,), dtype="int32"), keras.layers.Embedding(9, 8)]),
        latent_dim=4,
        num_codes=8,
        seed=7,
    )
    vqvae.compile()
    values = {}
    for name, model in (("vae", vae), ("vqvae", vqvae)):
        data = kg.data.load("digits", batch_size=GLOBAL_BATCH, seed=3).take(5)
        history = model.fit(data, verbose=0).history
        values |= {f"log_{name}_{key}": logged[0] for key, logged in history.items()}
        values |= {f"weight_{name}_{i}": weight for i, weight in enumerate(model.get_weights())}
        values[f"sample_{name}"] = model.sample(4, seed=0)
    return values


def _styles() -> dict:
    """Both style systems, by a VGG of random weights, whose loss and paintings all replicas share."""
    random = np.random.default_rng(0)
    # Of 16 pixels a side the smallest features are 2x2, and normalizing four numbers enlarges roundings.
    photographs, paintings = random.uniform(-1, 1, (2, 9, 32, 32, 3)).astype("float32")
    keras.utils.set_random_seed(7)
    networks, options = kg.networks, {"features": {"backbone": "random"}, "seed": 7}
    fast = kg.style.FastStyleTransfer(
        networks.transformer_net(2, width=8, separable=True, blocks=1),
        ["a", "b"],
        temporal_weight=1.0,
        **options,
    )
    adain = kg.style.AdaINStyleTransfer(
        networks.small_encoder(4), networks.style_decoder(32, width=4), **options
    )
    # Plain steps: a rounding turns a rectifier of VGG on here and not there, now and then, and Muon and Adam,
    # which divide by a gradient's size, make a large step of what that does to a small gradient.
    fast.compile(keras.optimizers.SGD(3e-4), ema_decay=0.9)
    adain.compile(keras.optimizers.SGD(3e-4))
    fast.adapt(paintings[:2])
    fast.fit(photographs[:8], batch_size=4, shuffle=False, verbose=0)
    pairs = tf.data.Dataset.from_tensor_slices((photographs, paintings)).batch(4)
    logs = adain.fit(pairs.take(1), verbose=0).history
    scores = adain.evaluate(pairs, verbose=0, return_dict=True)  # a last batch of one
    styles = tf.one_hot([0, 1, 1, 0, 1], 2)
    fives = ([photographs[:5], styles], [photographs[:5], paintings[:5]])  # a last batch of one
    predicted = [
        model.predict(five, batch_size=4, verbose=0) for model, five in zip((fast, adain), fives, strict=True)
    ]
    return {
        **{f"fast_{i}": weight for i, weight in enumerate(fast.get_weights())},
        **{f"adain_{i}": weight for i, weight in enumerate(adain.get_weights())},
        **{f"log_{key}": values[0] for key, values in logs.items()},
        **{f"score_{key}": value for key, value in scores.items()},
        "fast_painted": fast.stylize(photographs[0], "b"),
        "fast_predicted": predicted[0],
        "adain_predicted": predicted[1],
        "adain_painted": adain.stylize(photographs[0], paintings[0]),
    }


def main(name: str, out: str) -> None:
    strategy = None if name == "none" else kg.distribute.strategy(name)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model, values = _train()
        values |= _autoencoders()
        if name != "multi-worker":
            values |= {f"style_{key}": value for key, value in _styles().items()}
        latents = tf.data.Dataset.from_tensor_slices(model.latents(LATENTS, seed=0)).batch(GLOBAL_BATCH)
    values["images"] = model.predict(latents, verbose=0)
    values["sample"] = model.sample(LATENTS, seed=0)
    if name != "multi-worker":
        found = corrected(strategy) | curvature(strategy)
        values |= {f"correction_{key}": value for key, value in found.items()}
    if name == "cpu:2":
        with strategy.scope():
            values["users_networks"] = _users_networks()
            values["uneven"] = _refusal_of_uneven_shares()
    optimizers = [*model.generator_optimizer.variables, *model.discriminator_optimizer.variables]
    for kind, variables in (("weight", model.weights), ("slot", optimizers)):
        values |= {f"{kind}_{i}_{v.path.replace('/', '.')}": v.numpy() for i, v in enumerate(variables)}
    if json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", 0) == 0:
        np.savez(out, step=model.step.numpy(), **values)


if __name__ == "__main__":
    main(*sys.argv[1:])
