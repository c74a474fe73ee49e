"""Quality on Fashion-MNIST within so many seconds: keras-gen's VAEs beside the same layers in plain PyTorch.

Every contender trains for the same time, tracing and first steps included, in a process of its own, ours and
PyTorch's in turns, ours with the moving average that `keras-gen train` keeps; then the bound on all 10,000
test images is taken, one draw each: `negative_elbo_nats`, smaller is better. Fashion-MNIST is read from a
folder in MNIST's format, such as that of Debian's package dataset-fashion-mnist.

    pip install -e ".[benchmark]"
    python benchmarks/quality.py --data /usr/share/datasets/fashion-mnist

prints one JSON line a contender and one a comparison, and takes about ten minutes. With `--throughput` it
times training steps instead, in interleaved rounds, in float32 and bfloat16.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
from pathlib import Path

import processes

PEER = str(Path(__file__).parent / "peers" / "vae_torch.py")
BATCH = 64
#: The models, and the length of their latent vectors.
CONTENDERS = [("vae", 16), ("vae", 100), ("beta-vae", 16), ("vq-vae", 64)]
#: Decay of our moving average, as `keras-gen train` sets it for a run of this length.
EMA = 0.997


def measure_ours(model: str, latent_dim: int, folder: str, precision: str, seconds: float, steps: int | None):
    """Trains in this process, for a time or for so many steps after five that warm up."""
    import keras_gen as kg

    import numpy as np

    from clock import Clock

    class Limited(Clock):
        """Ends training in time."""

        def on_train_begin(self, logs=None):
            super().on_train_begin()
            self.began = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if steps is None and self.ends[-1] - self.began > seconds:
                self.model.stop_training = True
                raise StopIteration

    data = kg.data.load(f"idx:{folder}", batch_size=BATCH)
    ema = EMA if kg.models.registry.MODELS[model].model.gains_by_average else None
    trained = kg.build(model, (28, 28, 1), latent_dim=latent_dim, precision=precision, seed=0, ema_decay=ema)
    clock = Limited()
    data = data.repeat() if steps is None else data.take(steps + 5)
    with contextlib.suppress(StopIteration):
        trained.fit(data, verbose=0, callbacks=[clock])
    result = {
        "peer": "keras-gen",
        "model": model,
        "latent_dim": latent_dim,
        "dtype": precision,
        "batch": BATCH,
        "steps": len(clock.ends),
        "step_s": round(float(np.median(np.diff(clock.ends)[4:])), 5),
    }
    if steps is None:
        test = kg.data.load(f"idx:{folder}", batch_size=500, split="test", shuffle=False)
        bounds = [trained.elbo(batch).elbo for batch in test.as_numpy_iterator()]
        result["negative_elbo_nats"] = round(-float(np.mean(np.concatenate(bounds))), 2)
    return result


def run(command: list[str]) -> dict:
    """Runs one measurement, prints its JSON line and returns it."""
    line = processes.run(command)
    print(json.dumps(line), flush=True)
    return line


def commands(model: str, latent_dim: int, folder: str, precision: str, amount: list[str]) -> tuple:
    """Ours, and the same in PyTorch."""
    sizes = ["--latent-dim", str(latent_dim), *amount]
    ours = [__file__, "--data", folder, "--single", model, "--precision", precision, *sizes]
    return ours, lambda dtype: [PEER, model, folder, "--dtype", dtype, *sizes]


def compare_quality(contenders: list, folder: str, seconds: float, precision: str) -> None:
    """Every model, ours and PyTorch's in turn, trained for the same time."""
    for model, latent_dim in contenders:
        ours, peer = commands(model, latent_dim, folder, precision, ["--seconds", str(seconds)])
        mine, other = run(ours), run(peer(precision))
        comparison = {
            "model": model,
            "latent_dim": latent_dim,
            "seconds": seconds,
            "negative_elbo_nats": {each["peer"]: each["negative_elbo_nats"] for each in (mine, other)},
            "steps": {each["peer"]: each["steps"] for each in (mine, other)},
        }
        print(json.dumps(comparison), flush=True)


def compare_throughput(contenders: list, folder: str, rounds: int, steps: int) -> None:
    """Seconds a step of every model, in rounds; ratios are taken round by round."""
    for model, latent_dim in contenders:
        for precision in ("float32", "bfloat16"):
            ours, peer = commands(model, latent_dim, folder, precision, ["--steps", str(steps)])
            dtypes = dict.fromkeys(("float32", precision))
            ratios: dict[str, list[float]] = {f"torch {dtype}": [] for dtype in dtypes}
            for _ in range(rounds):
                step = run(ours)["step_s"]
                for dtype in dtypes:
                    ratios[f"torch {dtype}"].append(run(peer(dtype))["step_s"] / step)
            times = {name: round(statistics.median(values), 2) for name, values in ratios.items()}
            summary = {
                "model": model,
                "latent_dim": latent_dim,
                "precision": precision,
                "times_as_fast_as": times,
            }
            print(json.dumps(summary), flush=True)


def main() -> None:
    """Measures and prints; see the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="folder of IDX files")
    names = list(dict.fromkeys(model for model, _ in CONTENDERS))
    parser.add_argument("--models", nargs="+", choices=names, default=names, help="which (default all)")
    parser.add_argument("--seconds", type=float, default=70, help="training time of each (default 70)")
    parser.add_argument("--throughput", action="store_true", help="time steps instead")
    parser.add_argument("--rounds", type=int, default=3, help="turns, with --throughput (default 3)")
    parser.add_argument("--steps", type=int, help="timed steps, with --throughput (default 40)")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--single", metavar="MODEL", help="measure ours once and stop")
    parser.add_argument("--latent-dim", type=int, default=16, help="with --single")
    options = parser.parse_args()
    if not any(Path(options.data).glob("train-images*")):
        raise SystemExit(f"{options.data} has no train-images file in MNIST's format: give --data FOLDER.")
    contenders = [each for each in CONTENDERS if each[0] in options.models]
    if options.single:
        chosen = (options.single, options.latent_dim, options.data, options.precision)
        print(json.dumps(measure_ours(*chosen, options.seconds, options.steps)))
    elif options.throughput:
        compare_throughput(contenders, options.data, options.rounds, options.steps or 40)
    else:
        compare_quality(contenders, options.data, options.seconds, options.precision)


if __name__ == "__main__":
    main()
