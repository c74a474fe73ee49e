"""AdaINStyleTransfer: any painting's style at once, by exchanging the statistics of features."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import optimizers
from keras_gen.layers import Conv2D
from keras_gen.layers.patterns import ImageOrigin, PatternStrength
from keras_gen.networks.style_blocks import MULTIPLE
from keras_gen.networks.vgg import channels
from keras_gen.random import RandomStream
from keras_gen.style.borders import cropped, reflected
from keras_gen.style.faint import evened
from keras_gen.style.feed_forward import FeedForwardStyle, checked_weight
from keras_gen.style.operators import adain, gram_matrix
from keras_gen.style.perceptual import STYLE_TAPS, palette, relative_errors
from keras_gen.style.pictures import check_shares, each_checked, numbers, several, shapes_of
from keras_gen.style.tiles import Tiled, is_large

_HINT_TAP = "relu4_1"  # the paper's encoder
LONGEST = 512  # of a painting: its strokes are to come out at the size that they were learned at


@keras.saving.register_keras_serializable(package="keras_gen")
class StyleCoder(keras.Model):
    """An encoder and a decoder, and between them the exchange of statistics; as one network.

    Args:
        encoder: a network from images to features.
        decoder: a network from such features to images.
        hint_channels: of a teacher's features, which the layer `hint` gives, up to their scale, from the
            encoder's; None makes no such layer, for it is of use in training alone.
        **options: arguments of `keras.Model`.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        hint_channels: int | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.encoder, self.decoder = encoder, decoder
        self.hint_channels, self.hint = hint_channels, None
        if hint_channels is not None:
            self.hint = Conv2D(hint_channels, 1, dtype="float32", name="hint")
            self.hint.build(encoder.output_shape)
        self.built = True

    def call(self, inputs, training=False):
        """Images of (photographs, paintings), both (batch, height, width, 3) in [-1, 1]."""
        content, style = (self.encode(images, training) for images in inputs)
        return self.decode(adain(content, style), training)

    def encode(self, images, training=False) -> tf.Tensor:
        """Features of images."""
        return self.encoder(images, training=training)

    def decode(self, features, training=False) -> tf.Tensor:
        """Images of features."""
        return tf.cast(self.decoder(features, training=training), tf.float32)

    def get_config(self) -> dict:
        """The parts, serialized."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "hint_channels": self.hint_channels,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> StyleCoder:
        """A network from its config."""
        parts = {
            part: keras.saving.deserialize_keras_object(config[part], custom_objects=custom_objects)
            for part in ("encoder", "decoder")
        }
        return cls(**{**config, **parts})


def reduced(paintings: tf.Tensor) -> tf.Tensor:
    """Paintings no longer than those that the strokes were learned from.

    Args:
        paintings: (batch, height, width, 3); height and width may be unknown while it is traced.

    Returns:
        The same, or with a longer side of 512 pixels, as `image.load_image` reduces pictures.
    """
    static = paintings.shape[1:3]
    if None not in static and max(static) <= LONGEST:
        return paintings
    size = tf.cast(tf.shape(paintings)[1:3], tf.float64)
    scale = tf.minimum(tf.constant(1.0, tf.float64), LONGEST / tf.reduce_max(size))
    wanted = tf.maximum(1, tf.cast(tf.round(size * scale), tf.int32))

    def resized():
        found = tf.image.resize(paintings, wanted, "lanczos3", antialias=True)
        return tf.clip_by_value(found, -1, 1)  # it overshoots at edges

    return tf.cond(scale < 1, resized, lambda: paintings)


def _exchanged(content: tf.Tensor, codes: Sequence[tf.Tensor], shares: Sequence[float]) -> tf.Tensor:
    """Features with the statistics of paintings' codes, blended by their shares."""
    return tf.add_n([share * adain(content, code) for share, code in zip(shares, codes, strict=True)])


@keras.saving.register_keras_serializable(package="keras_gen")
class AdaINStyleTransfer(FeedForwardStyle):
    """Style transfer to any painting by one pass: encode both, exchange statistics, decode; Muon 1e-3.

    The decoder learns to turn features with a painting's channel means and standard deviations into a
    picture in its style. With the paper's encoder, VGG itself (`vgg_encoder`), the encoder stays as it is; a
    `small_encoder`, for phones, learns along, and with a `distillation_weight` learns VGG's own features
    besides, which a linear map of its features is to match.

    The loss is `FastStyleTransfer`'s, with the Gram matrices of each one's own painting, so that both are
    weighed alike, but for restraint, without which strange paintings lend little but their strokes. The
    paper's takes channel means and deviations for the style, and features after the exchange for the content.

    Train it on pairs: `fit` takes (photographs, paintings), both (batch, height, width, 3).

    Args:
        encoder: a network from images to features at an eighth of the size, trained unless frozen.
        decoder: a network from the features to images.
        content_weight: weight of the content loss.
        style_weight: weight of the style loss.
        tone_weight: weight of the tone loss.
        checkerboard_weight: weight of what repeats every four pixels.
        total_variation_weight: weight of the mean absolute difference of neighbouring pixels.
        restraint_weight: weight of what keeps faces and lines, plain skies and the painting's own colours, at
            the cost of strokes, as in `FastStyleTransfer`. Above 0 `stylize` leaves noise out by default, and
            in training half of the pictures are without.
        temporal_weight: weight of the temporal loss, as in `FastStyleTransfer`.
        distillation_weight: weight of the squared error by which relu4_1 of VGG is found in the encoder's
            features, of photographs and paintings, relative to its mean square.
        features: the VGG of the loss: options of `networks.vgg`.
        seed: an integer; None draws one.
        name: the model's name.

    Raises:
        ValueError: an encoder and a decoder that do not fit each other, an encoder that cannot be taught, or
            a weight below 0.

    Reference: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization, 2017,
    arXiv:1703.06868. Distillation by a linear map: FitNets: Hints for Thin Deep Nets, 2015, arXiv:1412.6550.
    """

    # The encoder has no normalizations, so that steps decide how large its weights become.
    recommended_optimizer = functools.partial(optimizers.Muon, 1e-3)

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        *,
        content_weight: float = 1.0,
        style_weight: float = 15.0,
        tone_weight: float = 0.3,
        checkerboard_weight: float = 100.0,
        total_variation_weight: float = 0.02,
        restraint_weight: float = 1.0,
        temporal_weight: float = 0.0,
        distillation_weight: float = 0.0,
        features: Mapping[str, Any] | None = None,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(
            features,
            hint_taps=[_HINT_TAP] if distillation_weight else [],
            content_weight=content_weight,
            tone_weight=tone_weight,
            checkerboard_weight=checkerboard_weight,
            total_variation_weight=total_variation_weight,
            restraint_weight=restraint_weight,
            temporal_weight=temporal_weight,
            seed=seed,
            name=name,
        )
        self.style_weight = style_weight
        self.distillation_weight = checked_weight("distillation_weight", distillation_weight)
        made, wanted = encoder.output_shape[-1], decoder.input_shape[-1]
        if made != wanted:
            raise ValueError(
                f"The encoder gives {made} channels and the decoder takes {wanted}: make it with "
                f"style_decoder({made})."
            )
        size = decoder.compute_output_shape(encoder.compute_output_shape((1, 64, 64, 3)))[1:3]
        if tuple(size) != (64, 64):
            raise ValueError(
                f"Of images of 64x64 pixels encoder and decoder make pictures of {size[0]}x{size[1]}: the "
                "decoder must enlarge as many times as the encoder shrinks."
            )
        hint_channels = None
        if self.distillation_weight:
            self._check_pupil(encoder)
            hint_channels = channels(_HINT_TAP)
            self._log(*self.loss_names, "distillation")
        self.network = StyleCoder(encoder, decoder, hint_channels, name="style_coder")
        self.built = True

    def _check_pupil(self, encoder: keras.Model) -> None:
        size = encoder.compute_output_shape((1, 64, 64, 3))[1:3]
        if not encoder.trainable_variables or tuple(size) != (8, 8):
            raise ValueError(
                "distillation_weight teaches a trainable encoder whose features are an eighth of the image's "
                "size, such as small_encoder(); leave it out for others."
            )

    @property
    def style_weight(self) -> float:
        """Weight of the style loss; another one is a number of at least 0, or there is a ValueError."""
        return self._style_weight

    @style_weight.setter
    def style_weight(self, weight: float) -> None:
        self._style_weight = checked_weight("style_weight", weight)

    @property
    def default_texture(self) -> float:
        """How strong noise is unless it is said: 0 if it has learned with restraint, else 1.

        What such a network makes of noise in a plain sky is ticks, and of the rest nothing.
        """
        return 0.0 if self.restraint_weight else 1.0

    # Training.

    def examples(self, data, stream: RandomStream) -> tuple[tf.Tensor, ...]:
        """Photographs, paintings, `origins`, how strong noise is in each, and what `motion` adds."""
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise ValueError(
                "AdaINStyleTransfer trains on pairs (photographs, paintings): zip two data sets with "
                "tf.data.Dataset.zip."
            )
        images, paintings = self.images_of(data[0]), self.images_of(data[1])
        noise = None
        if not self.default_texture:
            noise = tf.cast(stream.uniform(tf.shape(images)[0], ()) < 0.5, tf.float32)
        return images, paintings, self.origins(images, stream), noise, *self.motion(images, stream)

    def losses_of(self, network, *examples, training=False):
        """The loss and its parts; see `FeedForwardStyle`.

        Args:
            network: the trained one, or its moving average.
            *examples: photographs, paintings, where each photograph begins in the plane (or None, or nothing:
                all at its beginning), how strong noise is in each (None: as learned), and what `motion` gave.
            training: passed to the network; where it is False, noise is as strong as `stylize` has it.
        """
        images, paintings, *others = examples
        origins, noise, *motion = others + [None] * (2 - len(others))
        painting_codes = network.encode(reflected(paintings, MULTIPLE), training)

        def paint(photographs, texture=None):
            codes = network.encode(reflected(photographs, MULTIPLE), training)
            with ImageOrigin(origins), PatternStrength(texture):
                pictures = network.decode(adain(codes, painting_codes), training)
            return cropped(pictures, photographs), codes

        pictures, codes = paint(images, noise if training else self.default_texture)
        content, style = self.vgg_features(images), self.vgg_features(paintings)
        grams = {tap: gram_matrix(style[tap]) for tap in STYLE_TAPS}
        targets = content, grams, self.style_weight, palette(paintings)
        values = self.perceptual(pictures, images, *targets)
        if network.hint is not None:
            errors = []
            for code, wanted in ((codes, content[_HINT_TAP]), (painting_codes, style[_HINT_TAP])):
                # Up to their scale: VGG's are so large that the layer would first of all have to grow.
                square = tf.square(tf.cast(wanted, tf.float32))
                scale = tf.sqrt(tf.reduce_mean(square, (1, 2, 3), keepdims=True))
                found = scale * network.hint(cropped(code, wanted))
                errors.append(tf.reduce_mean(relative_errors(found, wanted)))
            values["distillation"] = tf.add_n(errors) / 2
            values["loss"] += self.distillation_weight * values["distillation"]

        def calm(photographs):
            return paint(photographs, 0.0)[0]

        return self.with_calm(values, calm, images, motion, *targets)

    # Painting.

    def call(self, inputs, training=False):
        """Pictures of (photographs, paintings), both of any size, as `stylize` paints them.

        Texture is `default_texture`, or within a block of `layers.PatternStrength`, what that says.
        """
        photographs, paintings = inputs
        network = self.sampler
        code, painting_code = (
            network.encode(reflected(images, MULTIPLE), training)
            for images in (photographs, reduced(paintings))
        )
        exchanged = adain(code, painting_code)
        return self.as_stylized(
            lambda: cropped(network.decode(exchanged, training), photographs), photographs
        )

    def stylize(
        self,
        image: np.ndarray,
        style: np.ndarray | Sequence[np.ndarray],
        strength: float = 1.0,
        texture: float | None = None,
        *,
        weights: Sequence[float] | None = None,
        masks: Sequence[np.ndarray] | None = None,
    ) -> np.ndarray:
        """Paints an image, or several of one size, by a painting, a blend of some, or one in each region.

        Large images are painted by tiles, in bounded memory.

        Args:
            image: float32 (height, width, 3) or (count, height, width, 3) in [-1, 1], of any size.
            style: a painting, float32 (any height, any width, 3) in [-1, 1], or several; of more than 512
                pixels it is reduced to that.
            strength: from 0, the image as it is, to 1.
            texture: grain where the image is plain: from 0, calm skies, to 1; None is `default_texture`.
            weights: of several paintings, at least 0; equal where None.
            masks: instead of weights: for each painting (height, width), at least 0, the share that its
                picture has of each pixel; where a mask ends at once, so does the picture.

        Returns:
            float32 of the image's shape, in [-1, 1].

        Raises:
            ValueError: pictures of another shape or range, or weights, masks, a strength or a texture that do
            not fit.
        """
        images = several(image, "image")
        paintings = each_checked(style, "painting")
        if not paintings:
            raise ValueError("style must be a painting or more; received none.")
        if weights is not None and masks is not None:
            raise ValueError("Blend paintings by weights, or by masks: give one of them.")
        check_shares(strength=strength)
        texture = self.texture_of(texture)
        shares = self._shares(len(paintings), weights, masks, images.shape[1:3])
        codes = [self.code_of(reduced(tf.constant(one[None]))) for one in paintings]
        painted = np.empty_like(images)
        for index, one in enumerate(images):
            painted[index] = self._paint(one, codes, shares, masks is None, texture)
        if strength < 1:
            painted = images + np.float32(strength) * (painted - images)
        return painted.reshape(np.shape(image))

    def _paint(self, image, codes, shares, blended: bool, texture: float) -> np.ndarray:
        """A picture by the codes of paintings, which are blended or have each a share of its pixels."""
        one = np.ones((), np.float32)
        if blended:
            mixtures, shares = [(codes, shares)], [one]
        else:
            mixtures = [([code], [one]) for code in codes]
        large = is_large(image)
        content = None if large else self.code_of(tf.constant(image[None]))
        # Each region's painting is a whole picture: the decoder's layers know one painting's statistics.
        picture = np.zeros_like(image)
        for mixture, share in zip(mixtures, shares, strict=True):
            if large:
                paint = self.painting(*mixture, texture)
                whole = Tiled(paint, multiple=MULTIPLE, plain=not texture)(image)
            else:
                exchanged = _exchanged(content, *mixture)
                whole = cropped(self._decode(exchanged, texture), image[None])[0].numpy()
            picture += share[..., None] * evened(whole, image, texture)
        return picture

    def painting(
        self, codes: Sequence[tf.Tensor], shares: Sequence[float], texture: float
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        """What paints images by a blend of paintings' codes and a texture, as they are: for `tiles.Tiled`."""

        def paint(images):
            content = tf.cast(self.sampler.encode(images), tf.float32)
            with PatternStrength(texture):
                return self.sampler.decode(_exchanged(content, codes, shares))

        return paint

    @staticmethod
    def _shares(count, weights, masks, size) -> list[np.ndarray]:
        if masks is None:
            found = np.ones(count, np.float32) if weights is None else numbers(weights)
            if found.shape != (count,) or not found.min() >= 0 or not 0 < found.sum() < np.inf:
                raise ValueError(f"weights must be {count} numbers of at least 0; received {weights}.")
            return list(found / found.sum())
        shapes = [np.shape(mask) for mask in masks]
        fits = shapes == [tuple(size)] * count
        stacked = np.asarray(masks if fits else [0], np.float32)
        # Written so that NaN fails too.
        fine = fits and stacked.min() >= 0 and stacked.max() < np.inf
        if not fine or not stacked.sum(0).min() > 0:
            received = f"values from {stacked.min():g} to {stacked.max():g}" if fits else shapes_of(masks)
            raise ValueError(
                f"masks must be {count} arrays of the image's height and width {tuple(size)}, at least 0, "
                f"which leave no pixel without a painting; received {received}."
            )
        return list(stacked / stacked.sum(0))

    def code_of(self, images: tf.Tensor) -> tf.Tensor:
        """The encoder's features of images of any size, float32: of paintings, by which `painting` paints."""
        return tf.cast(self._functions()[0](reflected(images, MULTIPLE)), tf.float32)

    def _decode(self, features: tf.Tensor, texture: float) -> tf.Tensor:
        return self._functions()[1](features, tf.constant(texture, tf.float32))

    def _functions(self):
        network = self.sampler
        if getattr(self, "_painter_network", None) is not network:
            self._painter_network = network

            def decode(features, texture):
                with PatternStrength(texture):
                    return network.decode(features)

            compiled = {"reduce_retracing": True, "autograph": False}
            self._painter = (
                tf.function(lambda images: network.encoder(images, training=False), **compiled),
                tf.function(decode, **compiled),
            )
        return self._painter

    # Saving.

    def get_config(self) -> dict:
        """The arguments that make an equal model, the networks included."""
        serialize = keras.saving.serialize_keras_object
        return {
            "encoder": serialize(self.network.encoder),
            "decoder": serialize(self.network.decoder),
            "content_weight": self.content_weight,
            "style_weight": self.style_weight,
            "tone_weight": self.tone_weight,
            "checkerboard_weight": self.checkerboard_weight,
            "total_variation_weight": self.total_variation_weight,
            "restraint_weight": self.restraint_weight,
            "temporal_weight": self.temporal_weight,
            "distillation_weight": self.distillation_weight,
            "features": self.features.options,
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """A model from its config."""
        parts = {
            part: keras.saving.deserialize_keras_object(config[part], custom_objects=custom_objects)
            for part in ("encoder", "decoder")
        }
        # Files from before there was restraint go on without.
        return cls(**{"restraint_weight": 0.0, **config, **parts})
