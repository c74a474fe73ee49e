"""A trained model by what a user calls it: a run folder, a file, or the styles of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from keras_gen import style
from keras_gen.callbacks.checkpoint import LAST
from keras_gen.runs.folder import Run
from keras_gen.runs.settings import Settings
from keras_gen.saved import load_model
from keras_gen.style.settings import began


class Trained(NamedTuple):
    """A model, its name for files, and the settings of its run where it has one."""

    model: Any
    name: str
    settings: Settings | None


def load_trained(source: str | Path, checkpoint: str = "last") -> Trained:
    """Loads a trained model.

    Args:
        source: a run folder of `train` or `train-style`, a .keras file, a packed .npz file, or
            one of `style.packed.PACKAGED`.
        checkpoint: "last" or "best", of a run of `train`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or holds no model of keras-gen.
    """
    path = Path(source)
    if not path.exists():
        if str(source) in style.packed.PACKAGED:
            return Trained(style.pretrained(source), str(source), None)
        raise FileNotFoundError(
            f"There is no {str(source)!r}: give a run folder, a .keras file, or "
            f"{' or '.join(style.packed.PACKAGED)}, which come with the package."
        )
    name = path.resolve().stem if path.is_file() else path.resolve().name
    file = path / "checkpoints" / LAST if path.is_dir() else path
    run = Run(path)
    if (run.config.is_file() and not began(run)) or (path.is_dir() and not file.is_file()):
        return Trained(run.load(checkpoint), name, run.settings())
    if file.suffix == ".npz":
        return Trained(style.pretrained(file), name, None)
    return Trained(load_model(file), name, None)
