"""Trains WGAN-GP under a strategy and writes what came of it; a process of its own for `test_distribute.py`.

Usage: distribute_worker.py STRATEGY OUT.npz [MODEL] [STEPS]; "none" is no strategy.
"""

import contextlib
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import keras_gen as kg

GLOBAL_BATCH = 16


def main(name: str, out: str, model_name: str = "wgan-gp", steps: str = "20") -> None:
    strategy = None if name == "none" else kg.distribute.strategy(name)
    data = kg.data.load("digits", batch_size=GLOBAL_BATCH, seed=3).take(int(steps))
    options = {"discriminator_steps": 2} if model_name.startswith("wgan") else {}
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = kg.build(model_name, (28, 28, 1), preset="dcgan-28", seed=7, ema_decay=0.9, **options)
    history = model.fit(data, verbose=0).history
    scores = model.evaluate(data.take(3), verbose=0, return_dict=True)
    latents = tf.data.Dataset.from_tensor_slices(model.latents(GLOBAL_BATCH, seed=0)).batch(GLOBAL_BATCH)
    images = model.predict(latents, verbose=0)
    logs = {name: values[0] for name, values in history.items()}
    weights = {f"weight_{i}": weight for i, weight in enumerate(model.get_weights())}
    if json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", 0) == 0:
        np.savez(
            out,
            images=images,
            step=model.step.numpy(),
            names=np.array([weight.path for weight in model.weights]),
            **{f"log_{key}": value for key, value in logs.items()},
            **{f"score_{key}": value for key, value in scores.items()},
            **weights,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
