"""Hessian-vector products, Lanczos and their memory against PyTorch: same network, weights and data.

The peers are `torch.func` (forward over reverse, and reverse over reverse) and Lanczos as PyHessian goes
about it: a double backward a step, vectors as Python lists, full reorthogonalization. Every measurement is a
process of its own, ours and the peer's take turns, and ratios are taken round by round. Last, the time of a
training step with `SingularityCorrection`, in some settings, against a plain one.

    pip install -e ".[benchmark]"
    python benchmarks/curvature.py

prints one JSON line a measurement, then a summary.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from processes import run

PEER = Path(__file__).parent / "peers" / "curvature_torch.py"


def problem(path: Path, batch: int):
    """The network (0.3 million parameters), its loss, and all numbers written for the peer."""
    import keras_gen as kg

    import keras
    import numpy as np
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    layers = kg.layers
    stack = [keras.Input((28, 28, 1))]
    for filters in (32, 64, 128):
        stack += [layers.Conv2D(filters, 5, strides=2, padding="same"), layers.LeakyReLU(negative_slope=0.2)]
    model = keras.Sequential([*stack, layers.Flatten(), layers.Dense(10)])
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (batch, 28, 28, 1)).astype("float32")
    labels = random.integers(0, 10, batch).astype("int32")
    weights = {f"weight_{i}": v.numpy() for i, v in enumerate(model.trainable_variables)}
    np.savez(path, images=images, labels=labels, **weights)

    def loss():
        logits = model(images, training=True)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))

    return kg.curvature.Hessian(loss, model.trainable_variables), loss


def median_seconds(function, repeats: int) -> float:
    """The median time of a call, after two that warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def measure_ours(path: Path, batch: int, repeats: int, steps: int) -> dict:
    """Times gradients, products and Lanczos in this process."""
    from keras_gen.curvature import krylov

    import tensorflow as tf

    hessian, loss = problem(path, batch)
    vector = tf.random.stateless_normal(hessian.shape[:1], (0, 0))
    several = tf.random.stateless_normal((hessian.shape[0], 8), (0, 0))

    def lanczos():
        return krylov.lanczos(hessian, vector, steps)

    return {
        "peer": "keras-gen",
        "gradient_s": median_seconds(hessian.gradient, repeats),
        "matvec_s": median_seconds(lambda: hessian.matvec(vector), repeats),
        "matvecs_8_s": median_seconds(
            lambda: [hessian.matvec(column) for column in tf.unstack(several, axis=1)], 3
        ),
        "matmat_8_s": median_seconds(lambda: hessian.matmat(several), 3),
        "lanczos_s": median_seconds(lanczos, 1),
        "loss": float(loss()),
    }


def measure_training(path: Path, batch: int, repeats: int) -> dict:
    """The time of a training step with a correction, of each setting, in plain steps."""
    from keras_gen.curvature import SingularityCorrection

    import keras
    import tensorflow as tf

    hessian, loss = problem(path, batch)
    variables = hessian.variables
    settings: dict[str, dict | None] = {
        "plain": None,
        "default": {},
        "warm_start=False": {"warm_start": False},
        "iterations=4": {"iterations": 4},
        "iterations=2, warm_start=False": {"iterations": 2, "warm_start": False},
        "every=4": {"every": 4},
    }
    seconds = {}
    for name, options in settings.items():
        optimizer = keras.optimizers.Adam(1e-4)
        optimizer.build(variables)
        correction = None if options is None else SingularityCorrection(**options)
        if correction is not None:
            correction.prepare(variables)

        @tf.function(autograph=False)
        def step(correction=correction, optimizer=optimizer):
            with tf.GradientTape() as tape:
                value = loss()
            gradients = tape.gradient(value, [v.value for v in variables])
            if correction is not None:
                gradients, _, _ = correction.correct(gradients, variables, loss)
                correction.keep()
            optimizer.apply(gradients, variables)

        def steps(step=step):
            for _ in range(4):
                step()

        seconds[name] = median_seconds(steps, max(2, repeats // 3)) / 4
    plain = seconds["plain"]
    return {
        "plain_step_s": round(plain, 4),
        "step_in_plain_steps": {name: round(value / plain, 1) for name, value in seconds.items()},
    }


def measure_memory(path: Path, batch: int, what: str) -> dict:
    """The growth of this process's peak resident memory over ten calls of one kind."""
    import tensorflow as tf

    hessian, _ = problem(path, batch)
    vector = tf.ones(hessian.shape[:1])
    call = hessian.gradient if what == "gradient" else lambda: hessian.matvec(vector)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10):
        call()
    return {"memory": what, "peak_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def main() -> None:
    """Measures and prints; see the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64, help="images (default 64)")
    parser.add_argument("--repeats", type=int, default=10, help="timed calls in a round (default 10)")
    parser.add_argument("--steps", type=int, default=100, help="Lanczos steps (default 100)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument(
        "--single", choices=("time", "training", "gradient", "matvec"), help="measure ours once and stop"
    )
    parser.add_argument("--file", type=Path, help="where the peer finds the numbers")
    options = parser.parse_args()
    if options.single == "time":
        print(json.dumps(measure_ours(options.file, options.batch, options.repeats, options.steps)))
        return
    if options.single == "training":
        print(json.dumps(measure_training(options.file, options.batch, options.repeats)))
        return
    if options.single:
        print(json.dumps(measure_memory(options.file, options.batch, options.single)))
        return
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "problem.npz")
        shared = [
            "--batch",
            str(options.batch),
            "--repeats",
            str(options.repeats),
            "--steps",
            str(options.steps),
        ]
        own = [__file__, "--file", file, *shared, "--single"]
        for number in range(options.rounds):
            ours.append(run([*own, "time"]))
            theirs.append(run([str(PEER), file, str(options.repeats), str(options.steps)]))
            for line in (ours[-1], theirs[-1]):
                print(json.dumps({"round": number + 1, **line}), flush=True)
        training = run([*own, "training"])
        memory = {what: run([*own, what])["peak_mb"] for what in ("gradient", "matvec")}

    def ratio(a, b):
        return round(statistics.median(x / y for x, y in zip(a, b, strict=True)), 2)

    def column(lines, name):
        return [line[name] for line in lines]

    best = [min(line["jvp_of_grad_s"], line["vjp_of_grad_s"]) for line in theirs]
    summary = {
        "product_in_gradients": ratio(column(ours, "matvec_s"), column(ours, "gradient_s")),
        "times_as_fast_as_torch_func": ratio(best, column(ours, "matvec_s")),
        "lanczos_times_as_fast_as_pyhessian": ratio(column(theirs, "lanczos_s"), column(ours, "lanczos_s")),
        "matmat_of_8_in_matvecs_of_8": ratio(column(ours, "matmat_8_s"), column(ours, "matvecs_8_s")),
        "memory_in_gradients": round(memory["matvec"] / memory["gradient"], 2),
        "memory_mb": {name: round(value, 1) for name, value in memory.items()},
        **training,
        "losses": [ours[0]["loss"], theirs[0]["loss"]],
    }
    print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main()
