"""A Neural Algorithm of Artistic Style: the picture itself is what is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import precision as precisions
from keras_gen.curvature.preconditioner import SingularityCorrection
from keras_gen.models.base import GenerativeModel
from keras_gen.networks.vgg import is_vgg, vgg
from keras_gen.optimizers import LBFGS, Adam
from keras_gen.style import color, pictures
from keras_gen.style.canvas import Canvas, starting_picture
from keras_gen.style.objective import Objective, Targets, checked_style_weights, layer_weights

#: Coarse layers weigh less: their statistics have strong patterns that a picture need not have all over.
STYLE_LAYERS = {"relu1_1": 256.0, "relu2_1": 64.0, "relu3_1": 16.0, "relu4_1": 4.0, "relu5_1": 1.0}
_SMALLEST = 32  # pixels; below, the deepest features are single pixels


@keras.saving.register_keras_serializable(package="keras_gen")
class GatysStyleTransfer(GenerativeModel):
    """Style transfer by optimization: the content of one picture in the style of others.

    `fit(steps)` takes steps of the optimizer on the picture, `image` is where it has got to; the loss is
    `style.objective`'s. A saved model goes on exactly.

    A model is one picture on one device: `tf.distribute` has nothing to spread here.

    Args:
        content: float32 (height, width, 3) in [-1, 1], 32 pixels or more at the coarsest scale.
        styles: a picture like the content, of any size, or several.
        backbone: where VGG-16's weights come from, as in `networks.vgg.vgg`, or a model from images in
            [-1, 1] to a dictionary of features that has all layers named below.
        content_layers, style_layers: features to compare, or a weight of each, relative to their sum.
        content_weight, style_weight, total_variation_weight: 0 or more.
        style_loss: "gram", or "mean_std" for channel means and standard deviations.
        style_weights: one of each style, relative to their sum; with masks they multiply `style_weight`.
            None weighs all the same.
        masks: one of each style, (height, width) of the content in [0, 1]: where that style is to be.
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
        content_layers: Mapping[str, float] | Sequence[str] = ("relu4_2",),
        style_layers: Mapping[str, float] | Sequence[str] = STYLE_LAYERS,
        content_weight: float = 1.0,
        style_weight: float = 300.0,
        total_variation_weight: float = 1.0,
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
        if self.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError(
                "One picture is optimized by one device; received a strategy of "
                f"{self.distribute_strategy.num_replicas_in_sync}: make the model outside of its scope."
            )
        if preserve_color not in (None, "luminance", "histogram"):
            raise ValueError(
                f'preserve_color must be None, "luminance" or "histogram"; received {preserve_color!r}.'
            )
        if list(scales) != sorted({float(s) for s in scales if s > 0}) or not scales or scales[-1] != 1:
            raise ValueError(f"scales must grow from above 0 to 1, as (0.5, 1.0); received {tuple(scales)}.")
        if steps_per_scale < 1 or not 0 < style_scale < np.inf:
            raise ValueError(
                "steps_per_scale must be 1 or more and style_scale finite and above 0; received "
                f"{steps_per_scale} and {style_scale}."
            )
        self.content_layers, self.style_layers = layer_weights(content_layers), layer_weights(style_layers)
        self.loss_weights = (float(content_weight), float(style_weight), float(total_variation_weight))
        self.style_loss, self.preserve_color = style_loss, preserve_color
        self.objective = Objective(
            self._features, self.content_layers, self.style_layers, *self.loss_weights, style_loss=style_loss
        )
        self.scales, self.steps_per_scale = tuple(map(float, scales)), int(steps_per_scale)
        self.style_scale = float(style_scale)
        content = pictures.checked(content, "content")
        self.image_shape = content.shape
        longest = round(max(content.shape[:2]) * self.style_scale)
        given = pictures.fitted(styles, longest)
        self.style_weights = checked_style_weights(style_weights, len(given))
        for role, picture in (("content", content), *(("painting", style) for style in given)):
            if min(pictures.scaled(picture.shape, self.scales[0])) < _SMALLEST:
                raise ValueError(
                    f"Pictures need {_SMALLEST} pixels a side or more at every scale; the {role} has "
                    f"{picture.shape[1]}x{picture.shape[0]} beside the content's {content.shape[1]}x"
                    f"{content.shape[0]}, fewer at scale {self.scales[0]:g}: take larger ones (by --size), "
                    "larger scales, or a painting less thin."
                )
        start = starting_picture(init, content, given[0], self.seed)
        if preserve_color == "luminance":
            given = [color.match_luminance(style, content) for style in given]
            start = color.luminance(start)
        elif preserve_color == "histogram":
            given = [color.match_colors(style, content) for style in given]
        self.content = self._kept(content, "content")
        self.styles = [self._kept(style, f"style_{i}") for i, style in enumerate(given)]
        self.masks: keras.Variable | None = None
        if masks is not None:
            self.masks = self._kept(pictures.checked_masks(masks, len(given), content.shape), "masks")
        if not isinstance(backbone, keras.Model):
            taps = tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))
            with precisions.scope(precision):
                backbone = vgg("vgg16", taps, backbone=backbone, padding="reflect", pooling="average")
        self.backbone = backbone
        self.backbone.trainable = False
        self.scale = 0
        self._targets: Targets | None = None
        self._new_canvas(pictures.resized(start, self._size()))
        self.built = True

    def _kept(self, value: np.ndarray, name: str) -> keras.Variable:
        return self.add_weight(
            shape=value.shape,
            initializer=lambda shape, dtype=None: tf.constant(value, tf.float32),
            trainable=False,
            name=name,
        )

    # Scales.

    def _size(self) -> tuple[int, int]:
        return pictures.scaled(self.image_shape, self.scales[self.scale])

    def _new_canvas(self, image: np.ndarray) -> None:
        self._forget("canvas")
        self.canvas = Canvas(image.shape, name="canvas")
        self.canvas.pixels.assign(image[None])
        self._targets = None
        self.train_function = None

    def _enter(self, scale: int) -> None:
        """The picture at a finer scale; the optimizer and correction of before know nothing of its pixels."""
        self.scale = scale
        self._new_canvas(pictures.resized(self.canvas.pixels.numpy()[0], self._size()))
        optimizer, correction = (getattr(self, f"image_{name}", None) for name in ("optimizer", "correction"))
        if optimizer is not None:
            self.image_optimizer = _fresh(optimizer)
            self.image_optimizer.build(self.canvas.trainable_variables)
        if correction is not None:
            self._forget("image_correction")
            self.image_correction = _fresh(correction)
            self.image_correction.prepare(self.canvas.trainable_variables)

    def make_train_function(self, force: bool = False) -> Callable:
        """The function that `fit` calls for a step; it moves on to the next scale when its turn has come."""
        if self.train_function is None or force:
            due = min(int(self.step.numpy()) // self.steps_per_scale, len(self.scales) - 1)
            if due != self.scale:
                self._enter(due)
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
        return self.backbone(tf.repeat(image, 3 // image.shape[-1], axis=-1), training=is_vgg(self.backbone))

    @property
    def targets(self) -> Targets:
        """What the picture is compared with at the present scale."""
        if self._targets is None:
            with tf.init_scope():  # once and for all, though it is a traced step that asks first
                self._targets = self._measured()
        return self._targets

    def _measured(self) -> Targets:
        content, scale = self.content.numpy(), self.scales[self.scale]
        if self.preserve_color == "luminance":
            content = color.luminance(content)
        styles = [style.numpy() for style in self.styles]
        shares = np.array(self.style_weights)
        return self.objective.targets(
            pictures.resized(content, self._size()),
            [pictures.resized(style, pictures.scaled(style.shape, scale)) for style in styles],
            list(shares / shares.sum() if self.masks is None else shares),
            None if self.masks is None else self.masks.numpy(),
        )

    def measure(self, image: Any = None) -> dict[str, float]:
        """The loss and its parts, by the names of the logs, at the present scale.

        Args:
            image: float32 (height, width, 3) in [-1, 1]; None measures the picture itself.
        """
        targets = self.targets
        if image is None:
            pixels = self.canvas.pixels.numpy()
        else:
            picture = pictures.resized(pictures.checked(image, "image"), self._size())
            pixels = (color.luminance(picture) if self.preserve_color == "luminance" else picture)[None]
        return {name: float(value) for name, value in self.objective(tf.constant(pixels), targets).items()}

    # Training.

    def compile(  # type: ignore[override]  # a picture is the one player
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
        pixels, targets = self.canvas.pixels, self.targets

        def values():
            return self.objective(pixels.value, targets)

        optimizer = self.image_optimizer
        if isinstance(optimizer, LBFGS):

            def parts():
                found = values()
                return found["loss"], found

            found = optimizer.minimize(parts, [pixels])
            checked = {"image_loss": found.loss, "the gradient of the image": found.gradient_norm}
            with tf.control_dependencies([self._assert_finite(checked)]):
                self.log(**{**found.reported, "loss": found.loss}, image_gradient_norm=found.gradient_norm)
        else:
            with self.random_stream() as stream:
                again = self.repeatable(stream, lambda: values()["loss"])
                with tf.GradientTape() as tape:
                    found = values()
                self.update("image", found["loss"], tape, found, again)
            self.log(**found)
        self.finish_step()
        return self.results()

    def fit(  # type: ignore[override]  # there are no data
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
        picture = pictures.resized(self.canvas.pixels.numpy()[0], self.image_shape[:2])
        if self.preserve_color == "luminance":
            return color.with_luminance(self.content.numpy(), picture)
        return np.clip(picture, -1.0, 1.0)

    def get_config(self) -> dict:
        """The arguments that make an equal model; its pictures are among its weights, of these shapes."""
        names = (
            *("content_layers", "style_layers", "style_loss", "style_weights", "scales", "steps_per_scale"),
            *("style_scale", "preserve_color", "seed", "name", "scale"),
        )
        weights = ("content_weight", "style_weight", "total_variation_weight")
        return {
            **{name: getattr(self, name) for name in names},
            **dict(zip(weights, self.loss_weights, strict=True)),
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
        # In colour: to match the luminance, which leaves one channel, is for the constructor.
        styles = [np.zeros((*shape[:2], 3), np.float32) for shape in config.pop("style_shapes")]
        masks = [np.ones(content.shape[:2])] * len(styles) if config.pop("masked") else None
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


def gatys_stylize(
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
        scales: as for `GatysStyleTransfer`; those at which a picture would be too small are left out.
        optimizer: as for its `compile`.
        callbacks, verbose: as for its `fit`.
        **options: its other arguments.

    Returns:
        float32 (height, width, 3) in [-1, 1], of the content's size.

    Raises:
        ValueError, FileNotFoundError: as `GatysStyleTransfer`.
    """
    shortest = min(np.shape(content)[:2], default=0)
    scales = [scale for scale in scales if scale == 1 or round(shortest * scale) >= 2 * _SMALLEST]
    options.setdefault("steps_per_scale", max(1, steps // max(1, len(scales))))
    model = GatysStyleTransfer(content, style, scales=scales, **options)
    model.compile(optimizer)
    model.fit(steps, callbacks=callbacks, verbose=verbose)
    return model.image


def _fresh(thing: Any) -> Any:
    return type(thing).from_config(thing.get_config())
