"""Training throughput of WGAN-GP: keras-gen's `model.fit` against PyTorch and the hand-written Keras step.

One step is three critic updates with gradient penalty and one generator update on BATCH real images, on the
28x28 networks of the common Keras example, the same in all three. Every measurement is a process of its own,
ours and the peers' take turns, and the ratios are taken round by round, so that a machine whose speed drifts
treats all alike. Ours is timed within `fit`, between the ends of steps, with metrics and callbacks.

    pip install -e ".[benchmark]"
    python benchmarks/train_throughput.py

prints one JSON line a measurement, then a summary for each precision: medians, and ratios to each peer.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from processes import run

PEERS = Path(__file__).parent / "peers"
CRITIC_STEPS = 3


def measure_ours(batch: int, precision: str, steps: int) -> dict:
    """Times `fit` in this process: the median step after three that warm up."""
    import keras_gen as kg

    import numpy as np

    from clock import Clock

    model = kg.build(
        "wgan-gp",
        (28, 28, 1),
        preset="dcgan-28",
        precision=precision,
        discriminator_steps=CRITIC_STEPS,
        seed=0,
    )
    images = np.random.default_rng(0).uniform(-1, 1, (batch * (steps + 3), 28, 28, 1)).astype("float32")
    clock = Clock()
    model.fit(images, batch_size=batch, verbose=0, callbacks=[clock])
    seconds = np.diff(clock.ends)[2:]
    median = float(np.median(seconds))
    return {
        "peer": "keras-gen",
        "dtype": precision,
        "batch": batch,
        "step_s": round(median, 4),
        "images_per_s": round(batch / median, 1),
    }


def contenders(batch: int, precision: str, steps: int) -> dict[str, list[str]]:
    """Each measurement's name and command, for one precision of ours."""
    torch, idiom = str(PEERS / "wgan_gp_torch.py"), str(PEERS / "wgan_gp_keras_idiom.py")
    ours = [__file__, "--single", precision, "--batch", str(batch), "--steps", str(steps)]
    result = {
        f"keras-gen {precision}": ours,
        "torch float32": [torch, str(batch), "float32"],
        "keras idiom float32": [idiom, str(batch)],
    }
    if precision == "bfloat16":
        result["torch bfloat16"] = [torch, str(batch), "bfloat16"]
    return result


def main() -> None:
    """Measures and prints; see the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64, help="images a step (default 64)")
    parser.add_argument(
        "--steps", type=int, default=10, help="timed steps of ours in each round (default 10)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of every contender (default 3)")
    parser.add_argument(
        "--precision", nargs="+", choices=("float32", "bfloat16"), default=["float32", "bfloat16"]
    )
    parser.add_argument("--single", choices=("float32", "bfloat16"), help="measure ours once and stop")
    options = parser.parse_args()
    if options.single:
        print(json.dumps(measure_ours(options.batch, options.single, options.steps)))
        return
    for precision in options.precision:
        commands = contenders(options.batch, precision, options.steps)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(options.rounds):
            for name, command in commands.items():
                line = run(command)
                times[name].append(line["step_s"])
                print(json.dumps({"round": number + 1, **line}), flush=True)
        ours, *peers = times
        summary = {
            "precision": precision,
            "batch": options.batch,
            "median_step_s": {name: statistics.median(values) for name, values in times.items()},
            "times_as_fast_as": {
                peer: round(
                    statistics.median(b / a for a, b in zip(times[ours], times[peer], strict=True)), 2
                )
                for peer in peers
            },
        }
        print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main()
