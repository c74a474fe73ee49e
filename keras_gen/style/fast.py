"""FastStyleTransfer: one feed-forward network for many styles, trained with the perceptual loss."""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.layers.patterns import ImageOrigin, PatternStrength
from keras_gen.networks.style_blocks import MULTIPLE
from keras_gen.random import RandomStream
from keras_gen.style.borders import cropped, reflected
from keras_gen.style.faint import evened
from keras_gen.style.feed_forward import FeedForwardStyle
from keras_gen.style.operators import gram_matrix
from keras_gen.style.perceptual import STYLE_TAPS, palette
from keras_gen.style.pictures import check_shares, checked, numbers, several
from keras_gen.style.tiles import Tiled, is_large

_COLOURS = 256  # of a palette, along each direction
_SMALLEST = 16  # side of a painting in pixels: two of the features of relu4_3


def _painted(network, images, weights, training) -> tf.Tensor:
    """What the network makes of a batch of images of any size."""
    pictures = network([reflected(images, MULTIPLE), weights], training=training)
    return cropped(tf.cast(pictures, tf.float32), images)


@keras.saving.register_keras_serializable(package="keras_gen")
class FastStyleTransfer(FeedForwardStyle):
    """Style transfer by one pass through a network that holds many styles; Muon 4e-3.

    Each training image gets a style at random, and the loss `content_weight * content + style_weight *
    style + tone_weight * tone + checkerboard_weight * checkerboard + total_variation_weight *
    total_variation + restraint_weight * restraint`: content by VGG features of the photograph, style by Gram
    matrices of the painting, tone by the photograph's brightness. The content loss is divided by the
    photograph's mean square of features, and the style loss of each of VGG's layers by the painting's, so
    that the weights mean the same for every painting and every VGG, and every layer counts.

    Show it the paintings with `adapt` before `fit`. The file that `save` writes holds what it has learned of
    them; VGG is not in the file, and is only needed for training.

    Args:
        network: a network from images (batch, height, width, 3) and weights of the styles (batch, styles) to
            images, such as `networks.transformer_net(len(styles))`.
        styles: the styles' names.
        content_weight: weight of the content loss.
        style_weight: weight of the style loss: a number, or one for each style.
        tone_weight: weight of the tone loss, which keeps light parts of a photograph lighter than dark ones:
            VGG's features hardly tell an image from its negative.
        checkerboard_weight: weight of what repeats every four pixels, which the network would take for grain.
        total_variation_weight: weight of the mean absolute difference of neighbouring pixels.
        restraint_weight: weight of what keeps faces and lines, plain skies and the painting's own colours, at
            the cost of strokes: see `perceptual.restraint_losses`. For each 1, total variation weighs 0.18
            more.
        temporal_weight: weight of the temporal loss, for films that do not flicker and lines that are
            smooth: how far the painting of a photograph that was moved a little, with noise, is from the
            painting of the photograph, moved. Each photograph is then painted a second time, without texture
            and noise, which stand still in a film; of these calm pictures the restraint weight is at
            least 1.
        features: the VGG: options of `networks.vgg`, e.g. {"backbone": "imagenet"}.
        seed: an integer; None draws one.
        name: the model's name.

    Raises:
        ValueError: a network that does not fit the styles, names twice, or weights out of range.

    Reference: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, 2016, arXiv:1603.08155;
    A Learned Representation For Artistic Style, 2017, arXiv:1610.07629. The temporal loss: Characterizing and
    Improving Stability in Neural Style Transfer, 2017, arXiv:1705.02092, on frames made from one photograph,
    as in Consistent Video Style Transfer via Compound Regularization, 2020, AAAI 34.
    """

    def __init__(
        self,
        network: keras.Model,
        styles: Sequence[str],
        *,
        content_weight: float = 1.0,
        style_weight: float | Sequence[float] = 15.0,
        tone_weight: float = 0.3,
        checkerboard_weight: float = 100.0,
        total_variation_weight: float = 0.02,
        restraint_weight: float = 0.0,
        temporal_weight: float = 0.0,
        features: Mapping[str, Any] | None = None,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(
            features,
            content_weight=content_weight,
            tone_weight=tone_weight,
            checkerboard_weight=checkerboard_weight,
            total_variation_weight=total_variation_weight,
            restraint_weight=restraint_weight,
            temporal_weight=temporal_weight,
            seed=seed,
            name=name,
        )
        self.styles = tuple(map(str, styles))
        if not self.styles or len(set(self.styles)) < len(self.styles):
            raise ValueError(f"styles must be names, no two the same; received {list(styles)}.")
        self.style_weight = style_weight
        self.network = network
        self._check_network()
        for tap, channels in self.features.style_channels.items():
            shape = (len(self.styles), channels, channels)
            weight = self.add_weight(shape=shape, initializer="zeros", trainable=False, name=f"gram_{tap}")
            setattr(self, f"gram_{tap}", weight)
        shape = (len(self.styles), *palette(tf.zeros((1, 2, 2, 3)), _COLOURS).shape[1:])
        self.palettes = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="palettes")
        self.built = True

    def _check_network(self) -> None:
        count = len(self.styles)
        shapes = [tuple(tensor.shape)[1:] for tensor in self.network.inputs]
        if len(shapes) != 2 or shapes[0][-1] != 3 or shapes[1] != (count,):
            raise ValueError(
                f"The network must take images (height, width, 3) and a weight for each style ({count},); "
                f"it takes {shapes}. Make it with networks.transformer_net({count})."
            )

    @property
    def style_weight(self) -> list[float]:
        """Weight of the style loss of each style; another one is as in the constructor."""
        return self._style_weight

    @style_weight.setter
    def style_weight(self, weight: float | Sequence[float]) -> None:
        weights, count = np.asarray(weight), len(self.styles)
        fits = weights.shape in ((), (count,)) and weights.dtype.kind in "iuf"
        if not fits or not np.all((weights >= 0) & (weights < np.inf)):
            raise ValueError(
                f"style_weight must be a number of at least 0, or one for each of {count} styles; received "
                f"{weight}."
            )
        self._style_weight = np.broadcast_to(weights.astype(np.float32), count).tolist()

    # Training.

    def adapt(self, paintings: Mapping[str, np.ndarray] | Sequence[np.ndarray]) -> None:
        """Takes the styles of paintings, which `fit` then trains towards.

        Args:
            paintings: one for each style, by name or in order: float32 (height, width, 3) in [-1, 1]. Strokes
                come out at the size that they have in these pixels.

        Raises:
            ValueError: a style without a painting, a painting without a style, or one of another shape or
            range.
        """
        if not isinstance(paintings, Mapping):
            if len(paintings) != len(self.styles):
                raise ValueError(
                    f"adapt needs one painting for each of {', '.join(self.styles)}; received "
                    f"{len(paintings)}."
                )
            paintings = dict(zip(self.styles, paintings, strict=True))
        if set(paintings) != set(self.styles):
            raise ValueError(
                f"adapt needs one painting for each of {', '.join(self.styles)}; received those of "
                f"{', '.join(paintings)}."
            )
        targets = [checked(paintings[style], f"painting {style}") for style in self.styles]
        for style, painting in zip(self.styles, targets, strict=True):
            if min(painting.shape[:2]) < _SMALLEST:
                raise ValueError(
                    f"The painting {style} must have at least {_SMALLEST} pixels a side; received "
                    f"{painting.shape[:2]}."
                )
        grams: dict[str, list[np.ndarray]] = {tap: [] for tap in STYLE_TAPS}
        with self.distribute_strategy.scope():  # VGG's weights are made here, one for each replica
            for painting in targets:
                features = self.vgg_features(painting[None])
                for tap, found in grams.items():
                    found.append(gram_matrix(features[tap])[0].numpy())
        for tap, found in grams.items():
            getattr(self, f"gram_{tap}").assign(np.stack(found))
        self.palettes.assign(np.concatenate([palette(painting[None], _COLOURS) for painting in targets]))

    def examples(self, data, stream: RandomStream) -> tuple[tf.Tensor, ...]:
        """The images of a batch, weights of a style at random and an origin for each, and `motion`'s."""
        images, count = self.images_of(data), len(self.styles)
        draws = stream.uniform(tf.shape(images)[0], ())
        weights = tf.one_hot(tf.cast(draws * count, tf.int32), count)
        return images, weights, self.origins(images, stream), *self.motion(images, stream)

    def losses_of(self, network, *examples, training=False):
        """The loss and its parts; see `FeedForwardStyle`.

        Args:
            network: the trained one, or its moving average.
            *examples: photographs, one-hot weights, where each begins in the plane (or None, or nothing: all
                at its beginning), and what `motion` gave.
            training: passed to the network.
        """
        images, weights, *others = examples
        origins, *motion = others or [None]
        grams = {
            tap: tf.einsum("bs,sij->bij", weights, tf.convert_to_tensor(getattr(self, f"gram_{tap}")))
            for tap in STYLE_TAPS
        }
        palettes = tf.einsum("bs,sdc->bdc", weights, tf.convert_to_tensor(self.palettes))
        style_weight = tf.linalg.matvec(weights, tf.constant(self.style_weight))

        def paint(photographs, texture=None):
            with ImageOrigin(origins), PatternStrength(texture):
                return _painted(network, photographs, weights, training)

        targets = self.vgg_features(images), grams, style_weight, palettes
        values = self.perceptual(paint(images), images, *targets)
        calm = functools.partial(paint, texture=0.0)
        return self.with_calm(values, calm, images, motion, *targets)

    def fit(self, x=None, *args, **kwargs):
        """Trains on photographs: images (batch, height, width, 3) in [-1, 1], of at least 16 pixels a side.

        Raises:
            ValueError: no painting was seen, images out of range, or a network for calm pictures, which
                learns by a temporal weight alone, without one.
            FileNotFoundError: there are no weights for VGG.
            FloatingPointError: a loss or gradient that is not finite.
        """
        if not np.any(self.gram_relu1_2.numpy()):
            raise ValueError("The styles are not known yet: call adapt with the paintings before fit.")
        if self.calm and not self.temporal_weight:
            raise ValueError(
                "The network has one for calm pictures, which learns by a temporal weight alone; received a "
                "temporal_weight of 0: make the model with one above 0, e.g. 10, or the network without calm."
            )
        return super().fit(x, *args, **kwargs)

    # Painting.

    def call(self, inputs, training=False):
        """Pictures of (images, weights of the styles), of any size, as `stylize` paints them.

        Weights are at least 0, and count by their proportions. Texture is `default_texture`, or within a
        block of `layers.PatternStrength`, what that says.
        """
        images, weights = inputs
        weights = tf.cast(weights, tf.float32)
        weights = weights / tf.maximum(tf.reduce_sum(weights, 1, keepdims=True), 1e-6)
        return self.as_stylized(lambda: _painted(self.sampler, images, weights, training), images)

    def style_weights(self, style: str | int | Mapping[str, float] | Sequence[float]) -> np.ndarray:
        """The weights of a style or of a blend: float32 (styles,), of sum 1.

        Args:
            style: a name, an index, weights by name, or weights in order.

        Raises:
            ValueError: an unknown style, or weights that do not blend.
        """
        names = self.styles
        if isinstance(style, bool):  # which NumPy takes for a number, but not for an index
            style = str(style)
        if isinstance(style, (int, np.integer)) and -len(names) <= style < len(names):
            return np.eye(len(names), dtype=np.float32)[style]
        if isinstance(style, str):
            style = {style: 1.0}
        if isinstance(style, Mapping):
            unknown = [name for name in style if name not in names]
            if unknown:
                raise ValueError(f"There is no style {unknown[0]!r}: choose from {', '.join(names)}.")
            style = [style.get(name, 0.0) for name in names]
        weights = numbers(style)
        if weights.shape != (len(names),) or not weights.min() >= 0 or not 0 < weights.sum() < np.inf:
            received = f"an array of shape {np.shape(style)}" if weights.ndim > 1 else reprlib.repr(style)
            raise ValueError(
                f"style must be a name, an index below {len(names)}, or {len(names)} weights of at least 0, "
                f"by name or in order; received {received}. (For a painting take an AdaINStyleTransfer.)"
            )
        return weights / weights.sum()

    def stylize(
        self,
        image: np.ndarray,
        style: str | int | Mapping[str, float] | Sequence[float] = 0,
        strength: float = 1.0,
        texture: float | None = None,
    ) -> np.ndarray:
        """Paints an image, or several of one size, in a style; large ones by tiles, in bounded memory.

        Args:
            image: float32 (height, width, 3) or (count, height, width, 3) in [-1, 1], of any size.
            style: a name, an index, or weights of a blend; see `style_weights`.
            strength: from 0, the image as it is, to 1.
            texture: strokes and grain that the style lays where the image is plain: from 0, calm skies, to 1,
                which is nearest to the painting by VGG's features; None is `default_texture`. Between them,
                a network that has one for calm pictures mixes two pictures, in twice the time.

        Returns:
            float32 of the image's shape, in [-1, 1].

        Raises:
            ValueError: an image of another shape or range, an unknown style, or a strength or texture out of
            range.
        """
        images = several(image, "image")
        check_shares(strength=strength)
        texture = self.texture_of(texture)
        weights = self.style_weights(style)
        painted = np.empty_like(images)
        for index, one in enumerate(images):
            painted[index] = evened(self._paint(one, weights, texture), one, texture)
        if strength < 1:
            painted = images + np.float32(strength) * (painted - images)
        return painted.reshape(np.shape(image))

    def painting(self, weights: np.ndarray, texture: float) -> Callable[[tf.Tensor], tf.Tensor]:
        """What paints images by weights of the styles and a texture, as they are: for `tiles.Tiled`."""

        def paint(images):
            with PatternStrength(texture):
                pictures = self.sampler([images, tf.repeat(weights[None], tf.shape(images)[0], axis=0)])
            return tf.cast(pictures, tf.float32)

        return paint

    def _paint(self, image: np.ndarray, weights: np.ndarray, texture: float) -> np.ndarray:
        if is_large(image):
            return Tiled(self.painting(weights, texture), multiple=MULTIPLE, plain=not texture)(image)
        network = self.sampler
        if getattr(self, "_painter_network", None) is not network:
            self._painter_network = network
            shapes = (1, None, None, 3), (1, len(self.styles)), ()

            @functools.cache
            def painter(fixed: float | None) -> Callable[..., tf.Tensor]:
                def paint(images, weights, texture):
                    texture = texture if fixed is None else fixed
                    with ImageOrigin(None), PatternStrength(texture):
                        return _painted(network, images, weights, False)

                return tf.function(paint, [tf.TensorSpec(shape) for shape in shapes], autograph=False)

            self._painter = painter
        # Of a strength that is known while it is traced only one of two networks is computed.
        paint = self._painter(texture if texture in (0, 1) else None)
        inputs = tf.constant(image[None]), tf.constant(weights[None]), tf.constant(texture, tf.float32)
        return paint(*inputs)[0].numpy()

    # Saving.

    def get_config(self) -> dict:
        """The arguments that make an equal model, the network included."""
        return {
            "network": keras.saving.serialize_keras_object(self.network),
            "styles": list(self.styles),
            "content_weight": self.content_weight,
            "style_weight": self.style_weight,
            "tone_weight": self.tone_weight,
            "checkerboard_weight": self.checkerboard_weight,
            "total_variation_weight": self.total_variation_weight,
            "restraint_weight": self.restraint_weight,
            "temporal_weight": self.temporal_weight,
            "features": self.features.options,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """A model from its config."""
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        return cls(**{**config, "network": network})
