"""Networks of a VQ-VAE: an encoder to a grid of vectors, a decoder from one, and a prior of the codes.

Reference: Neural Discrete Representation Learning, 2017, arXiv:1711.00937.
"""

from __future__ import annotations

import keras

from keras_gen import layers

WIDEST = 128


def grid_sizes(image_shape: tuple[int, int, int]) -> list[int]:
    """The sizes of an image, halved until the grid of codes has 7 to 13 rows.

    Raises:
        ValueError: a shape that is not square or out of range.
    """
    shape = tuple(image_shape)
    if len(shape) != 3 or shape[0] != shape[1] or not 28 <= shape[0] <= 128:
        raise ValueError(
            "The VQ-VAE's networks are for square images of 28 to 128 pixels; received image_shape="
            f"{shape}. Load the data with another image_size, or pass networks of your own."
        )
    sizes = [shape[0]]
    while sizes[-1] >= 14:
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def _widths(sizes: list[int], width: int) -> list[int]:
    return [min(width * 2**i, WIDEST) for i in range(len(sizes) - 1)]


def grid_encoder(
    image_shape: tuple[int, int, int], latent_dim: int = 64, width: int = 32, name: str = "encoder"
) -> keras.Model:
    """5x5 convolutions of stride 2, then one of 3x3: a vector for each place of a grid of 7x7 to 13x13.

    Args:
        image_shape: (size, size, channels), square, 28 to 128.
        latent_dim: length of the vectors.
        width: filters of the first convolution; doubled at each smaller size, up to 128.
        name: the network's name.

    Returns:
        A model from images to (batch, rows, rows, latent_dim), float32.

    Raises:
        ValueError: a shape that is not square or out of range.
    """
    sizes = grid_sizes(image_shape)
    image = x = layers.Input(tuple(image_shape))
    for filters in _widths(sizes, width):
        x = layers.Conv2D(filters, 5, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(max(latent_dim, 32), 3, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Dense(latent_dim, dtype="float32")(x), name=name)


def grid_decoder(
    image_shape: tuple[int, int, int], latent_dim: int = 64, width: int = 32, name: str = "decoder"
) -> keras.Model:
    """The mirror image of `grid_encoder`.

    Args:
        image_shape: (size, size, channels), square, 28 to 128.
        latent_dim: length of the vectors.
        width: as the encoder's.
        name: the network's name.

    Returns:
        A model from (batch, rows, rows, latent_dim) to unbounded outputs (batch, size, size, channels).

    Raises:
        ValueError: a shape that is not square or out of range.
    """
    sizes = grid_sizes(image_shape)
    *widths, last = _widths(sizes, width)
    grid = layers.Input((sizes[-1], sizes[-1], latent_dim))
    x = layers.Conv2D(last, 3, padding="same", activation="relu")(grid)
    for i in reversed(range(len(sizes) - 1)):
        options = {"strides": 2, "padding": "same", "output_padding": 1 - sizes[i] % 2}
        filters, activation = (widths[i - 1], "relu") if i else (image_shape[-1], None)
        x = layers.Conv2DTranspose(filters, 5, activation=activation, **options)(x)
    return keras.Model(grid, layers.Activation("linear", dtype="float32")(x), name=name)


@keras.saving.register_keras_serializable(package="keras_gen")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector for each place of a sequence (batch, length, width)."""

    def __init__(self, **options):
        super().__init__(**options)
        self.embeddings_initializer = keras.initializers.RandomNormal(0.02)

    def build(self, input_shape):
        self.embeddings = self.add_weight(
            shape=input_shape[1:], initializer=self.embeddings_initializer, name="embeddings"
        )

    def call(self, inputs):
        return inputs + self.embeddings


def transformer_prior(
    length: int, num_codes: int, width: int = 64, depth: int = 2, heads: int = 4, name: str = "prior"
) -> keras.Model:
    """A small causal transformer over a sequence of codes.

    Args:
        length: of the sequence.
        num_codes: number of codes.
        width: length of its vectors.
        depth: number of blocks.
        heads: of the attention.
        name: the network's name.

    Returns:
        A model from the codes before each place, integers (batch, length), the first of which is num_codes,
        to logits of the code at that place, (batch, length, num_codes), float32.

    Reference: Attention Is All You Need, 2017, arXiv:1706.03762.
    """
    before = layers.Input((length,), dtype="int32")
    x = PositionEmbedding()(keras.layers.Embedding(num_codes + 1, width)(before))
    for _ in range(depth):
        y = keras.layers.LayerNormalization()(x)
        x = x + keras.layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=True)
        y = layers.Dense(4 * width, activation="gelu")(keras.layers.LayerNormalization()(x))
        x = x + layers.Dense(width)(y)
    x = keras.layers.LayerNormalization()(x)
    return keras.Model(before, layers.Dense(num_codes, dtype="float32")(x), name=name)
