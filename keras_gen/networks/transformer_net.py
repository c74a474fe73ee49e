"""The feed-forward network of fast style transfer, with a scale and an offset for each style."""

from __future__ import annotations

from typing import Any

import keras

from keras_gen.layers import Conv2D
from keras_gen.layers.pattern_blend import PatternBlend
from keras_gen.layers.style_texture import StyleTexture2D
from keras_gen.layers.underpainting import Underpainting2D
from keras_gen.networks.style_blocks import (
    BLOCKS,
    COARSE_BLOCKS,
    NOISE,
    PERIOD,
    STRIDE,
    block_channels,
    convolution,
    noised,
    normalized,
    painted,
)

#: How many times dabs are laid for the network of calm pictures.
COATS = 2
#: Pixels of an image to the longest wave of a texture: strokes, but no patches of colour.
LONGEST_WAVE = 48
#: Pixels of an image to the standard deviation of a texture's parts, which are all as strong: no stamps.
EVEN = 12


def transformer_net(
    styles: int,
    *,
    width: int = 16,
    separable: bool = False,
    blocks: int = BLOCKS,
    coarse_blocks: int = COARSE_BLOCKS,
    textured: bool = True,
    calm: bool = False,
    calm_blocks: int | None = None,
    coats: int = COATS,
) -> keras.Model:
    """Makes the network: down to a quarter, residual blocks there and at an eighth, and up by resize.

    As Johnson et al.'s, with the normalization of Dumoulin et al., and lighter: it starts and ends at half
    the size, where their 9x9 convolutions at full size take a third of the time, and the last up-sampling is
    linear. Nothing passes by the residual blocks, so that what is fine in a photograph is painted anew by
    strokes; in a plain sky a texture that each style has learned tells where to put them, and noise. Both
    repeat after `PERIOD` pixels. In textures no wave is longer than `LONGEST_WAVE`, and all parts of `EVEN`
    pixels are as strong: what is larger than strokes, or stands out, follows the photograph. Borders are
    mirrored in every layer, as in Dumoulin et al.'s.

    Args:
        styles: number of styles.
        width: channels of the first layer: 8, 16 or 32; 6 times as many in the residual blocks.
        separable: depthwise and pointwise convolutions in the residual blocks: an eighth of their products
            and weights, for phones.
        blocks: number of residual blocks at a quarter of the size.
        coarse_blocks: number of those at an eighth of the size.
        textured: whether each style has a texture. It stands still where a film moves.
        calm: whether a second network, without noise and textures, paints where patterns are to be left out.
            It learns nothing where all photographs are painted with patterns.
        calm_blocks: number of its residual blocks at a quarter of the size; None is as many as the other's.
        coats: how many times dabs are laid for it to paint over, by a layer `layers.Underpainting2D`; at 0 it
            paints over the photograph's grain.

    Returns:
        A network from images (batch, height, width, 3) in [-1, 1], sides multiples of 8 from 16 on, and
        weights of the styles (batch, styles), to images of the same shape, in (-1, 1).

    Reference: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, 2016, arXiv:1603.08155;
    A Learned Representation For Artistic Style, 2017, arXiv:1610.07629.
    """
    options: dict[str, Any] = {"width": width, "separable": separable, "coarse_blocks": coarse_blocks}
    patterned = _network(styles, noise=NOISE, textured=textured, blocks=blocks, **options)
    if not calm:
        return patterned
    calm_blocks = blocks if calm_blocks is None else calm_blocks
    plain = _network(styles, noise=0, textured=False, blocks=calm_blocks, coats=coats, **options)
    blend = PatternBlend(patterned, plain, name="blend")
    inputs = [keras.Input(each.shape[1:], name=each.name) for each in patterned.inputs]
    return keras.Model(inputs, blend(inputs), name="transformer_net")


def _network(
    styles: int, *, width: int, noise: int, textured: bool, coats: int = 0, **options: Any
) -> keras.Model:
    images = keras.Input((None, None, 3), name="images")
    weights = keras.Input((styles,), name="weights")

    channels = block_channels(width)
    x = Underpainting2D(coats=coats, name="underpainting")(images) if coats else images
    x = normalized(convolution(x, width, 5, "down1", 2), weights, "down1")
    x = normalized(convolution(x, channels - noise, 3, "down2", 2), weights, "down2")
    if noise:
        x = noised(x)
    if textured:
        learned = PERIOD // STRIDE // 2  # pixels of a texture's side
        longest, even = LONGEST_WAVE // STRIDE // 2, EVEN / STRIDE / 2
        layer = StyleTexture2D(
            styles, period=learned, stride=STRIDE, longest=longest, even=even, name="texture"
        )
        texture = layer([x, weights])
        # Textures begin with nothing, so the kernel does not: of two zeros neither would ever be learned.
        spread = keras.initializers.RandomNormal(stddev=0.3)
        texture = Conv2D(channels, 1, use_bias=False, kernel_initializer=spread, name="textured")(texture)
        x = keras.layers.Add(name="texture_added")([x, texture])
    outputs = painted(x, weights, width=width, **options)
    return keras.Model([images, weights], outputs, name="transformer_net")
