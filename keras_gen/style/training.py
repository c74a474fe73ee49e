"""Training of one's own styles: paintings and photographs in, a model out, with previews, resumable."""

from __future__ import annotations

import functools
import inspect
import math
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from keras_gen import callbacks as kc
from keras_gen import data, optimizers, precision
from keras_gen.callbacks.checkpoint import LAST
from keras_gen.image import load_image, make_grid
from keras_gen.networks.style_blocks import BLOCKS
from keras_gen.networks.transformer_net import transformer_net
from keras_gen.pictures import find
from keras_gen.runs.folder import Run
from keras_gen.saved import load_model
from keras_gen.style.borders import check_mirrored
from keras_gen.style.fast import FastStyleTransfer
from keras_gen.style.feed_forward import FeedForwardStyle
from keras_gen.style.photographs import photographs, spec_of
from keras_gen.style.settings import remember

_Train = TypeVar("_Train", bound=Callable[..., Any])
_SMALLEST = 16  # pixels of a painting's side
_RISE = 50  # steps
_PREVIEWS = 3  # photographs on a sheet of previews


def find_paintings(styles: Path | str | Sequence[Path | str]) -> dict[str, Path]:
    """Picture files by style name, which is the file's name without its ending.

    Args:
        styles: a folder of pictures, those in folders within it left out; or files.

    Raises:
        FileNotFoundError: no such folder or file, or a folder without pictures.
        ValueError: two pictures of one name.
    """
    given = [Path(styles)] if isinstance(styles, (str, Path)) else [Path(path) for path in styles]
    files = [file for path in given for file in find(path) if file == path or file.parent == path]
    if not files:
        raise FileNotFoundError(f"No images in {styles}, but in folders within it: name one of them.")
    named = {path.stem: path for path in files}
    if len(named) < len(files):
        raise ValueError("Two paintings have the same name; a style is called as its file: rename one.")
    return named


def read_painting(path: Path, size: int = 512) -> np.ndarray:
    """A painting, its longer side at most `size` pixels: float32 (height, width, 3) in [-1, 1].

    Raises:
        ValueError: a damaged file, or a painting of less than 16 pixels a side.
    """
    painting = load_image(path, max_size=size)
    if min(painting.shape[:2]) < _SMALLEST:
        raise ValueError(
            f"The painting {path} has {painting.shape[1]}x{painting.shape[0]} pixels, at a longer side of "
            f"{size} at most: VGG needs {_SMALLEST} a side."
        )
    return painting


def alone_in_its_run(train: _Train) -> _Train:
    """A training function that keeps other processes out of its run folder, `out`, while it trains."""
    signature = inspect.signature(train)

    @functools.wraps(train)
    def alone(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        run = Run(given["out"])
        with run.held():
            if not given.get("resume"):
                run.refuse_content()
            return train(*args, **kwargs)

    return cast(_Train, alone)


@alone_in_its_run
def train_style(
    styles: Path | str | Sequence[Path | str],
    content: str,
    out: Path,
    *,
    steps: int = 6000,
    width: int = 16,
    blocks: int = BLOCKS,
    calm_blocks: int | None = None,
    separable: bool = True,
    batch_size: int = 4,
    crop: int = 256,
    painting_size: int = 512,
    style_weight: float | Sequence[float] = 15.0,
    total_variation_weight: float = 0.1,
    restraint_weight: float = 0.0,
    temporal_weight: float = 0.0,
    learning_rate: float = 4e-3,
    precision_name: str = "auto",
    backbone: str = "auto",
    seed: int = 0,
    resume: bool = False,
    minutes_between: float = 3.0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    say: Callable[[str], None] = print,
) -> FastStyleTransfer:
    """Trains a `FastStyleTransfer` in a run folder, or goes on with one; the caller may stop it any time.

    Args:
        styles: a folder of paintings, or their files; each file's name is its style's.
        content: a folder of photographs, or a data spec.
        out: the run folder: config.json, checkpoints/last.keras, previews and a history.
        steps: how many in all.
        width: of the network: 8, 16 or 32.
        blocks: residual blocks at a quarter of the size.
        calm_blocks: those of the network for calm pictures, which a temporal weight trains; None is as many.
        separable: lighter residual blocks, for phones.
        batch_size: photographs a step.
        crop: side of the photographs' crops in pixels, at least 16.
        painting_size: longer side of the paintings in pixels; strokes come out at this scale.
        style_weight: weight of the style loss against the content's: one number, or one for each style in
            the order of their names.
        total_variation_weight: weight of smoothness.
        restraint_weight: weight of what keeps faces and lines, plain skies and the paintings' own colours, at
            the cost of strokes; see `FastStyleTransfer`.
        temporal_weight: weight of the temporal loss, for films that do not flicker; see `FastStyleTransfer`.
        learning_rate: of Muon at its highest, after 50 steps; it falls to nothing along a cosine. Another one
            than before, where a run goes on, begins a new cosine there.
        precision_name: "auto", "float32" or "bfloat16".
        backbone: where VGG's weights come from; see `networks.vgg`.
        seed: of weights, order, crops, colours and styles.
        resume: go on from out's last checkpoint, which holds the network and its styles. Content, crop,
            batch_size, steps, learning_rate and the weights of style and smoothness are taken from here, and
            may change; the others stay as the run was begun with, which `settings.recall` has.
        minutes_between: of checkpoints and previews.
        callbacks: further ones, such as a progress bar.
        say: is told what is being done, a line at a time.

    Returns:
        The trained model.

    Raises:
        FileNotFoundError: no paintings, photographs, checkpoint, or weights of VGG.
        ValueError: options out of range, a painting that is damaged or too small, or a run that has done so
            many steps.
        FileExistsError: out holds something, and `resume` is not given.
        BlockingIOError: another process trains in the run folder.
        TrainingInterrupted: by SIGINT or SIGTERM, with a checkpoint written.
    """
    arguments = dict(locals())
    run = Run(Path(out))
    if resume:
        model = resumed(run, FastStyleTransfer, steps)
        seed = model.seed  # of the photographs' order
    found = {} if resume else find_paintings(styles)
    batches = photographs(content, crop, batch_size, seed)
    images = previewed(content, crop)
    if resume:
        model.style_weight, model.total_variation_weight = style_weight, total_variation_weight
    else:
        paintings = {name: read_painting(path, painting_size) for name, path in found.items()}
        if calm_blocks is not None and not temporal_weight:
            raise ValueError(
                "calm_blocks are of a network for calm pictures, which a temporal weight trains; received "
                f"{calm_blocks}, and a temporal_weight of 0: add one, e.g. 10, or leave calm_blocks out."
            )
        keras.utils.set_random_seed(seed)
        with precision.scope(precision_name) as reason:
            say(reason)
            network = transformer_net(
                len(paintings),
                width=width,
                blocks=blocks,
                separable=separable,
                calm=temporal_weight > 0,  # else it would learn nothing of calm pictures
                calm_blocks=calm_blocks,
            )
        model = FastStyleTransfer(
            network,
            list(paintings),
            style_weight=style_weight,
            total_variation_weight=total_variation_weight,
            restraint_weight=restraint_weight,
            temporal_weight=temporal_weight,
            features={"backbone": backbone},
            seed=seed,
        )
        model.compile(optimizers.Muon(learning_rate), ema_decay=0.99)
        model.adapt(paintings)

    def columns() -> list[np.ndarray]:
        return [images, *(model.stylize(images, style) for style in model.styles)]

    since = remember(run, "fast", arguments, int(model.step.numpy()))
    keeper = Keeper(run, columns, 60 * minutes_between)
    return fit_in_steps(model, batches, run, steps, Cosine(learning_rate, since, steps), keeper, callbacks)


def resumed(run: Run, kind: type[FeedForwardStyle], steps: int) -> Any:
    """The model of a run's last checkpoint.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, of another kind or an earlier version, or has done that many steps.
    """
    last = run.checkpoints / LAST
    if not last.is_file():
        raise FileNotFoundError(f"There is no checkpoint to resume in {run.folder}: begin in another folder.")
    try:
        model = load_model(last)
    except ValueError as error:
        raise ValueError(f"{error} Without it no run goes on: begin another.") from error
    if not isinstance(model, kind):
        raise ValueError(f"{last} holds a {type(model).__name__}, not a {kind.__name__}.")
    check_mirrored(model.network, last)
    done = int(model.step.numpy())
    if done >= steps:
        raise ValueError(f"{run.folder} is at step {done} already, of --steps {steps}: ask for more.")
    return model


def previewed(content: str, crop: int) -> np.ndarray:
    """A few photographs to show in previews, as they are: float32 (count, crop, crop, 3) in [-1, 1]."""
    first = data.load(spec_of(content), crop, 3, None, f"train[:{_PREVIEWS}]", shuffle=False)
    return np.stack(list(first.as_numpy_iterator()))


def fit_in_steps(
    model: Any,
    batches: tf.data.Dataset,
    run: Run,
    steps: int,
    schedule: Cosine,
    keeper: Keeper,
    callbacks: Sequence[keras.callbacks.Callback],
) -> Any:
    """Trains a model up to a number of steps, from wherever it is, and keeps its run; returns it.

    Raises:
        TrainingInterrupted: by SIGINT or SIGTERM, with a checkpoint written.
    """
    an_epoch = int(batches.cardinality())
    stop = kc.StopOnSignal([keeper.save])
    keeper.set_model(model)
    if not int(model.step.numpy()):
        keeper.checkpoint.save()  # to go on from, should the machine fail before the first is due
    everything = [schedule, kc.History(run.history), keeper, *callbacks, stop]
    try:
        while (done := int(model.step.numpy())) < steps:
            epoch, begun = divmod(done, an_epoch)
            model.epoch.assign(epoch)
            part = batches.skip(begun).take(steps - done)
            whole = not begun and steps - done >= an_epoch
            epochs = epoch + (steps - done) // an_epoch if whole else epoch + 1
            data_ = batches if whole else part
            model.fit(data_, initial_epoch=epoch, epochs=epochs, callbacks=everything, verbose=0)
    except kc.TrainingInterrupted as error:
        folder = shlex.quote(str(run.folder))
        error.args = (f"{error} Go on with: keras-gen train-style --resume --out {folder}",)
        raise
    finally:
        stop.restore()
    keeper.save()
    return model


class Cosine(keras.callbacks.Callback):
    """The learning rate of each step: up to its peak in 50, then down to nothing along a cosine.

    Args:
        peak: the highest.
        since: the step that it begins at.
        until: the step that it ends at.
    """

    def __init__(self, peak: float, since: int, until: int):
        super().__init__()
        self.peak, self.since, self.until = peak, since, until

    def on_train_batch_begin(self, batch, logs=None):
        """Sets it, from the model's own count of steps, so that a run may be resumed for more of them."""
        step = int(self.model.step.numpy())
        done = step - self.since
        rise = min(1.0, (done + 1) / _RISE)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, done / (self.until - self.since))))
        self.model.model_optimizer.learning_rate = self.peak * rise * fall


class Keeper(keras.callbacks.Callback):
    """A checkpoint and a sheet of previews every few minutes.

    Args:
        run: where.
        columns: makes the columns of the sheet: float32 (rows, height, width, 3) in [-1, 1] each.
        seconds: from one to the next.
    """

    def __init__(self, run: Run, columns: Callable[[], Sequence[np.ndarray]], seconds: float):
        super().__init__()
        self.run, self.columns, self.seconds = run, columns, seconds
        self.checkpoint, self.due = kc.Checkpoint(run.checkpoints, monitor=None), time.monotonic() + seconds

    def set_model(self, model):
        """Takes the model to keep."""
        super().set_model(model)
        self.checkpoint.set_model(model)

    def save(self) -> None:
        """Writes both now."""
        self.checkpoint.save()
        step = int(self.model.step.numpy())
        columns = np.stack(self.columns(), 1)
        pictures = columns.reshape(-1, *columns.shape[2:])
        grid = make_grid(np.clip(pictures, -1, 1), columns=columns.shape[1], scale=1)
        folder = self.run.folder / "previews"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grid).save(folder / f"step-{step:06d}.jpg", quality=92)

    def on_train_batch_end(self, batch, logs=None):
        """Both, where they are due."""
        if time.monotonic() >= self.due:
            self.save()
            self.due = time.monotonic() + self.seconds
