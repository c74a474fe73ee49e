"""Latency and memory of a TFLite file, measured in a process of its own with nothing but the LiteRT runtime.

The parent calls `measure`. Run as a script, this file is that process: it imports neither TensorFlow nor
keras_gen, whose memory and threads would be measured too.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

#: Seconds after which a measurement ends, if it has made `_LEAST` runs.
_LONGEST, _LEAST = 3.0, 5


@dataclass(frozen=True)
class Run:
    """What one process measured.

    Args:
        threads: of the interpreter.
        runs: inferences that were timed, after two that warm up.
        median_ms, fastest_ms: of one inference.
        peak_memory_bytes: how much the process grew, at most, by loading the file and running it.
        partitions: parts of the graph that the XNNPACK delegate took.
        outside: operators, by name, that it left to TFLite's own kernels.
        inputs: what the file was run with, e.g. "float32 1x28x28x1", by name.
    """

    threads: int
    runs: int
    median_ms: float
    fastest_ms: float
    peak_memory_bytes: int
    partitions: int
    outside: dict[str, int]
    inputs: dict[str, str]

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        outside = ", ".join(f"{count} {name}" for name, count in self.outside.items())
        return (
            f"{threads:12}median {milliseconds(self.median_ms)}, fastest {milliseconds(self.fastest_ms)} of "
            f"{self.runs}; peak memory {size(self.peak_memory_bytes)}; {self.partitions} "
            f"partition{'s' * (self.partitions != 1)}, outside of the delegate: {outside or 'none'}"
        )


def milliseconds(value: float) -> str:
    """A latency in words, of three decimals where it is short."""
    return f"{value:.2f} ms" if value >= 1 else f"{value:.3f} ms"


def size(count: int) -> str:
    """A number of bytes in words."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def measure(path: str | os.PathLike[str], threads: int = 1, runs: int = 50) -> Run:
    """Measures a file with the LiteRT interpreter, in a new process.

    Args:
        path: a TFLite file of any origin; inputs of free size are run at the size that the file has.
        threads: of the interpreter.
        runs: at most; fewer, but five at least, where they would take more than three seconds.

    Returns:
        The measurements.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file cannot be run here, or threads or runs below one.
        ImportError: the LiteRT runtime is not installed.
    """
    path = Path(path)
    if threads < 1 or runs < 1:
        raise ValueError(f"threads and runs must be at least 1; received {threads} and {runs}.")
    if path.is_dir():
        raise IsADirectoryError(21, "This is a folder, not a TFLite file", str(path))
    if not path.is_file():
        raise FileNotFoundError(2, "There is no such file", str(path))
    # Not by -m: that would import keras_gen, and its modules' names must not hide others.
    command = [sys.executable, "-P", __file__, str(path), str(threads), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode == 0 and last.startswith("{"):
        found = json.loads(last)
        if "missing" in found:
            raise ImportError(
                f"Measuring needs the LiteRT runtime: pip install ai-edge-litert ({found['missing']})."
            )
        if "error" in found:
            reason = " ".join(found["error"].split())
            if _identifier(path) != b"TFL3" or "latbuffer" in reason:
                raise ValueError(f"{path} is not a TFLite file, or it is cut short.")
            raise ValueError(f"{path} cannot be run by LiteRT: {reason}")
        return Run(**found)
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise ValueError(
        f"{path} cannot be run by LiteRT: its process ended with code {done.returncode} ({reason}). The file "
        "may be damaged: export it again."
    )


def _identifier(path: Path) -> bytes:
    """What stands in a TFLite file's bytes 4 to 8."""
    with path.open("rb") as file:
        return file.read(8)[4:]


def _memory(peak: bool = False) -> int:
    """Bytes of physical memory of this process, now or at most."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    wanted = "VmHWM:" if peak else "VmRSS:"
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(wanted))


def undelegated(operators: list[dict]) -> list[dict]:
    """Operators that no delegate took: those not met on the way back from a delegate's outputs to its inputs.

    Args:
        operators: what an interpreter says of its own, of which it lists those that it has replaced too.
    """
    plain = [each for each in operators if each["op_name"] != "DELEGATE"]
    maker = {tensor: each["index"] for each in plain for tensor in each["outputs"]}
    inputs = {each["index"]: each["inputs"] for each in plain}
    inside: set[int] = set()
    for delegate in (each for each in operators if each["op_name"] == "DELEGATE"):
        known, waiting = {int(tensor) for tensor in delegate["inputs"]}, list(delegate["outputs"])
        while waiting:
            tensor = int(waiting.pop())
            if tensor in known or tensor not in maker:
                continue
            known.add(tensor)
            inside.add(maker[tensor])
            waiting.extend(inputs[maker[tensor]])
    return [each for each in plain if each["index"] not in inside]


def _run(path: str, threads: int, runs: int) -> dict:
    import numpy as np

    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        return {"missing": str(error)}
    before = _memory()
    try:
        interpreter = Interpreter(model_path=path, num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        return {"error": str(error)}
    random = np.random.default_rng(0)
    inputs = {}
    for about in interpreter.get_input_details():
        shape = "x".join(map(str, about["shape"]))
        inputs[about["name"]] = f"{np.dtype(about['dtype']).name} {shape}"
        values = random.uniform(-1, 1, about["shape"])
        if np.issubdtype(about["dtype"], np.integer):
            values = np.abs(values) * (255 if about["dtype"] == np.uint8 else 0)
        interpreter.set_tensor(about["index"], values.astype(about["dtype"]))
    try:
        for _ in range(2):
            interpreter.invoke()
    except RuntimeError as error:
        return {"error": str(error)}
    times: list[float] = []
    while len(times) < runs and (len(times) < _LEAST or sum(times) < _LONGEST):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    operators = interpreter._get_ops_details()
    return {
        "threads": threads,
        "runs": len(times),
        "median_ms": round(1e3 * statistics.median(times), 3),
        "fastest_ms": round(1e3 * min(times), 3),
        "peak_memory_bytes": max(_memory(peak=True) - before, 0),
        "partitions": sum(each["op_name"] == "DELEGATE" for each in operators),
        "outside": dict(sorted(Counter(each["op_name"] for each in undelegated(operators)).items())),
        "inputs": inputs,
    }


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
