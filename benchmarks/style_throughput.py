"""Training throughput of fast style transfer: keras-gen's `model.fit` against PyTorch eager.

One step is the feed-forward network, VGG-16 features of photograph and picture, the perceptual loss, and
Adam, the same in both, with random weights, whose speed is that of any. Every measurement is a process of its
own, ours and the peers' take turns, and ratios are taken round by round, so that a machine whose speed drifts
treats all alike. PyTorch runs in both memory layouts, and the faster one counts. Ours is timed within `fit`.

    pip install -e ".[benchmark]"
    python benchmarks/style_throughput.py

prints one JSON line a measurement, then a summary for each precision: medians, and ratios to the peers.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from processes import run

PEER = Path(__file__).parent / "peers" / "style_torch.py"
STYLES = 8


def measure_ours(batch: int, precision: str, steps: int, size: int, width: int, separable: bool) -> dict:
    """Times `fit` in this process: the median step after three that warm up."""
    from keras_gen.networks.transformer_net import transformer_net
    from keras_gen.optimizers import Adam
    from keras_gen.precision import scope
    from keras_gen.style import FastStyleTransfer

    import numpy as np

    from clock import Clock

    with scope(precision):
        network = transformer_net(STYLES, width=width, separable=separable)
    model = FastStyleTransfer(network, range(STYLES), features={"backbone": "random"}, seed=0)
    model.compile(Adam(1e-3))
    rng = np.random.default_rng(0)
    model.adapt(list(rng.uniform(-1, 1, (STYLES, 64, 64, 3)).astype("float32")))
    images = rng.uniform(-1, 1, (batch * (steps + 3), size, size, 3)).astype("float32")
    clock = Clock()
    model.fit(images, batch_size=batch, verbose=0, callbacks=[clock])
    median = float(np.median(np.diff(clock.ends)[2:]))
    return {
        "peer": "keras-gen",
        "dtype": precision,
        "batch": batch,
        "step_s": round(median, 4),
        "images_per_s": round(batch / median, 2),
    }


def main() -> None:
    """Measures and prints; see the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=4, help="images a step (default 4)")
    parser.add_argument("--size", type=int, default=256, help="side of the images (default 256)")
    parser.add_argument("--width", type=int, default=16, help="width of the network (default 16)")
    parser.add_argument("--separable", action="store_true", help="separable residual blocks")
    parser.add_argument("--steps", type=int, default=6, help="timed steps in each round (default 6)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every contender (default 3)")
    parser.add_argument(
        "--precision", nargs="+", choices=("float32", "bfloat16"), default=["float32", "bfloat16"]
    )
    parser.add_argument("--single", choices=("float32", "bfloat16"), help="measure ours once and stop")
    options = parser.parse_args()
    if options.single:
        sizes = (options.size, options.width, options.separable)
        print(json.dumps(measure_ours(options.batch, options.single, options.steps, *sizes)))
        return
    shared = [f"--size={options.size}", f"--steps={options.steps}", f"--width={options.width}"]
    shared += ["--separable"] if options.separable else []
    commands = {}
    for precision in options.precision:
        commands[f"keras-gen {precision}"] = [__file__, "--single", precision, "--batch", str(options.batch)]
        commands[f"torch {precision}"] = [str(PEER), str(options.batch), precision]
        commands[f"torch {precision} channels_last"] = [
            *commands[f"torch {precision}"],
            "--channels-last",
        ]
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(options.rounds):
        for name, command in commands.items():
            line = run([*command, *shared])
            times[name].append(line["step_s"])
            print(json.dumps({"round": number + 1, **line}), flush=True)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for precision in options.precision:
        ours = times[f"keras-gen {precision}"]
        ratios = {}
        for kind in options.precision:
            best = min((name for name in times if name.startswith(f"torch {kind}")), key=medians.__getitem__)
            pairs = zip(ours, times[best], strict=True)
            ratios[best] = round(statistics.median(theirs / own for own, theirs in pairs), 2)
        summary = {"precision": precision, "batch": options.batch, "times_as_fast_as": ratios}
        print(json.dumps({**summary, "median_step_s": medians}), flush=True)


if __name__ == "__main__":
    main()
