"""`keras-gen benchmark FILE.tflite`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_gen.cli.console import say, show
from keras_gen.cli.errors import explain

if TYPE_CHECKING:
    from keras_gen.export.latency import Run


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

    refused: Exception | None = None
    for path in dict.fromkeys(files):
        try:
            found = [latency.measure(path, number, runs) for number in dict.fromkeys(threads or (1, 2))]
        except (OSError, ValueError) as error:  # the others are measured all the same
            if refused is not None:
                show(explain(refused))
            refused = error
            continue
        inputs = ", ".join(f"{name} {about}" for name, about in found[0].inputs.items())
        say(f"{path}: {_size(path.stat().st_size)}, takes {inputs}")
        for run in found:
            say(f"  {_line(run)}")
    if refused is not None:
        raise refused


def _line(run: Run) -> str:
    from keras_gen.export import latency

    outside = ", ".join(f"{count} {name}" for name, count in run.outside.items())
    return (
        f"{run.threads} thread{'s' * (run.threads > 1):1}  median {latency.milliseconds(run.median_ms)}, "
        f"fastest {latency.milliseconds(run.fastest_ms)} of {run.runs}; "
        f"peak memory {_size(run.peak_memory_bytes)}; {run.partitions} "
        f"partition{'s' * (run.partitions != 1)}, outside of the delegate: {outside or 'none'}"
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
