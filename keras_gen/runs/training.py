"""Training within a run folder: from its settings, or from its last checkpoint, to its last epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from keras_gen import callbacks as kc
from keras_gen.metrics import classifier_features, projection_features
from keras_gen.models.latent_variable import LatentVariableModel
from keras_gen.models.registry import MODELS, build
from keras_gen.runs.folder import Run
from keras_gen.runs.settings import Settings

_MOST_REAL = 5_000  # images that the distance of each epoch is taken to


def build_model(settings: Settings) -> LatentVariableModel:
    """A new model as the settings say.

    Raises:
        ValueError: options, or a shape, that do not go with the model.
    """

    entry, rate = MODELS[settings.model], settings.learning_rate
    # Without a rate the model takes the recommended optimizers, which may differ from player to player.
    chosen = {} if rate is None else {name: entry.model.recommended_optimizer() for name in entry.optimizers}
    for optimizer in chosen.values():
        optimizer.learning_rate = rate
    try:
        return build(
            settings.model,
            settings.describe().image_shape,
            preset=settings.preset,
            latent_dim=settings.latent_dim,
            precision=settings.precision,
            seed=settings.seed,
            ema_decay=settings.ema or None,
            gradient_clip_norm=settings.gradient_clip,
            **chosen,
            **settings.options,
        )
    except TypeError as error:
        raise ValueError(
            f"An option of {settings.model} has the wrong type ({error}): {settings.options}."
        ) from error


def feature_space(settings: Settings) -> keras.Model:
    """The features in which each epoch's distance is measured: of a small classifier, or a projection.

    They take milliseconds an image at most, unlike Inception's, which `evaluate` uses where it can.
    """
    labelled, name = settings.labelled()
    if labelled is None:
        return projection_features(settings.describe().image_shape)
    return classifier_features(labelled, fingerprint=name)


def train(
    run: Run,
    settings: Settings,
    *,
    resume: bool = False,
    console=None,
    more_callbacks: Sequence[keras.callbacks.Callback] = (),
    say: Callable[[str], None] = lambda message: None,
) -> LatentVariableModel:
    """Trains up to the last epoch and keeps the run folder, which the caller has locked.

    Interrupted anywhere and resumed, it gives the weights and the history of a training without a break.

    Args:
        run: the folder, within its `new` or `resumed`; a new one gets the settings as training begins.
        settings: what these gave.
        resume: whether to go on from the latest checkpoint; where there is none yet, training begins anew.
        console: a `rich.console.Console` for the progress bar; None shows none.
        more_callbacks: further ones.
        say: is told what is being done, a line at a time.

    Returns:
        The trained model.

    Raises:
        TrainingInterrupted: by SIGINT or SIGTERM, with a checkpoint written.
        FloatingPointError: NaN or infinity; the last checkpoint is as it was.
        ValueError: data that do not go with the checkpoint, or fewer epochs than are done.
    """
    model = run.load_latest() if resume else None
    if model is None:
        model = build_model(settings)
    elif (done := int(model.epoch.numpy())) > settings.epochs:
        raise ValueError(f"{run.folder} has {done} epochs already, more than --epochs {settings.epochs}.")
    elif done == settings.epochs:
        say(f"All {done} epochs are done; for more, raise --epochs.")
        return model

    batches = settings.load(crop=settings.crop, flip=settings.flip)
    if settings.steps_per_epoch is not None:
        batches = batches.take(settings.steps_per_epoch)
    steps = int(batches.cardinality())
    epoch = int(model.epoch.numpy())
    begun = int(model.step.numpy()) - epoch * steps
    if not 0 <= begun < max(steps, 1):
        raise ValueError(
            f"{run.folder} was trained on other data than {settings.data} holds now: its checkpoint has "
            f"{int(model.step.numpy())} steps in {epoch} epochs, of {steps} steps each."
        )

    _set_aside_damaged(run.history, epoch, say)
    stop, history, shown = _callbacks(run, settings, steps, console, more_callbacks, say)
    if not resume:
        settings.write(run.config)  # only now that all has been built: what was refused leaves no run
    everything = [*history, *shown, stop]
    fit = {"callbacks": everything, "verbose": 0}
    try:
        if begun:
            say(f"Going on from step {int(model.step.numpy())}, in epoch {epoch + 1}.")
            model.fit(batches.skip(begun), initial_epoch=epoch, epochs=epoch + 1, **fit)
            epoch += 1
        if epoch < settings.epochs and not model.stop_training:
            model.fit(batches, initial_epoch=epoch, epochs=settings.epochs, **fit)
    except kc.TrainingInterrupted as error:
        error.args = (f"{error} Go on with: keras-gen train --resume --out {run.folder}",)
        raise
    finally:
        stop.restore()
        for callback in shown:
            callback.close()
    return model


def _set_aside_damaged(history: Path, done: int, say: Callable[[str], None]) -> None:
    """Renames a history that does not hold the epochs done: it is written before the checkpoint is."""
    try:
        rows = kc.read_history(history)
    except ValueError:
        rows = []
    if done and history.is_file() and not (rows and rows[-1]["epoch"] >= done):
        kept = history.with_name(f"{history.stem}-damaged-{done}{history.suffix}")
        history.replace(kept)
        say(f"{history} is damaged: it is kept as {kept.name}, and a new one begins at epoch {done + 1}.")


def _callbacks(run: Run, settings: Settings, steps: int, console, more_callbacks, say):
    """The one that stops, which runs last; those that keep what was trained; and those that show it."""
    kept: list[keras.callbacks.Callback] = []
    if settings.frechet_samples:
        space = feature_space(settings)
        say(f"Fréchet distance after each epoch: {settings.frechet_samples} samples, features {space.name}.")
        split = settings.split if set("[+") & set(settings.split) else f"{settings.split}[:{_MOST_REAL}]"
        real = settings.in_order(split)
        kept.append(kc.FrechetDistance(real, space, settings.frechet_samples, settings.seed or 0))
    monitor = "frechet_distance" if settings.frechet_samples else None
    distances = [row[monitor] for row in kc.read_history(run.history) if monitor in row]
    checkpoint = kc.Checkpoint(run.checkpoints, monitor, best=min(distances, default=math.inf))
    means = kc.KeepMeans(run.means)
    kept += [
        kc.History(run.history),
        checkpoint,
        means,
        kc.SampleGrid(run.folder, seed=settings.seed or 0),
        kc.LossPlot(run.history, run.losses),
        kc.TensorBoard(run.logs, seed=settings.seed or 0),
        *more_callbacks,
    ]
    shown = [] if console is None else [kc.Progress(settings.epochs, steps, console)]
    return kc.StopOnSignal([means.save, checkpoint.save]), kept, shown
