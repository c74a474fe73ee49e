"""FeedForwardStyle: what style networks that are trained with the perceptual loss have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import optimizers
from keras_gen.curvature import SingularityCorrection
from keras_gen.distribute import at_least_one, replica_count
from keras_gen.layers.pattern_blend import PatternBlend
from keras_gen.layers.patterns import PatternStrength, pattern_strength
from keras_gen.models.base import GenerativeModel
from keras_gen.networks.style_blocks import PERIOD
from keras_gen.random import RandomStream
from keras_gen.style.faint import evened_batch
from keras_gen.style.features import Features
from keras_gen.style.perceptual import (
    CONTENT_TAPS,
    STYLE_TAPS,
    TONE,
    checkerboard_losses,
    content_losses,
    mean_variation,
    restraint_losses,
    style_losses,
    tone_losses,
)
from keras_gen.style.pictures import check_shares
from keras_gen.style.temporal import moved, random_flow, temporal_losses
from keras_gen.style.tiles import GRID

_LOSSES = ("loss", "content", "style", "tone", "checkerboard", "total_variation")
# How much more total variation weighs by restraint, for each 1 of that.
_SMOOTHNESS = 0.18
_RENAMED = {"model_optimizer": "optimizer", "model_correction": "correction"}


def checked_weight(name: str, weight: Any) -> float:
    """The weight of a part of a loss, or a ValueError where it is no finite number of at least 0."""
    if np.ndim(weight) or np.asarray(weight).dtype.kind not in "iuf" or not 0 <= weight < np.inf:
        raise ValueError(f"{name} must be a number of at least 0; received {weight!r}.")
    return float(weight)


class FeedForwardStyle(GenerativeModel):
    """A network that paints in one pass, its one player called `model`; see `FastStyleTransfer`.

    A subclass sets `network` and defines `examples` and `losses_of`.

    Args:
        features: options of `networks.vgg`, e.g. {"backbone": "imagenet"}.
        hint_taps: of VGG that a subclass uses beside those of the loss.
        content_weight, tone_weight, checkerboard_weight, total_variation_weight, restraint_weight: of these
            parts of the perceptual loss.
        temporal_weight: weight of the temporal loss: the mean squared difference between the painting of a
            photograph that was moved, with slight noise, and the painting of the photograph, moved, both
            without patterns. Above 0 each photograph is painted so as well, with a restraint weight of at
            least 1.
        seed, name: as in `GenerativeModel`.

    Raises:
        ValueError: a weight below 0.
    """

    recommended_optimizer = functools.partial(optimizers.Muon, 4e-3)

    network: keras.Model

    def __init__(
        self,
        features: Mapping[str, Any] | None,
        *,
        hint_taps: Sequence[str] = (),
        content_weight: float,
        tone_weight: float,
        checkerboard_weight: float,
        total_variation_weight: float,
        restraint_weight: float,
        temporal_weight: float,
        seed: int | None,
        name: str | None,
    ):
        super().__init__(seed=seed, name=name)
        options = {"network": "vgg16", **(features or {})}
        self.features = Features(options, (*CONTENT_TAPS, *hint_taps), STYLE_TAPS)
        self.content_weight, self.tone_weight = float(content_weight), float(tone_weight)
        self.checkerboard_weight = float(checkerboard_weight)
        self.total_variation_weight = total_variation_weight
        self._restraint_weight, self._temporal_weight = float(restraint_weight), float(temporal_weight)
        for part in ("content", "tone", "checkerboard", "restraint", "temporal"):
            checked_weight(f"{part}_weight", getattr(self, f"{part}_weight"))
        restraint = ["restraint"] if self.restraint_weight else []
        self._log(*_LOSSES, *restraint, *(["calm", "temporal"] if self.temporal_weight else []))

    def _log(self, *losses: str) -> None:
        self.loss_names: tuple[str, ...] = losses
        self.log_names = (*losses, "model_gradient_norm")

    @property
    def total_variation_weight(self) -> float:
        """Weight of smoothness; another one is a number of at least 0, or there is a ValueError."""
        return self._total_variation_weight

    @total_variation_weight.setter
    def total_variation_weight(self, weight: float) -> None:
        self._total_variation_weight = checked_weight("total_variation_weight", weight)

    @property
    def restraint_weight(self) -> float:
        """Weight of restraint, as the model was made: of it depends what is logged, and how it paints."""
        return self._restraint_weight

    @property
    def temporal_weight(self) -> float:
        """Weight of the temporal loss, as the model was made: of it depends what is logged."""
        return self._temporal_weight

    @property
    def calm(self) -> bool:
        """Whether it has a network of its own for calm pictures."""
        return any(isinstance(layer, PatternBlend) for layer in self.network._flatten_layers())

    @property
    def default_texture(self) -> float:
        """How strong noise and texture are unless it is said: 0 if it has learned calm pictures, else 1."""
        return 0.0 if self.calm else 1.0

    def texture_of(self, texture: float | None) -> float:
        """How strong noise and texture are: as said, from 0 to 1, or `default_texture` where None.

        Raises:
            ValueError: it is out of range.
        """
        texture = self.default_texture if texture is None else texture
        check_shares(texture=texture)
        return float(texture)

    def as_stylized(self, paint: Callable[[], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
        """Pictures as `stylize` paints them, or with texture as a block of `PatternStrength` around says.

        Args:
            paint: paints the images.
            images: (batch, height, width, 3) in [-1, 1].
        """
        texture = self.default_texture if pattern_strength() is None else pattern_strength()
        with PatternStrength(texture):
            return evened_batch(paint(), images, texture)

    @property
    def players(self):
        return {"model": self.network}

    @property
    def sampled_network(self):
        return self.network

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        correction: SingularityCorrection | None = None,
        **options: Any,
    ) -> None:
        """Sets the optimizer, the recommended one where left out.

        Args:
            optimizer: a Keras optimizer.
            correction: a `curvature.SingularityCorrection`, which corrects the gradient by the loss's
                curvature before the optimizer; None leaves it.
            **options: those of `GenerativeModel.compile`.
        """
        super().compile(
            optimizers={"model": optimizer or type(self).recommended_optimizer()},
            corrections={"model": correction},
            **options,
        )

    def get_compile_config(self):
        """What `compile` was called with."""
        config = super().get_compile_config()
        return None if config is None else {_RENAMED.get(key, key): value for key, value in config.items()}

    # What a subclass defines.

    def examples(self, data, stream: RandomStream) -> tuple[tf.Tensor, ...]:
        """What `losses_of` takes of a batch; the first are the photographs, float32 in [-1, 1]."""
        raise NotImplementedError(f"{type(self).__name__} must define examples(data, stream)")

    def losses_of(
        self, network: keras.Model, *examples: tf.Tensor, training: bool = False
    ) -> dict[str, tf.Tensor]:
        """The loss and its parts, by name, each the mean over the examples.

        Args:
            network: the trained one, or its moving average.
            *examples: what `examples` gave.
            training: passed to the network.
        """
        raise NotImplementedError(f"{type(self).__name__} must define losses_of(network, *examples)")

    # Training.

    def vgg_features(self, images) -> dict[str, tf.Tensor]:
        """VGG's features of images (batch, height, width, 3) in [-1, 1], in the network's precision."""
        layers = self.network._flatten_layers()
        half = any(layer.compute_dtype == "bfloat16" for layer in layers)
        return self.features(images, "bfloat16" if half else "float32")

    def images_of(self, data) -> tf.Tensor:
        """As `GenerativeModel.images_of`, of sides that the tone loss can measure.

        Raises:
            ValueError: smaller images.
        """
        images = super().images_of(data)
        sides = tuple(images.shape[1:3])
        if any(side is not None and side < TONE for side in sides):
            raise ValueError(f"Images to train on need at least {TONE} pixels a side; received {sides}.")
        return images

    def perceptual(
        self,
        pictures: tf.Tensor,
        images: tf.Tensor,
        content: Mapping[str, tf.Tensor],
        grams: Mapping[str, tf.Tensor],
        style_weight: tf.Tensor | float,
        palettes: tf.Tensor,
        *,
        restraint_weight: float | None = None,
    ) -> dict[str, tf.Tensor]:
        """The perceptual loss of paintings of photographs and its parts, each the mean over them.

        Args:
            pictures: the paintings, (batch, height, width, 3).
            images: the photographs, of the same shape.
            content: VGG's features of the photographs, by tap.
            grams: Gram matrices of each one's style, by tap.
            style_weight: of each one's style, or of all.
            palettes: of each one's style, by `palette`.
            restraint_weight: None is the model's own; 0 leaves that part out, and above it total variation
                weighs more, too.
        """
        restraint_weight = self.restraint_weight if restraint_weight is None else restraint_weight
        features = self.vgg_features(pictures)
        parts = {
            "content": content_losses(features, content),
            "style": style_losses(features, grams),
            "tone": tone_losses(pictures, images),
            "checkerboard": checkerboard_losses(pictures),
        }
        loss = self.content_weight * parts["content"] + style_weight * parts["style"]
        loss += self.tone_weight * parts["tone"] + self.checkerboard_weight * parts["checkerboard"]
        if restraint_weight:
            parts["restraint"] = restraint_losses(pictures, images, palettes)
            loss += restraint_weight * parts["restraint"]
        variation = mean_variation(pictures)
        smoothness = self.total_variation_weight + _SMOOTHNESS * restraint_weight
        return {
            "loss": tf.reduce_mean(loss) + smoothness * variation,
            **{name: tf.reduce_mean(part) for name, part in parts.items()},
            "total_variation": variation,
        }

    def origins(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """Where in the plane each image begins: int32 (batch, 2), at random.

        So noise and textures, which lie still there, are learned in all their parts.
        """
        places = stream.uniform(tf.shape(images)[0], (2,))
        return GRID * tf.cast(places * (PERIOD // GRID), tf.int32)

    def motion(self, images: tf.Tensor, stream: RandomStream) -> tuple[tf.Tensor, ...]:
        """What `examples` adds for the temporal loss, the images moved and the flow; nothing at weight 0."""
        if not self.temporal_weight:
            return ()
        flow = random_flow(stream, images)
        return moved(stream, images, flow), flow

    def with_calm(
        self,
        values: dict[str, tf.Tensor],
        paint: Callable[[tf.Tensor], tf.Tensor],
        images: tf.Tensor,
        motion: Sequence[tf.Tensor],
        *targets: Any,
    ) -> dict[str, tf.Tensor]:
        """The losses with those of calm pictures and of steady ones, if there is a temporal weight.

        Args:
            values: the other losses.
            paint: from images to paintings without patterns, which stand still where a film moves.
            images: the photographs.
            motion: what `motion` gave.
            *targets: what else `perceptual` takes.
        """
        if not motion:
            return values
        moved_images, flow = motion
        pictures = paint(images)
        restraint_weight = max(1.0, self.restraint_weight)
        calm = self.perceptual(pictures, images, *targets, restraint_weight=restraint_weight)["loss"]
        temporal = tf.reduce_mean(temporal_losses(pictures, paint(moved_images), flow))
        loss = values["loss"] + calm + self.temporal_weight * temporal
        return {**values, "loss": loss, "calm": calm, "temporal": temporal}

    def player_losses(self, data, stream: RandomStream) -> dict[str, tf.Tensor]:
        """The loss on a batch as in training, nothing updated; see `curvature`."""
        return {"model": self.losses_of(self.network, *self.examples(data, stream), training=True)["loss"]}

    def train_step(self, data):
        """One step on a batch; returns the running means."""
        with self.random_stream() as stream:
            images, *others = self.examples(data, stream)
            images = self.even_shares(images)

            def losses():
                return self.losses_of(self.network, images, *others, training=True)

            again = self.repeatable(stream, lambda: losses()["loss"])
            with tf.GradientTape() as tape:
                values = losses()
            self.update("model", values["loss"], tape, values, again)
        self.log(**values)
        self.finish_step()
        return self.results()

    def test_step(self, data):
        """The losses on a batch, by the moving average where there is one; nothing trained."""
        count = tf.shape(tf.nest.flatten(data)[0])[0]
        seen = replica_count() * tf.cast(self.trackers["loss"].count, tf.int64)
        with self.random_stream(-1 - seen) as stream:
            examples = self.examples(tf.nest.map_structure(at_least_one, data), stream)
            values = self.losses_of(self.sampler, *examples)
        self.log_examples(count, **values)
        return self.results(self.loss_names)

    def predict_step(self, data):
        """Pictures of a batch of what `call` takes, as one or as a data set's pairs."""
        images, others, _ = keras.utils.unpack_x_y_sample_weight(data)
        inputs = images if others is None else (images, others)
        count = tf.shape(tf.nest.flatten(inputs)[0])[0]
        return self(tf.nest.map_structure(at_least_one, inputs), training=False)[:count]

    def fit(self, x=None, *args, **kwargs):
        """Trains as `GenerativeModel.fit` does, once there is a VGG.

        Raises:
            FileNotFoundError: there are no weights for VGG.
        """
        with self.distribute_strategy.scope():
            self.vgg_features(tf.zeros((1, 16, 16, 3)))
        return super().fit(x, *args, **kwargs)

    def evaluate(self, *args, **kwargs):
        """Means of the losses over a data set."""
        with self.distribute_strategy.scope():
            self.vgg_features(tf.zeros((1, 16, 16, 3)))
        return super().evaluate(*args, **kwargs)
