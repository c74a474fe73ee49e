"""What all commands share: the console, TensorFlow without its greetings, and values as options."""

from __future__ import annotations

import ast
import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_A_LINE = 60.0  # seconds, from one line of progress to the next where there is no terminal


def console(stderr: bool = False) -> Console:
    """A console that writes plain lines, unwrapped, where there is no terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Prints a line as it is."""
    console().print(message, markup=False)


def counted(count: int, noun: str) -> str:
    """A number of things: "1 frame", "2 frames"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def naming(path: Path) -> str:
    """How a file that is about to be written will be named: with a word where it takes another's place."""
    return f"{path} (replaced)" if path.exists() else str(path)


def show(message: str, kind: str = "Error", style: str = "bold red") -> None:
    """Prints a line on standard error."""
    from rich.text import Text

    console(stderr=True).print(Text.assemble((f"{kind}: ", style), message))


@contextlib.contextmanager
def bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error that is moved by what is done and what there is; without a terminal, lines."""
    shown = console(stderr=True)
    if not shown.is_terminal:
        yield _lines(name, shown)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24))
    with Progress(
        *columns, MofNCompleteColumn(), TimeRemainingColumn(), console=shown, transient=True
    ) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lines(name: str, shown: Console) -> Callable[[int, int | None], None]:
    """What a log of hours is to have: where it is and how long it will be, each minute."""
    due = time.monotonic() + _A_LINE
    first: tuple[float, int] | None = None  # when it began, and after how many: a run may be gone on with

    def advance(done: int, total: int | None) -> None:
        nonlocal due, first
        now = time.monotonic()
        since, before = first = first or (now, done)
        if now < due:
            return
        due = now + _A_LINE
        line = f"{name}: {done}" if total is None else f"{name}: {done} of {total}"
        if total is not None and done > before:
            seconds = (total - done) * (now - since) / (done - before)
            line += f", {timedelta(seconds=round(seconds))} left"
        shown.print(line, markup=False)

    return advance


def start_tensorflow() -> None:
    """Imports TensorFlow and Keras without their messages about devices; later warnings are one line each."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["KERAS_BACKEND"] = "tensorflow"
        with _silent_stderr():
            import tensorflow as tf

            tf.config.list_physical_devices()
        tf.get_logger().setLevel("ERROR")
    warnings.showwarning = _show_warning


def parse_assignments(assignments: list[str] | None) -> dict[str, Any]:
    """`["penalty_weight=5", "one_sided=true"]` as a dict; values are Python literals, or else text.

    Raises:
        ValueError: one without a name or an equals sign, or a name that is set twice.
    """
    options: dict[str, Any] = {}
    for assignment in assignments or []:
        name, equals, value = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise ValueError(
                f"--set takes NAME=VALUE, e.g. --set discriminator_steps=3; received {assignment!r}."
            )
        if name in options:
            raise ValueError(f"--set gives {name} twice.")
        options[name] = _literal(value.strip())
    return options


def _literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    # Not those that are for programmers: deprecations, future changes.
    if issubclass(category, (UserWarning, RuntimeWarning)):
        show(" ".join(str(message).split()), kind="Warning", style="yellow")


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Sends what C++ writes to standard error nowhere: it does so before it has read the log level."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
