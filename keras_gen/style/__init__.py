"""Style transfer: the statistics that carry a style, and the systems that move it from picture to picture."""

from keras_gen.style.adain import AdaINStyleTransfer
from keras_gen.style.fast import FastStyleTransfer
from keras_gen.style.gatys import GatysStyleTransfer, gatys_stylize
from keras_gen.style.operators import (
    adain,
    channel_moments,
    content_loss,
    gram_loss,
    gram_matrix,
    mean_std_loss,
    moments_loss,
    total_variation,
)
from keras_gen.style.packed import pack, pretrained

__all__ = [
    "AdaINStyleTransfer",
    "FastStyleTransfer",
    "GatysStyleTransfer",
    "adain",
    "channel_moments",
    "content_loss",
    "gatys_stylize",
    "gram_loss",
    "gram_matrix",
    "mean_std_loss",
    "moments_loss",
    "pack",
    "pretrained",
    "total_variation",
]
