"""The run folder: where everything of a run is, and its checkpoints read with care."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras_gen.models  # noqa: F401 (registers the classes that checkpoints name)
from keras_gen import atomic
from keras_gen.callbacks.checkpoint import BEST, LAST
from keras_gen.models.latent_variable import LatentVariableModel
from keras_gen.runs.lock import LOCK, locked
from keras_gen.runs.settings import Settings
from keras_gen.saved import load_model

_FILES = {"last": LAST, "best": BEST}


class Run:
    """A run folder.

    ```
    config.json                 the settings, and the versions of what was installed
    checkpoints/last.keras      after the last epoch, or where training was interrupted
    checkpoints/best.keras      after the epoch of the smallest Fréchet distance, or the last
    history.csv, losses.png     every log of every epoch
    samples/epoch-0001.png …    the same latent vectors each time
    logs/                       TensorBoard's
    evaluation.json             what `evaluate` measured
    ```

    Args:
        folder: its path; it need not be there.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self.config = self.folder / "config.json"
        self.checkpoints = self.folder / "checkpoints"
        self.history = self.folder / "history.csv"
        self.losses = self.folder / "losses.png"
        self.logs = self.folder / "logs"
        self.evaluation = self.folder / "evaluation.json"
        self.means = self.checkpoints / "interrupted.json"

    @contextlib.contextmanager
    def new(self, settings: Settings) -> Iterator[Settings]:
        """Makes the folder and locks it, for the length of the block, in which `train` writes the settings.

        Where it does not come to that, since the model cannot be built, nothing is left behind.

        Args:
            settings: open choices are made first; the block gets them so.

        Raises:
            FileExistsError: the folder holds something, other than a run that failed in its first epoch.
            BlockingIOError: another process is at work on it.
            OSError: it cannot be written.
        """
        self.refuse_content()
        settings = settings.resolved()
        with self.held():
            self.refuse_content()
            yield settings

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Makes the folder where there is none, and keeps other processes out for the length of the block.

        Where no settings are in it after that, nothing is left behind.

        Raises:
            FileExistsError: a file has its name.
            BlockingIOError: another process is at work on it.
            OSError: it cannot be written.
        """
        self._refuse_file()
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder):
            if self.config.exists():  # else it is no run, whose files are anybody's
                atomic.remove_leftovers(self.folder)
            try:
                yield
            finally:
                if not self.config.exists():
                    with contextlib.suppress(OSError):  # the folder may hold something by now
                        (self.folder / LOCK).unlink()
                        self.folder.rmdir()

    def refuse_content(self) -> None:
        """Raises FileExistsError where the folder holds something, but for a run that failed at once."""
        self._refuse_file()
        if self.config.exists():
            if not self.history.exists() and not self.checkpoints.exists():
                return  # it failed in its first epoch: there is nothing to keep
            raise FileExistsError(
                f"{self.folder} holds a run already: go on with it by --resume, or choose another --out."
            )
        if self.folder.is_dir() and any(path.name != LOCK for path in self.folder.iterdir()):
            raise FileExistsError(f"{self.folder} is not empty: choose another --out.")

    def _refuse_file(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise FileExistsError(f"{self.folder} is a file: choose another --out.")

    @contextlib.contextmanager
    def resumed(self, given: dict | None = None) -> Iterator[Settings]:
        """Locks the folder for going on, for the length of the block, which gets the settings.

        Args:
            given: settings by name that a user gave again; see `Settings.continued`.

        Raises:
            FileNotFoundError: no run is there.
            ValueError: a given setting differs from the run's.
            BlockingIOError: another process is at work on it.
        """
        before = self.settings()
        with locked(self.folder):
            atomic.remove_leftovers(self.folder)
            settings = before.continued(given or {}, self.folder)
            if settings != before:
                settings.write(self.config)
            yield settings

    def settings(self) -> Settings:
        """The settings.

        Raises:
            FileNotFoundError: no run is there.
            ValueError: `config.json` is damaged.
        """
        if not self.config.is_file():
            raise FileNotFoundError(
                f"{self.folder} is not a run folder: it has no config.json. `keras-gen train` makes one."
            )
        return Settings.read(self.config)

    def available(self, which: str = "last") -> str:
        """The checkpoint itself, or "best" with a warning where the last was deleted.

        Args:
            which: "last" or "best".

        Raises:
            FileNotFoundError: no run, or none of its checkpoints.
            ValueError: another name.
        """
        if which not in _FILES:
            raise ValueError(f"A checkpoint is 'last' or 'best'; received {which!r}.")
        self.settings()
        path = self.checkpoints / _FILES[which]
        if path.is_file():
            return which
        if which == "last" and (self.checkpoints / BEST).is_file():
            warnings.warn(f"{path} is not there: using {BEST} in its place.", stacklevel=3)
            return "best"
        raise FileNotFoundError(f"{path} is not there: the run has not come to its first checkpoint.")

    def load(self, which: str = "last") -> LatentVariableModel:
        """The model of a checkpoint, with all that training goes on from.

        Args:
            which: "last", in whose place the best is taken where it was deleted, or "best".

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is damaged.
        """
        which = self.available(which)
        path = self.checkpoints / _FILES[which]
        try:
            model = load_model(path)
        except ValueError as error:
            hint = ""
            if which == "last" and (self.checkpoints / BEST).is_file():
                hint = f"; without it, {BEST} is used"
            elif which == "best" and (self.checkpoints / LAST).is_file():
                hint = f", or use {LAST}"
            raise ValueError(f"{str(error).rstrip('.')}: delete it{hint}.") from error
        if not isinstance(model, LatentVariableModel):
            raise ValueError(f"{path} holds a {type(model).__name__}, not a generative model of keras-gen.")
        return model

    def load_latest(self) -> LatentVariableModel | None:
        """The last checkpoint, or the best where the last was deleted; None where there is neither."""
        there = any((self.checkpoints / name).is_file() for name in _FILES.values())
        return self.load() if there else None
