"""The settings of a run: what `config.json` holds."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import platform
import random
import sys
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_gen import __version__, atomic, precision
from keras_gen.data import Description, describe, load
from keras_gen.models.registry import MODELS, is_finite, look_up

if TYPE_CHECKING:
    import tensorflow as tf

_PATH_SPECS = ("idx:", "folder:", "npz:")


@dataclass(frozen=True)
class Settings:
    """Everything that decides a training, from which model and data are built again.

    Args:
        model: a name of `keras_gen.list_models()`.
        data: a data spec, see `keras_gen.data.load`.
        epochs: the last epoch.
        steps_per_epoch: batches in an epoch; None takes the whole data set.
        batch_size: images in a batch.
        preset: networks by name; None takes the recommended ones.
        latent_dim: length of the latent vectors; None takes the preset's.
        options: the model's own.
        image_size, channels, split, crop, flip, data_dir: as in `keras_gen.data.load`.
        precision: "auto", "float32" or "bfloat16".
        seed: of weights, order of images and latent vectors; None draws one.
        ema: decay of the moving average; 0 keeps none. None fits it to the number of
            steps, for models that gain by it.
        learning_rate: of all players; None takes the recommended one.
        gradient_clip: the largest norm of a player's gradient; None does not clip.
        frechet_samples: samples for the Fréchet distance after each epoch, which decides the best one; 0
            measures none, and the best is then the last.
    """

    model: str
    data: str
    epochs: int = 20
    steps_per_epoch: int | None = None
    batch_size: int = 64
    preset: str | None = None
    latent_dim: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    image_size: int | None = None
    channels: int | None = None
    split: str = "train"
    crop: str | None = "center"
    flip: bool = False
    data_dir: str | None = None
    precision: str = "auto"
    seed: int | None = None
    ema: float | None = None
    learning_rate: float | None = None
    gradient_clip: float | None = None
    frechet_samples: int = 1000

    def resolved(self) -> Settings:
        """The same with every choice made that was left open, so that it means the same later and elsewhere.

        Raises:
            ValueError, FileNotFoundError: a setting that does not exist, or data that cannot be described.
        """
        entry = look_up("model", self.model, MODELS)
        options = {**entry.options, **self.options}
        for option in self.options:
            look_up(f"option of {self.model}", option, entry.options)
        entry.check(self.options)
        for name in ("epochs", "batch_size", "steps_per_epoch", "latent_dim"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{option_name(name)} must be 1 or more; received {value}.")
        for name in ("learning_rate", "gradient_clip"):
            value = getattr(self, name)
            if value is not None and not (is_finite(value) and value > 0):
                raise ValueError(f"{option_name(name)} must be a finite number above zero; received {value}.")
        if self.seed is not None and not 0 <= self.seed < 2**31:
            raise ValueError(f"--seed must be an integer from 0 to 2147483647; received {self.seed}.")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise ValueError(f"--ema must be in [0, 1), as a rule 0.99 to 0.9999; received {self.ema}.")
        if self.frechet_samples < 0 or self.frechet_samples == 1:
            raise ValueError(f"--frechet-samples must be 0, or 2 or more; received {self.frechet_samples}.")
        spec = absolute_spec(self.data)
        data_dir = None if self.data_dir is None else str(Path(self.data_dir).expanduser().resolve())
        described = replace(self, data=spec, data_dir=data_dir).describe()
        height, width, channels = described.image_shape
        if entry.model.labelled and (described.num_classes or 0) < 2:
            raise ValueError(
                f"{self.model} needs labels, and {self.data} has none: choose other data or model."
            )
        if entry.model.labelled and options["num_classes"] is inspect.Parameter.empty:
            options["num_classes"] = described.num_classes
        if entry.model.labelled and options["num_classes"] < described.num_classes:
            raise ValueError(
                f"num_classes must be {described.num_classes} or more, as {self.data} has so many classes; "
                f"received {options['num_classes']}."
            )
        preset = self.preset or entry.preset_for(described.image_shape)
        batches = max(described.num_examples // self.batch_size, 1)
        total = self.epochs * min(batches, self.steps_per_epoch or batches)
        return replace(
            self,
            data=spec,
            data_dir=data_dir,
            image_size=height if height == width else None,
            channels=channels,
            preset=preset,
            latent_dim=self.latent_dim or entry.networks(preset).latent_dim,
            options=options,
            precision=precision.resolve(self.precision)[0],
            seed=random.SystemRandom().randrange(2**31) if self.seed is None else self.seed,
            ema=(_decay(total) if entry.model.gains_by_average else 0.0) if self.ema is None else self.ema,
        )

    def describe(self) -> Description:
        """What the data are, without loading them."""
        return describe(self.data, self.image_size, self.channels, self.split, data_dir=self.data_dir)

    def load(self, split: str | None = None, **options: Any) -> tf.data.Dataset:
        """The images; `split` and further options of `keras_gen.data.load` in place of these settings'."""
        chosen = {
            "image_size": self.image_size,
            "channels": self.channels,
            "batch_size": self.batch_size,
            "seed": self.seed or 0,
            "data_dir": self.data_dir,
            "labels": MODELS[self.model].model.labelled,
            **options,
        }
        return load(self.data, split=split or self.split, **chosen)

    def in_order(self, split: str | None = None, batch_size: int = 256, **options: Any) -> tf.data.Dataset:
        """Every image once, in the order of the source: for measuring, labels too if the model takes them."""
        return self.load(split, batch_size=None, shuffle=False, **options).batch(batch_size)

    def labelled(self) -> tuple[tf.data.Dataset | None, str | None]:
        """Images with labels that a classifier can learn, or None; and a name that vouches for them."""
        if (self.describe().num_classes or 0) < 2:
            return None, None
        name = f"digits:{self.split}:{self.image_size}:{self.channels}" if self.data == "digits" else None
        labelled = self.in_order(labels=True)
        # A slice of data in order of class may hold but one.
        if "[" in self.split and len({int(label) for _, batch in labelled for label in batch}) < 2:
            return None, None
        return labelled, name

    def continued(self, given: dict[str, Any], folder: Path) -> Settings:
        """These settings for going on, with those that may change taken from `given`.

        Args:
            given: settings by name, as a user gave them; only `epochs` may differ.
            folder: of the run, for messages.

        Raises:
            ValueError: another one differs.
        """
        for name, value in given.items():
            mine = getattr(self, name)
            if name == "data":
                value = absolute_spec(value)
            elif name == "data_dir":
                value = str(Path(value).expanduser().resolve())
            elif name == "options":
                unlike = {key: new for key, new in value.items() if key not in mine or mine[key] != new}
                value = {**mine, **unlike}
                name = f"set {next(iter(unlike))}" if unlike else name
                mine, value = (mine.get(name[4:]), unlike[name[4:]]) if unlike else (mine, mine)
            if name != "epochs" and value != mine and (name, value) != ("precision", "auto"):
                raise ValueError(
                    f"{folder} was begun with {option_name(name)} {mine}, and --resume keeps that; received "
                    f"{value}: leave the option out, or begin another run with another --out."
                )
        return replace(self, epochs=given.get("epochs", self.epochs))

    def write(self, path: Path) -> None:
        """Writes them as JSON, with the versions of what is installed."""
        atomic.write_json(path, {**asdict(self), "versions": _versions()})

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Reads what `write` wrote.

        Raises:
            ValueError: no such settings.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{f.name: found[f.name] for f in fields(cls)})
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path} does not hold the settings of a run of `keras-gen train`: it is another "
                "command's, or damaged."
            ) from None


def option_name(setting: str) -> str:
    """The command line's name of a setting."""
    return {"model": "MODEL"}.get(setting, "--" + setting.replace("_", "-"))


def absolute_spec(spec: str) -> str:
    """A data spec that names the same files from any working folder."""
    scheme = next((scheme for scheme in _PATH_SPECS if spec.startswith(scheme)), None)
    if scheme is None or len(spec) == len(scheme):
        return spec
    return scheme + str(Path(spec[len(scheme) :]).expanduser().resolve())


def _versions() -> dict[str, str]:
    installed = {"python": sys.version.split()[0], "platform": platform.platform(), "keras-gen": __version__}
    for package in ("tensorflow", "keras", "numpy"):
        installed[package] = importlib.metadata.version(package)
    return installed


def _decay(steps: int) -> float:
    # At the end, the initial weights have a share of e^-4, or less in long trainings.
    return round(min(max(1 - 4 / steps, 0.0), 0.999), 4)
