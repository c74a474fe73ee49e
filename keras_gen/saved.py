"""Models read from .keras files, in whatever state those are."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras


def load_model(path: Path) -> keras.Model:
    """The model in a .keras file, which must be there.

    Raises:
        ValueError: it is damaged, of another version, or no model.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:  # of which the system's errors are no damage
        whole = zipfile.is_zipfile(file)
    try:
        if not whole:
            raise ValueError("it is empty or cut short")
        return keras.saving.load_model(path)
    except MemoryError:
        raise
    except Exception as error:  # a damaged archive fails in many ways
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ValueError(
            f"{path} is damaged, of another version, or not a model of Keras ({reason[:200].rstrip('.')})."
        ) from error
