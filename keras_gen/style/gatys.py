"""A Neural Algorithm of Artistic Style: the picture itself is what is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import precision as precisions
from keras_gen.curvature.preconditioner import SingularityCorrection
from keras_gen.models.base import GenerativeModel
from keras_gen.networks.vgg import vgg
from keras_gen.optimizers import LBFGS, Adam
from keras_gen.style import color
from keras_gen.style.operators import (
    channel_moments,
    content_loss,
    gram_loss,
    gram_matrix,
    moments_loss,
    total_variation,
)

_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
_SMALLEST = 32  # pixels; below, the deepest features are single pixels
_RANGE_WEIGHT = 10.0  # of the mean square by which pixels leave [-1, 1]


@keras.saving.register_keras_serializable(package="keras_gen")
class Canvas(keras.layers.Layer):
    """A picture as a weight, `pixels` (1, height, width, channels)."""

    def __init__(self, shape: Sequence[int], name: str | None = None):
        super().__init__(name=name, dtype="float32")
        self.shape = tuple(shape)
        self.pixels = self.add_weight(shape=(1, *self.shape), initializer="zeros", name="pixels")
        self.built = True

    def get_config(self) -> dict:
        """The arguments that make an equal canvas, but for its pixels."""
        return {"shape": self.shape, "name": self.name}


@keras.saving.register_keras_serializable(package="keras_gen")
class GatysStyleTransfer(GenerativeModel):
    """Style transfer by optimization: the content of one picture in the style of others.

    `fit(steps)` takes steps of the optimizer on the picture, `image` is where it has got to. The loss is
    `content_weight` · content + `style_weight` · style + `total_variation_weight` · variation, where content
    is the mean squared difference of deep features, relative to the features' mean square; style that of
    Gram matrices, or of channel means and deviations, relative to the style's own, and averaged over layers;
    variation the mean absolute difference of neighbouring pixels. So weights mean the same for every picture,
    size and backbone. Leaving [-1, 1] is penalized by the square.

    A model is one picture on one device: `tf.distribute` has nothing to spread here.

    Args:
        content: float32 (height, width, 3) in [-1, 1], 32 pixels or more at the coarsest scale.
        styles: a picture like the content, of any size, or several.
        backbone: where VGG-16's weights come from, as in `networks.vgg.vgg`, or a model from images in
            [-1, 1] to a dictionary of features that has all layers named below.
        content_layers, style_layers: features to compare.
        content_weight, style_weight, total_variation_weight: 0 or more; see above.
        style_loss: "gram", or "mean_std" for channel means and standard deviations.
        style_weights: one of each style, relative to their sum; None weighs all the same.
        masks: one of each style, (height, width) of the content in [0, 1]: where that style is to be. Within
            them a style weighs, by area, what it would weigh alone, and `style_weights` multiply that.
        scales: growing fractions of the content's size, the last 1: coarse to fine.
        steps_per_scale: steps at each scale but the last, which gets all others.
        style_scale: the styles' longer sides as a fraction of the content's; larger makes larger strokes.
        init: "content", "style" (the first), "noise", or a picture of the content's shape to start from.
        preserve_color: None; "luminance", only brightness is transferred, and the content's colour laid over
            it; or "histogram", styles first get the mean and covariance of the content's colours.
        precision: "float32", "bfloat16" or "auto", of the features of a backbone that is named; losses and
            the picture are float32.
        seed: of the noise.
        name: the model's name.

    Raises:
        ValueError: a setting or shape out of range; FileNotFoundError: no weights for the backbone.

    Reference: A Neural Algorithm of Artistic Style, 2015, arXiv:1508.06576; means and deviations:
    Demystifying Neural Style Transfer, 2017, arXiv:1701.01036; scales, masks and colour: Controlling
    Perceptual Factors in Neural Style Transfer, 2016, arXiv:1611.07865.
    """

    log_names = ("loss", "content_loss", "style_loss", "variation", "image_gradient_norm")

    def __init__(
        self,
        content: Any,
        styles: Any,
        *,
        backbone: str | Path | keras.Model = "auto",
        content_layers: Sequence[str] = ("relu4_2",),
        style_layers: Sequence[str] = _STYLE_LAYERS,
        content_weight: float = 1.0,
        style_weight: float = 1.0,
        total_variation_weight: float = 0.01,
        style_loss: str = "gram",
        style_weights: Sequence[float] | None = None,
        masks: Sequence[Any] | None = None,
        scales: Sequence[float] = (1.0,),
        steps_per_scale: int = 100,
        style_scale: float = 1.0,
        init: Any = "content",
        preserve_color: str | None = None,
        precision: str = "auto",
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, name=name)
        if style_loss not in ("gram", "mean_std") or preserve_color not in (None, "luminance", "histogram"):
            raise ValueError(
                'style_loss must be "gram" or "mean_std" and preserve_color None, "luminance" or '
                f'"histogram"; received {style_loss!r} and {preserve_color!r}.'
            )
        weights = (content_weight, style_weight, total_variation_weight)
        if min(weights) < 0 or max(weights) <= 0:
            raise ValueError(f"Weights must be 0 or more, and one above; received {weights}.")
        if list(scales) != sorted({float(s) for s in scales if s > 0}) or not scales or scales[-1] != 1:
            raise ValueError(f"scales must grow from above 0 to 1, as (0.5, 1.0); received {tuple(scales)}.")
        if steps_per_scale < 1 or not style_scale > 0:
            raise ValueError(
                "steps_per_scale must be 1 or more and style_scale above 0; received "
                f"{steps_per_scale} and {style_scale}."
            )
        self.content_weight, self.style_weight, self.total_variation_weight = map(float, weights)
        self.style_loss, self.preserve_color = style_loss, preserve_color
        self.scales, self.steps_per_scale = tuple(map(float, scales)), int(steps_per_scale)
        self.style_scale = float(style_scale)
        self.content_layers, self.style_layers = tuple(content_layers), tuple(style_layers)
        content = _picture(content, "content")
        self.image_shape = content.shape
        given = [_picture(style, "style") for style in (styles if _several(styles) else [styles])]
        self.style_weights = _style_weights(style_weights, len(given), masks is None)
        longest = round(max(content.shape[:2]) * self.style_scale)
        given = [_resized(style, _fitting(style.shape, longest)) for style in given]
        for picture in (content, *given):
            if min(_scaled(picture.shape, self.scales[0])) < _SMALLEST:
                raise ValueError(
                    f"Pictures need sides of {_SMALLEST} pixels or more at every scale; one of shape "
                    f"{picture.shape} has fewer at scale {self.scales[0]:g}. Take larger ones or scales."
                )
        if preserve_color == "luminance":
            given = [color.match_luminance(style, content) for style in given]
        elif preserve_color == "histogram":
            given = [color.match_colors(style, content) for style in given]
        self.content = self._kept(content, "content")
        self.styles = [self._kept(style, f"style_{i}") for i, style in enumerate(given)]
        self.masks = None if masks is None else self._kept(_checked_masks(masks, content, given), "masks")
        if not isinstance(backbone, keras.Model):
            taps = tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))
            with precisions.scope(precision):
                backbone = vgg("vgg16", taps, backbone=backbone, padding="reflect", pooling="average")
        self.backbone = backbone
        self.backbone.trainable = False
        self.scale = 0
        self._targets: dict[str, Any] | None = None
        self._new_canvas(_resized(self._start(init, content, given), self._size()))
        self.built = True

    def _kept(self, value: np.ndarray, name: str) -> keras.Variable:
        return self.add_weight(
            shape=value.shape,
            initializer=lambda shape, dtype=None: tf.constant(value, tf.float32),
            trainable=False,
            name=name,
        )

    def _start(self, init: Any, content: np.ndarray, styles: list[np.ndarray]) -> np.ndarray:
        if not isinstance(init, str):
            start = _picture(init, "init")
            if start.shape != content.shape:
                raise ValueError(f"init must have the content's shape {content.shape}; it has {start.shape}.")
        elif init == "content":
            start = content
        elif init == "style":
            start = _resized(styles[0], content.shape[:2])
        elif init == "noise":
            start = np.random.default_rng(self.seed).normal(0.0, 0.3, content.shape).astype(np.float32)
        else:
            raise ValueError(f'init must be "content", "style", "noise" or a picture; received {init!r}.')
        if self.preserve_color == "luminance" and start.shape[-1] == 3:
            start = color.luminance(start)
        return start

    # Scales.

    def _size(self) -> tuple[int, int]:
        return _scaled(self.image_shape, self.scales[self.scale])

    def _new_canvas(self, image: np.ndarray) -> None:
        self._forget("canvas")
        self.canvas = Canvas(image.shape, name="canvas")
        self.canvas.pixels.assign(image[None])
        self._targets = None
        self.train_function = None

    def _enter(self, scale: int) -> None:
        """The picture at a finer scale; the optimizer and correction of before know nothing of its pixels."""
        self.scale = scale
        self._new_canvas(_resized(self.canvas.pixels.numpy()[0], self._size()))
        if getattr(self, "image_optimizer", None) is not None:
            self.image_optimizer = _fresh(self.image_optimizer)
            self.image_optimizer.build(self.canvas.trainable_variables)
        if getattr(self, "image_correction", None) is not None:
            correction = _fresh(self.image_correction)
            self._forget("image_correction")
            correction.prepare(self.canvas.trainable_variables)
            self.image_correction = correction

    def make_train_function(self, force: bool = False) -> Callable:
        """The function that `fit` calls for a step; it moves on to the next scale when its turn has come."""
        if self.train_function is None or force:
            due = min(int(self.step.numpy()) // self.steps_per_scale, len(self.scales) - 1)
            if due != self.scale:
                self._enter(due)
            if self._targets is None:
                self._targets = self._measured_targets()
            compiled = super().make_train_function(force=True)
            last = due == len(self.scales) - 1
            end = None if last else (due + 1) * self.steps_per_scale

            def step(iterator):
                if end is not None and int(self.step.numpy()) >= end:
                    self.train_function = None
                    return self.make_train_function()(iterator)
                return compiled(iterator)

            self.train_function = step
        return self.train_function

    # The loss.

    @property
    def players(self):
        return {"image": self.canvas}

    @property
    def sampled_network(self):
        return self.canvas

    def _features(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.backbone(tf.repeat(image, 3 // image.shape[-1], axis=-1), training=False)

    def _statistics(self, features: tf.Tensor, mask: tf.Tensor | None = None) -> Any:
        return gram_matrix(features, mask) if self.style_loss == "gram" else channel_moments(features, mask)

    def _style_distance(self, statistics, target) -> tf.Tensor:
        if self.style_loss == "gram":
            return gram_loss(statistics, target)[0] / _mean_square(target)
        return moments_loss(statistics, target)[0] / tf.add_n([_mean_square(part) for part in target])

    def _measured_targets(self) -> dict[str, Any]:
        """Features of the content and statistics of the styles at this scale."""
        features = self._features
        content = self.content.numpy()
        if self.preserve_color == "luminance":
            content = color.luminance(content)
        content = features(_resized(content, self._size())[None])
        styles = []
        for style in self.styles:
            found = features(_resized(style.numpy(), _scaled(style.shape, self.scales[self.scale]))[None])
            styles.append({layer: self._statistics(found[layer]) for layer in self.style_layers})
        masks: dict[str, list[Any]] = {layer: [None] * len(self.styles) for layer in self.style_layers}
        shares = list(self.style_weights)
        if self.masks is not None:
            whole = tf.transpose(self.masks.value, (1, 2, 0))[None]
            for layer in self.style_layers:
                small = tf.image.resize(whole, content[layer].shape[1:3], antialias=True)
                masks[layer] = tf.split(tf.clip_by_value(small, 0.0, 1.0), len(self.styles), axis=-1)
            areas = np.mean(self.masks.numpy(), axis=(1, 2))
            shares = [share * area for share, area in zip(shares, areas, strict=True)]
        return {
            "content": {layer: content[layer] for layer in self.content_layers},
            "styles": styles,
            "masks": masks,
            "shares": [float(share) for share in shares],
        }

    def _values(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """The loss and its parts of an image (1, height, width, channels) at this scale."""
        targets = self._targets
        assert targets is not None
        features = self._features(image)
        content = [
            content_loss(features[layer], target)[0] / _mean_square(target)
            for layer, target in targets["content"].items()
        ]
        style = []
        for layer in self.style_layers:
            whole = None if self.masks is not None else self._statistics(features[layer])
            for target, mask, share in zip(
                targets["styles"], targets["masks"][layer], targets["shares"], strict=True
            ):
                statistics = self._statistics(features[layer], mask) if whole is None else whole
                style.append(share * self._style_distance(statistics, target[layer]))
        values = {
            "content_loss": tf.add_n(content) / len(content) if content else tf.zeros(()),
            "style_loss": tf.add_n(style) / len(self.style_layers) if style else tf.zeros(()),
            "variation": total_variation(image) / tf.cast(tf.size(image), tf.float32),
        }
        loss = (
            self.content_weight * values["content_loss"]
            + self.style_weight * values["style_loss"]
            + self.total_variation_weight * values["variation"]
            + _RANGE_WEIGHT * tf.reduce_mean(tf.square(tf.nn.relu(tf.abs(image) - 1.0)))
        )
        return {"loss": loss, **values}

    def measure(self, image: Any = None) -> dict[str, float]:
        """The loss and its parts, by the names of the logs, at the present scale.

        Args:
            image: float32 (height, width, 3) in [-1, 1]; None measures the picture itself.
        """
        if self._targets is None:
            self._targets = self._measured_targets()
        if image is None:
            pixels = self.canvas.pixels.numpy()
        else:
            picture = _resized(_picture(image, "image"), self._size())
            pixels = (color.luminance(picture) if self.preserve_color == "luminance" else picture)[None]
        return {name: float(value) for name, value in self._values(tf.constant(pixels)).items()}

    # Training.

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        correction: SingularityCorrection | None = None,
        gradient_clip_norm: float | None = None,
        run_eagerly: bool = False,
    ) -> None:
        """Sets the optimizer.

        Args:
            optimizer: a Keras optimizer, `optimizers.LBFGS` or "lbfgs"; None is Adam of rate 0.03.
            correction: a `curvature.SingularityCorrection`; not with L-BFGS, which has its own curvature.
            gradient_clip_norm: the largest norm of the gradient; not with L-BFGS.
            run_eagerly: run the step op by op, for debugging.

        Raises:
            ValueError: what L-BFGS cannot be combined with, or a setting out of range.
        """
        if optimizer is None:
            optimizer = Adam(0.03)
        elif isinstance(optimizer, str) and optimizer.lower() == "lbfgs":
            optimizer = LBFGS()
        if isinstance(optimizer, LBFGS) and (correction is not None or gradient_clip_norm is not None):
            raise ValueError(
                "L-BFGS measures curvature and the length of its steps itself: leave correction and "
                "gradient_clip_norm out, or take another optimizer."
            )
        super().compile(
            optimizers={"image": optimizer},
            corrections={"image": correction},
            gradient_clip_norm=gradient_clip_norm,
            run_eagerly=run_eagerly,
        )

    def get_compile_config(self) -> dict | None:
        """What `compile` was called with, for saving; None before that."""
        config = super().get_compile_config()
        if config is None:
            return None
        return {
            "optimizer": config["image_optimizer"],
            "correction": config.get("image_correction"),
            "gradient_clip_norm": self.gradient_clip_norm,
            "run_eagerly": self.run_eagerly,
        }

    def train_step(self, data):
        """One step of the optimizer; the data count steps and are nothing else."""
        pixels = self.canvas.pixels

        def values():
            return self._values(pixels.value)

        optimizer = self.image_optimizer
        if isinstance(optimizer, LBFGS):

            def parts():
                found = values()
                return found["loss"], found

            found = optimizer.minimize(parts, [pixels])
            checked = {"image_loss": found.loss, "the gradient of the image": found.gradient_norm}
            with tf.control_dependencies([self._assert_finite(checked)]):
                # A place that was tried and not taken is not reported.
                logs = {name: tf.identity(value) for name, value in found.reported.items()}
            self.log(**{**logs, "loss": found.loss}, image_gradient_norm=found.gradient_norm)
        else:
            with self.random_stream() as stream:
                again = self.repeatable(stream, lambda: values()["loss"])
                with tf.GradientTape() as tape:
                    found = values()
                self.update("image", found["loss"], tape, found, again)
            self.log(**found)
        self.finish_step()
        return self.results()

    def fit(
        self,
        steps: int = 150,
        *,
        report_every: int = 10,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: int | str = "auto",
    ) -> keras.callbacks.History:
        """Takes so many steps more.

        Args:
            steps: of the optimizer; of L-BFGS, iterations.
            report_every: steps in what Keras and callbacks take for an epoch, whose mean losses are shown.
            callbacks: as of `keras.Model.fit`.
            verbose: as of `keras.Model.fit`.

        Returns:
            Keras's history, with the losses of each report.

        Raises:
            ValueError: no steps. FloatingPointError: a loss or gradient that is NaN or infinite.
        """
        if steps < 1 or report_every < 1:
            raise ValueError(
                f"steps and report_every must be 1 or more; received {steps} and {report_every}."
            )
        first, report_every = int(self.epoch.numpy()), min(report_every, steps)
        return super().fit(
            tf.data.Dataset.from_tensors(0).repeat(),
            initial_epoch=first,
            epochs=first - (-steps // report_every),
            steps_per_epoch=report_every,
            callbacks=[_StopAt(int(self.step.numpy()) + steps), *(callbacks or [])],
            verbose=verbose,
        )

    # The picture.

    @property
    def image(self) -> np.ndarray:
        """The picture as it is now: float32 (height, width, 3) of the content's size, in [-1, 1]."""
        picture = _resized(self.canvas.pixels.numpy()[0], self.image_shape[:2])
        if self.preserve_color == "luminance":
            return color.with_luminance(self.content.numpy(), picture)
        return np.clip(picture, -1.0, 1.0)

    def get_config(self) -> dict:
        """The arguments that make an equal model; its pictures are among its weights, of these shapes."""
        names = (
            *("content_weight", "style_weight", "total_variation_weight", "style_loss", "style_weights"),
            *("scales", "steps_per_scale", "style_scale", "preserve_color"),
            *("content_layers", "style_layers", "seed", "name", "scale"),
        )
        return {
            **{name: getattr(self, name) for name in names},
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "content_shape": self.image_shape,
            "style_shapes": [tuple(style.shape) for style in self.styles],
            "masked": self.masks is not None,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> GatysStyleTransfer:
        """A model of those arguments, its pictures blank."""
        config = dict(config)
        content = np.zeros(config.pop("content_shape"), np.float32)
        styles = [np.zeros(shape, np.float32) for shape in config.pop("style_shapes")]
        masks = np.ones((len(styles), *content.shape[:2])) if config.pop("masked") else None
        scale = config.pop("scale")
        backbone = keras.saving.deserialize_keras_object(config.pop("backbone"), custom_objects)
        model = cls(content, styles, masks=masks, backbone=backbone, **config)
        model._enter(scale)
        return model


class _StopAt(keras.callbacks.Callback):
    """Ends training after a step that is not the last of its epoch."""

    def __init__(self, step: int):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step.numpy()) >= self.step:
            self.model.stop_training = True


def gatys(
    content: Any,
    style: Any,
    *,
    steps: int = 150,
    scales: Sequence[float] = (0.5, 1.0),
    optimizer: keras.optimizers.Optimizer | str | None = "lbfgs",
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    verbose: int | str = 0,
    **options: Any,
) -> np.ndarray:
    """A picture in the style of others, in one call.

    Args:
        content, style: as for `GatysStyleTransfer`.
        steps: in all, shared evenly among the scales.
        scales: as for `GatysStyleTransfer`.
        optimizer: as for its `compile`.
        callbacks, verbose: as for its `fit`.
        **options: its other arguments.

    Returns:
        float32 (height, width, 3) in [-1, 1], of the content's size.

    Raises:
        ValueError, FileNotFoundError: as `GatysStyleTransfer`.
    """
    options.setdefault("steps_per_scale", max(1, steps // len(scales)))
    model = GatysStyleTransfer(content, style, scales=scales, **options)
    model.compile(optimizer)
    model.fit(steps, callbacks=callbacks, verbose=verbose)
    return model.image


# Pictures, sizes and masks.


def _several(styles: Any) -> bool:
    return isinstance(styles, (list, tuple)) or np.ndim(styles) == 4


def _picture(image: Any, role: str) -> np.ndarray:
    image = np.asarray(image, np.float32)
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(f"The {role} must have shape (height, width, 3); received {image.shape}.")
    if not np.abs(image).max(initial=0) <= 1 + 1e-3:
        raise ValueError(
            f"The {role} must be in [-1, 1]; received values from {image.min():g} to {image.max():g}. For "
            "bytes use image / 127.5 - 1, or read files with keras_gen.image.load_image."
        )
    return image


def _style_weights(weights: Sequence[float] | None, count: int, shared: bool) -> tuple[float, ...]:
    given = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if count == 0 or len(given) != count or min(given) < 0 or sum(given) <= 0:
        raise ValueError(
            f"There must be one style or more, and a weight of 0 or more for each, not all 0; received "
            f"{count} styles and weights {given}."
        )
    return tuple(weight / sum(given) for weight in given) if shared else tuple(given)


def _checked_masks(masks: Sequence[Any], content: np.ndarray, styles: Sequence[np.ndarray]) -> np.ndarray:
    shape = (len(styles), *content.shape[:2])
    found = [np.shape(mask) for mask in masks]
    if found != [shape[1:]] * len(styles):
        raise ValueError(f"masks must be {len(styles)}, one a style, each of {shape[1:]}; received {found}.")
    stacked = np.stack([np.asarray(mask, np.float32) for mask in masks])
    if not (stacked.min() >= 0 and stacked.max() <= 1):
        raise ValueError(f"masks must be in [0, 1]; received {stacked.min():g} to {stacked.max():g}.")
    return stacked


def _scaled(shape: Sequence[int], scale: float) -> tuple[int, int]:
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _fitting(shape: Sequence[int], longest: int) -> tuple[int, int]:
    return _scaled(shape, longest / max(shape[:2]))


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if tuple(image.shape[:2]) == tuple(size):
        return image
    return tf.image.resize(image, size, "bicubic", antialias=True).numpy()


def _mean_square(values: tf.Tensor) -> tf.Tensor:
    return tf.maximum(tf.reduce_mean(tf.square(tf.cast(values, tf.float32))), 1e-12)


def _fresh(thing: Any) -> Any:
    return type(thing).from_config(thing.get_config())
