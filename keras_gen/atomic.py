"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, of the same ending; after the block it takes the place of `path`.

    The content is on the disk before the name points to it, so that a crash, a full disk or a loss of power
    leaves the file of before. Missing folders are made. An error in the block removes the temporary file.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Short, for a name may be as long as the system allows.
    temporary = path.with_name(f".{path.stem[:40]}-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        if os.name == "posix":
            _sync(path.parent)
    except OSError as error:
        if error.filename == str(temporary):
            with contextlib.suppress(AttributeError):  # PyAV's cannot be changed
                error.filename = str(path)  # the name that was asked for
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes a value as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files of processes that were killed while they wrote into a folder."""
    for ending in ("keras", "json", "csv", "png"):
        for path in folder.rglob(f".*-[0-9]*.{ending}"):
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Brings everything within a folder to the disk, before a rename that makes it known."""
    for path in [*folder.rglob("*"), folder]:
        if os.name == "posix" or path.is_file():
            _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
