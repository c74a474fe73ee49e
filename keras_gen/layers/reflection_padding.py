"""Reflection padding: borders that mirror the image, so that convolutions leave no dark frame."""

from __future__ import annotations

from typing import Any

import keras

from keras_gen.layers.mirrored import mirrored


@keras.saving.register_keras_serializable(package="keras_gen")
class ReflectionPadding2D(keras.layers.Layer):
    """Pads images by reflection about their border pixels, which are not repeated.

    Same function as PyTorch's `ReflectionPad2d` and `tf.pad(..., mode="REFLECT")`: one built-in TFLite
    operator. At inference, borders of one or two pixels are put beside an image of known size by slices,
    which TFLite's delegates take too (see `layers/mirrored.py`).

    Args:
        padding: pixels on each side: a whole number, or ((top, bottom), (left, right)).
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape: `(batch, height, width, channels)`; output shape: height and width larger by the padding.

    Raises:
        ValueError: padding below zero, of another form, or not smaller than the image.
    """

    def __init__(self, padding: int | tuple[tuple[int, int], tuple[int, int]] = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        both = ((padding, padding),) * 2 if isinstance(padding, int) else padding
        try:
            (top, bottom), (left, right) = ((int(a), int(b)) for a, b in both)
        except (TypeError, ValueError):
            top = bottom = left = right = -1
        if min(top, bottom, left, right) < 0:
            raise ValueError(
                "padding must be a whole number of at least 0, or ((top, bottom), (left, right)); "
                f"received {padding!r}."
            )
        self.padding = ((top, bottom), (left, right))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return mirrored(inputs, self.padding, sliced=not training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        (top, bottom), (left, right) = self.padding
        return batch, height and height + top + bottom, width and width + left + right, channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}
