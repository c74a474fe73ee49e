"""Computes the numbers of tensorflow_addons.npz again, with tensorflow-addons itself.

    python record_tensorflow_addons.py OUT.npz [--compare]

It runs in an environment of its own (requirements-tensorflow-addons.txt), since tensorflow-addons cannot be
imported beside Keras 3. The inputs are read from the committed file beside this script, the outputs computed
and written to OUT.npz. With --compare it then exits with 1 if any output differs from the committed one by
more than 1e-5, and names it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

COMMITTED = Path(__file__).parent / "tensorflow_addons.npz"
INPUTS = ("x", "gamma", "beta", "kernel", "u", "image", "flow", "ema_start", "ema_grads")
LEARNING_RATE = 0.1  # of the plain SGD under the recorded moving average
TOLERANCE = 1e-5


def record(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of tensorflow-addons for the inputs, by key."""
    import tensorflow as tf
    import tensorflow_addons as tfa

    constant = tf.keras.initializers.Constant
    instance_norm = tfa.layers.InstanceNormalization(
        epsilon=1e-3,
        gamma_initializer=constant(inputs["gamma"]),
        beta_initializer=constant(inputs["beta"]),
    )

    spectral = tfa.layers.SpectralNormalization(
        tf.keras.layers.Conv2D(inputs["kernel"].shape[-1], 3, use_bias=False), power_iterations=1
    )
    spectral.build(inputs["x"].shape)
    spectral.w.assign(inputs["kernel"])
    spectral.u.assign(inputs["u"])
    spectral.normalize_weights()

    weights = tf.Variable(inputs["ema_start"])
    optimizer = tfa.optimizers.MovingAverage(tf.keras.optimizers.legacy.SGD(LEARNING_RATE), average_decay=0.9)
    for gradient in inputs["ema_grads"]:
        optimizer.apply_gradients([(tf.constant(gradient), weights)])

    outputs = {
        "instance_norm_eps1e_3": instance_norm(inputs["x"]),
        "spectral_kernel_1_iter": spectral.w,
        "spectral_u_after": spectral.u,
        "dense_image_warp": tfa.image.dense_image_warp(inputs["image"], inputs["flow"]),
        "gaussian_filter2d_5_1p2_reflect": tfa.image.gaussian_filter2d(inputs["image"], 5, 1.2, "REFLECT"),
        "ema_final": weights,
        "ema_average_decay0_9": optimizer.get_slot(weights, "average"),
    }
    return {key: value.numpy() for key, value in outputs.items()}


def differences(recorded: dict[str, np.ndarray], committed: dict[str, np.ndarray]) -> list[str]:
    """One sentence for each key that is missing or differs by more than the tolerance."""
    found = []
    for key in sorted(recorded.keys() | committed.keys()):
        if key not in recorded or key not in committed:
            found.append(f"{key} is only in the {'recorded' if key in recorded else 'committed'} numbers")
        elif recorded[key].shape != committed[key].shape:
            found.append(f"{key} has shape {recorded[key].shape}, committed is {committed[key].shape}")
        else:
            largest = np.abs(recorded[key].astype("float64") - committed[key]).max()
            if not largest <= TOLERANCE:  # so that NaN counts as a difference
                found.append(f"{key} differs by {largest:.3g}, more than {TOLERANCE:g}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the .npz file to write")
    parser.add_argument("--compare", action="store_true", help="fail if the committed numbers differ")
    arguments = parser.parse_args()

    with np.load(COMMITTED) as archive:
        committed = dict(archive)
    inputs = {key: committed[key] for key in INPUTS}
    recorded = {**inputs, **record(inputs)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(arguments.out, **recorded)
    print(f"Wrote {arguments.out}: {len(inputs)} inputs, {len(recorded) - len(inputs)} outputs.")
    if not arguments.compare:
        return 0
    found = differences(recorded, committed)
    for sentence in found:
        print(sentence, file=sys.stderr)
    print(f"Compared with {COMMITTED.name}: {len(found)} of {len(recorded)} keys differ.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
