"""A small WGAN-GP to correct, and what corrections and Hessians give under a strategy, or under none."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

import keras_gen as kg


def model() -> kg.WGANGP:
    """Smooth, with batch normalization in the generator and dropout in the discriminator."""
    keras.utils.set_random_seed(0)
    layers = kg.layers
    generator = [keras.Input((4,)), layers.Dense(16), layers.BatchNormalization(), layers.Activation("tanh")]
    discriminator = [keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(8, activation="tanh")]
    return kg.WGANGP(
        keras.Sequential([*generator, layers.Dense(16, activation="tanh"), layers.Reshape((4, 4, 1))]),
        keras.Sequential([*discriminator, layers.Dropout(0.25), layers.Dense(1)]),
        latent_dim=4,
        discriminator_steps=1,
        seed=1,
    )


def curvature(strategy) -> dict[str, np.ndarray]:
    """A Hessian over data in shares, the last batch a smaller one, with statistics of the global batch."""
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        first = [keras.Input((5,)), kg.layers.Dense(4, activation="tanh"), kg.layers.BatchNormalization()]
        network = keras.Sequential([*first, kg.layers.Dense(1)])
    points = np.random.default_rng(0).standard_normal((20, 5)).astype("float32")

    def loss(batch):
        return tf.reduce_mean((network(batch, training=True) - batch[:, :1]) ** 2)

    data = tf.data.Dataset.from_tensor_slices(points).batch(8)
    hessian = kg.curvature.Hessian(loss, network.trainable_variables, data=data)
    run = kg.curvature.krylov.lanczos(hessian, np.ones(hessian.shape[0], "float32"), 4)
    return {"hessian": hessian.dense(), "lanczos": run.diagonal, "gradient": hessian.gradient()}


def corrected(strategy) -> dict[str, np.ndarray]:
    """Weights and logs of a training with corrections for both players."""
    with strategy.scope() if strategy else contextlib.nullcontext():
        made = model()
        correction = kg.curvature.SingularityCorrection
        made.compile(
            generator_optimizer=keras.optimizers.SGD(0.1),
            discriminator_optimizer=keras.optimizers.SGD(0.1),
            generator_correction=correction(iterations=3),
            discriminator_correction=correction(iterations=3, saddle_free=True, trust_radius=0.5),
        )
    images = np.random.default_rng(0).uniform(-1, 1, (24, 4, 4, 1)).astype("float32")
    history = made.fit(images, batch_size=8, shuffle=False, verbose=0).history
    values = {f"weight_{i}": weight for i, weight in enumerate(made.get_weights())}
    return values | {f"log_{key}": value for key, value in history.items()}
