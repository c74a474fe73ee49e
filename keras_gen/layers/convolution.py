"""Convolutions in the place of Keras's, whose products are computed as `convolution_products` chooses."""

from __future__ import annotations

import warnings

import keras
import tensorflow as tf

from keras_gen.layers.convolution_products import Geometry, chosen, convolve, input_gradient, rounded
from keras_gen.processor import on_cpu
from keras_gen.startup import has_onednn


def _geometry(layer, input_size) -> Geometry:
    """The geometry of a layer of the plain kind."""
    return Geometry(tuple(input_size), layer.kernel_size, layer.strides, layer.padding, not layer.trainable)


def _static(layer, inputs) -> bool:
    """Whether the layer is of the plain kind, with the static sizes, that the products cover."""
    return (
        layer.data_format == "channels_last"
        and layer.padding in ("same", "valid")
        and tuple(layer.dilation_rate) == (1, 1)
        and getattr(layer, "groups", 1) == 1
        and None not in inputs.shape[1:]
    )


@keras.saving.register_keras_serializable(package="keras_gen")
class Conv2D(keras.layers.Conv2D):
    """Drop-in for `keras.layers.Conv2D`: same arguments, weights and config, results equal to rounding.

    In training on a CPU, small outputs, and large ones of many channels, are computed by matrix products, and
    gradients of images of few channels by sub-pixels or blocks (see `convolution_products`): large outputs of
    many channels in bfloat16 only where the layer is frozen, for they round to 1.3 %, and by AVX512-BF16.
    Without units for bfloat16 such a layer computes in float32 and rounds. At inference, and wherever the
    fast forms do not apply (dilation, groups, channels first, sizes that are not static), it is Keras's own
    convolution, so that an export holds one plain convolution operator.
    """

    def call(self, inputs, training=None):
        if not training or not _static(self, inputs):
            return super().call(inputs)
        geometry = _geometry(self, inputs.shape[1:3])
        if not chosen(geometry, inputs.shape[-1], self.filters, tf.as_dtype(self.compute_dtype)):
            return super().call(inputs)
        outputs = convolve(inputs, tf.convert_to_tensor(self.kernel), geometry)
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return outputs if self.activation is None else self.activation(outputs)


@keras.saving.register_keras_serializable(package="keras_gen")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """Drop-in for `keras.layers.Conv2DTranspose`, as `Conv2D` is for its own.

    In training on a CPU it chooses its products as `Conv2D` does; else it is Keras's own.
    """

    def call(self, inputs, training=None):
        if not training or not _static(self, inputs):
            return super().call(inputs)
        size = self.compute_output_shape(inputs.shape)[1:3]
        geometry = _geometry(self, size)
        fits = geometry.output_size == tuple(inputs.shape[1:3])
        if not fits or not chosen(geometry, self.filters, inputs.shape[-1], tf.as_dtype(self.compute_dtype)):
            return super().call(inputs)
        outputs = input_gradient(inputs, tf.convert_to_tensor(self.kernel), geometry)
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return outputs if self.activation is None else self.activation(outputs)


@keras.saving.register_keras_serializable(package="keras_gen")
class UpSamplingConv2D(keras.layers.Conv2D):
    """Nearest up-sampling by two, then a "same" convolution of stride 1, as one transposed convolution.

    Up-sampling only repeats pixels, so a 3x3 convolution behind it meets each small-image pixel through sums
    of its taps. Those sums form a 4x4 kernel of stride 2: 16 products per small-image pixel in place of 36.
    Weights and results (to rounding) are those of `UpSampling2D(2)` followed by `Conv2D`.

    Args:
        filters: number of output channels.
        kernel_size: an odd size, 3 as a rule.
        **options: those of `keras.layers.Conv2D`; strides, dilation and groups stay 1, padding "same".

    Raises:
        ValueError: an even kernel, or an option that the fusion does not cover.
    """

    def __init__(self, filters, kernel_size=3, **options):
        options.setdefault("padding", "same")
        super().__init__(filters, kernel_size, **options)
        plain = self.padding == "same" and self.groups == 1 and self.data_format == "channels_last"
        ones = all(value == 1 for value in (*self.strides, *self.dilation_rate))
        if not (plain and ones and all(size % 2 == 1 for size in self.kernel_size)):
            raise ValueError(
                "UpSamplingConv2D needs an odd kernel_size, padding='same', channels last, and strides, "
                f"dilation_rate and groups of 1; received kernel_size={self.kernel_size}, "
                f"padding={self.padding!r}, data_format={self.data_format!r}, strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}, groups={self.groups}. Use keras.layers.UpSampling2D "
                "followed by Conv2D for those."
            )

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, height and 2 * height, width and 2 * width, self.filters)

    def call(self, inputs):
        flipped = tf.transpose(tf.convert_to_tensor(self.kernel)[::-1, ::-1], (0, 1, 3, 2))
        # Every small pixel stands twice along each axis: the taps that meet it add up.
        pads = ((0, 1), (1, 0))
        kernel = tf.add_n(
            [tf.pad(flipped, [rows, columns, (0, 0), (0, 0)]) for rows in pads for columns in pads]
        )
        if None in inputs.shape[1:3]:
            sizes = tf.shape(inputs)
            shape = [sizes[0], 2 * sizes[1], 2 * sizes[2], self.filters]
            outputs = rounded(tf.nn.conv2d_transpose)(inputs, kernel, shape, 2, "SAME")
        else:
            height, width = inputs.shape[1:3]
            geometry = Geometry((2 * height, 2 * width), tuple(kernel.shape[:2]), (2, 2), "same")
            outputs = input_gradient(inputs, kernel, geometry)
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return outputs if self.activation is None else self.activation(outputs)


def warn_of_strided_pixels(model: keras.Model) -> None:
    """Warns of Keras's own convolutions whose kernels TensorFlow trains wrongly on CPUs.

    Of a 1x1 kernel with strides and few channels oneDNN's gradient writes past its memory: numbers are wrong,
    or the process ends (https://github.com/uxlfoundation/oneDNN/issues/6035, below 8 channels by AVX2 and 16
    by AVX512). The layers here compute it otherwise, where sizes are static.

    Warns:
        UserWarning: names the layers, and what to use instead.
    """
    theirs, ours = (keras.layers.Conv2D, keras.layers.Conv2DTranspose), (Conv2D, Conv2DTranspose)
    found = [
        layer.name
        for layer in model._flatten_layers()
        if isinstance(layer, theirs) and not isinstance(layer, ours) and layer.built and layer.trainable
        if tuple(layer.kernel_size) == (1, 1) and max(layer.strides) > 1 and layer.kernel.shape[2] < 16
    ]
    if found and on_cpu() and has_onednn():
        warnings.warn(
            f"{', '.join(found)}: of a 1x1 kernel with strides and few channels TensorFlow's gradient is "
            "wrong on CPUs with oneDNN, or ends the process. Use keras_gen.layers.Conv2D or Conv2DTranspose, "
            "whose weights and results are the same, or set TF_ENABLE_ONEDNN_OPTS=0 before Python starts.",
            stacklevel=3,
        )
