"""Training of arbitrary style transfer: pairs of photographs and paintings in, an AdaIN model out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_gen import optimizers, precision
from keras_gen.networks.style_blocks import BLOCKS
from keras_gen.networks.style_coder import small_encoder, style_decoder
from keras_gen.runs.folder import Run
from keras_gen.style.adain import AdaINStyleTransfer
from keras_gen.style.color import matched_colors
from keras_gen.style.photographs import photographs
from keras_gen.style.pictures import resized
from keras_gen.style.settings import recall, remember
from keras_gen.style.training import (
    Cosine,
    Keeper,
    alone_in_its_run,
    find_paintings,
    fit_in_steps,
    previewed,
    read_painting,
    resumed,
)

_PREVIEWS = 6  # paintings on a sheet of previews
# Of the paintings, for there are few, and the network is to learn any colours: those that get other hues, and
# those that get a photograph's colours.
_HUED, _RECOLOURED = 0.35, 0.35
_LEAST_VARIANCE = 0.01  # of colours that are spread: less is noise


def windows(painting: np.ndarray, crop: int) -> np.ndarray:
    """Squares of a painting that overlap by half, at its own size, and at half of it where it is that large.

    Args:
        painting: float32 (height, width, 3) in [-1, 1]; enlarged where it is smaller than a window.
        crop: side in pixels.

    Returns:
        uint8 (count, crop, crop, 3).
    """
    height, width = painting.shape[:2]
    found = []
    for scale in (max(1.0, crop / min(height, width)), 0.5):
        size = (round(height * scale), round(width * scale))
        if min(size) < crop:
            continue
        scaled = painting if scale == 1 else resized(painting, size)
        pixels = np.round(np.clip(scaled, -1, 1) * 127.5 + 127.5).astype(np.uint8)
        places = [np.linspace(0, side - crop, 1 - (crop - side) // (crop // 2)).astype(int) for side in size]
        found += [pixels[top : top + crop, left : left + crop] for top in places[0] for left in places[1]]
    return np.stack(found)


def paired(photos: tf.data.Dataset, paintings: Sequence[np.ndarray], seed: int) -> tf.data.Dataset:
    """Each photograph with a window of a painting at random, some turned or mirrored, some of other colours.

    Args:
        photos: batches (batch, crop, crop, 3) in [-1, 1]; those of `photographs`, for instance.
        paintings: for each its `windows`.
        seed: of the choice, which depends on the photographs besides, and so is the same in a resumed epoch.

    Returns:
        Batches of (photographs, paintings).
    """
    counts = np.array([len(some) for some in paintings])
    first = tf.constant(np.cumsum(counts) - counts, tf.int32)
    counts, pixels = tf.constant(counts, tf.int32), tf.constant(np.concatenate(paintings))

    def pair(images):
        state = tf.reduce_sum(tf.cast(tf.round(images[:, ::8, ::8] * 127.5), tf.int64))
        count = tf.shape(images)[0]
        draws = tf.random.stateless_uniform((7, count), tf.stack([state, tf.cast(seed + 1, tf.int64)]))
        painting = tf.cast(draws[0] * len(paintings), tf.int32)
        share = draws[1] * tf.cast(tf.gather(counts, painting), tf.float32)
        chosen = tf.gather(pixels, tf.gather(first, painting) + tf.cast(share, tf.int32))
        mirrored, turned = (draws[i][:, None, None, None] < 0.5 for i in (2, 5))
        chosen = tf.where(turned, tf.transpose(chosen, (0, 2, 1, 3)), chosen)
        chosen = tf.where(mirrored, chosen[:, :, ::-1], chosen)
        chosen = tf.cast(chosen, tf.float32) / 127.5 - 1.0
        hues = _hues(draws[4], draws[6] < 0.5)
        hued = tf.einsum("bhwi,bij->bhwj", chosen, hues)
        # The next photograph's, so that a picture is no copy of its own.
        recoloured = matched_colors(chosen, _contrasted(tf.roll(images, 1, 0), chosen), floor=_LEAST_VARIANCE)
        way = draws[3][:, None, None, None]
        chosen = tf.where(way < _HUED, hued, tf.where(way < _HUED + _RECOLOURED, recoloured, chosen))
        return images, tf.clip_by_value(chosen, -1, 1)

    return photos.map(pair)


def _contrasted(images: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Images with the contrast of others: with a dull photograph's, a painting would hardly have a style."""

    def moments(pictures):
        means = tf.reduce_mean(pictures, (1, 2), keepdims=True)
        return means, tf.sqrt(tf.reduce_mean(tf.square(pictures - means), (1, 2, 3), keepdims=True))

    (means, own), (_, wanted) = moments(images), moments(like)
    return means + (images - means) * wanted / (own + 1e-3)


def _hues(turns: tf.Tensor, exchanged: tf.Tensor) -> tf.Tensor:
    """Matrices (count, 3, 3) that give colours (red, green, blue) other hues, and leave greys as they are.

    Args:
        turns: about grey, in shares of a whole turn.
        exchanged: whether red and blue are exchanged after that.
    """
    angles = 2 * math.pi * turns[:, None, None]
    grey = tf.fill((3, 3), 1 / 3)
    across = tf.constant([[0.0, 1, -1], [-1, 0, 1], [1, -1, 0]]) / math.sqrt(3)
    turned = tf.cos(angles) * (tf.eye(3) - grey) + grey + tf.sin(angles) * across
    return tf.where(exchanged[:, None, None], turned[..., ::-1], turned)


@alone_in_its_run
def train_adain(
    styles: Path | str | Sequence[Path | str],
    content: str,
    out: Path,
    *,
    steps: int = 20000,
    width: int = 16,
    decoder_width: int = 16,
    blocks: int = BLOCKS,
    separable: bool = True,
    batch_size: int = 8,
    crop: int = 128,
    painting_size: int = 512,
    style_weight: float = 15.0,
    total_variation_weight: float = 0.05,
    restraint_weight: float = 1.0,
    temporal_weight: float = 0.0,
    distillation_weight: float = 0.5,
    learning_rate: float = 1e-3,
    precision_name: str = "auto",
    backbone: str = "auto",
    seed: int = 0,
    resume: bool = False,
    minutes_between: float = 3.0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    say: Callable[[str], None] = print,
) -> AdaINStyleTransfer:
    """Trains an `AdaINStyleTransfer` for phones in a run folder, or goes on with one; it may be stopped.

    Args:
        styles: a folder of paintings, or their files.
        content: a folder of photographs, or a data spec.
        out: the run folder, as that of `train_style`.
        steps: how many in all.
        width: of the `small_encoder`.
        decoder_width: of the `style_decoder`.
        blocks: residual blocks of the decoder at a quarter of the size.
        separable: lighter residual blocks of the decoder, for phones.
        batch_size: pairs a step.
        crop: side of the crops of photographs and paintings in pixels, at least 16.
        painting_size: longer side of the paintings in pixels.
        style_weight: weight of the style loss against the content's.
        total_variation_weight: weight of smoothness.
        restraint_weight: weight of what keeps faces and lines, plain skies and the paintings' own colours, at
            the cost of strokes; see `FastStyleTransfer`.
        temporal_weight: weight of the temporal loss; see `FastStyleTransfer`.
        distillation_weight: weight of the encoder's learning VGG's features; see `AdaINStyleTransfer`.
        learning_rate: as in `train_style`.
        precision_name: "auto", "float32" or "bfloat16".
        backbone: where VGG's weights come from; see `networks.vgg`.
        seed: of weights, order, crops, colours and pairs.
        resume: go on from out's last checkpoint, as in `train_style`.
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
        model = resumed(run, AdaINStyleTransfer, steps)
        seed = model.seed  # of the order of photographs and paintings
        begun = recall(out)
        styles, painting_size = begun["styles"], begun.get("painting_size", painting_size)
    found = [read_painting(path, painting_size) for path in find_paintings(styles).values()]
    photos = photographs(content, crop, batch_size, seed)
    images = previewed(content, crop)
    if resume:
        model.style_weight, model.total_variation_weight = style_weight, total_variation_weight
    else:
        keras.utils.set_random_seed(seed)
        with precision.scope(precision_name) as reason:
            say(reason)
            model = AdaINStyleTransfer(
                small_encoder(width),
                style_decoder(8 * width, width=decoder_width, blocks=blocks, separable=separable),
                style_weight=style_weight,
                total_variation_weight=total_variation_weight,
                restraint_weight=restraint_weight,
                temporal_weight=temporal_weight,
                distillation_weight=distillation_weight,
                features={"backbone": backbone},
                seed=seed,
            )
        model.compile(optimizers.Muon(learning_rate), ema_decay=0.99)
    pairs = paired(photos, [windows(painting, crop) for painting in found], seed)
    shown = found[:: -(-len(found) // _PREVIEWS)]

    def columns() -> list[np.ndarray]:
        return [images, *(np.stack([model.stylize(image, style) for image in images]) for style in shown)]

    since = remember(run, "adain", arguments, int(model.step.numpy()))
    keeper = Keeper(run, columns, 60 * minutes_between)
    return fit_in_steps(model, pairs, run, steps, Cosine(learning_rate, since, steps), keeper, callbacks)
