"""`keras-gen benchmark FILE.tflite`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_gen.cli.console import say, show
from keras_gen.cli.errors import explain


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
        say(f"{path}: {latency.size(path.stat().st_size)}, takes {inputs}")
        for run in found:
            say(f"  {run}")
    if refused is not None:
        raise refused
