"""`keras-gen benchmark FILE.tflite`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_gen.cli.console import console


def benchmark(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="TFLite files of any origin.")],
    threads: Annotated[
        list[int] | None,
        typer.Option("--threads", "-t", min=1, help="Threads; repeatable.  [default: 1 and 2]"),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Inferences, at most; five at least.")] = 50,
) -> None:
    """Measure latency and memory of TFLite files with LiteRT, on the CPU of this machine.

    Each measurement is a process of its own, with nothing in it but the runtime. Peak memory is what loading
    the file and running it add to that process. Operators that the XNNPACK delegate does not take are named.
    """
    from keras_gen.export import latency

    found = {}
    for path in files:
        if path in found:
            continue
        found[path] = [latency.measure(path, number, runs) for number in dict.fromkeys(threads or (1, 2))]
    _show(found)


def _show(found: dict[Path, list]) -> None:
    from rich.table import Table
    from rich.text import Text

    from keras_gen.export import latency

    table = Table("file", "inputs")
    for name in ("threads", "median", "fastest", "runs", "peak memory", "size", "partitions"):
        table.add_column(name, justify="right")
    table.add_column("outside the delegate")
    for path, measured in found.items():
        for run in measured:
            outside = ", ".join(f"{count} {name}" for name, count in run.outside.items())
            table.add_row(
                Text(str(path)),
                Text("\n".join(f"{name}: {about}" for name, about in run.inputs.items())),
                str(run.threads),
                latency.milliseconds(run.median_ms),
                latency.milliseconds(run.fastest_ms),
                str(run.runs),
                _size(run.peak_memory_bytes),
                _size(path.stat().st_size),
                str(run.partitions),
                outside or "none",
            )
    console().print(table, soft_wrap=False)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
