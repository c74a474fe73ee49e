"""A lock on a folder that ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

LOCK = ".lock"
_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a folder, which must be there, for the length of the block.

    The operating system lets go of the lock when the process ends, however it ends: none is left behind.

    Raises:
        BlockingIOError: another process has it.
        OSError: the folder cannot be written to.
    """
    path = folder / LOCK
    # Not truncated on opening: the number in it is the owner's. Of fixed width, so that it overwrites whole.
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _lock(handle)
        except OSError as error:
            if error.errno not in _TAKEN:
                # Some network file systems have no locks: better unguarded than unusable.
                warnings.warn(
                    f"{folder} cannot be locked ({error.strerror}): start no second run on it.", stacklevel=3
                )
            else:
                owner = (
                    os.pread(handle, 32, 1).decode(errors="replace").strip() if hasattr(os, "pread") else ""
                )
                raise BlockingIOError(
                    f"{folder} is in use by another process{f' ({owner})' if owner else ''}: "
                    "wait for it, stop it, or choose another folder."
                ) from None
        os.lseek(handle, 1, os.SEEK_SET)
        os.write(handle, f"{os.getpid():<15}".encode())
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Takes the lock on an open file, or raises an OSError; closing the file gives it back."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
