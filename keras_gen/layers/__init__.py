"""Layers that the networks are made of: Keras's own, and replacements where ours is faster or more exact.

A replacement has the name, arguments, weights and config of the Keras layer that it stands for.
"""

from keras.layers import (
    Activation,
    Cropping2D,
    Dense,
    Flatten,
    Input,
    LayerNormalization,
    Reshape,
    SpectralNormalization,
    ZeroPadding2D,
)

from keras_gen.layers.activation import LeakyReLU, leaky_relu
from keras_gen.layers.batch_normalization import BatchNormalization
from keras_gen.layers.bilinear_up_sampling import BilinearUpSampling2D
from keras_gen.layers.channel_moments import ChannelMoments
from keras_gen.layers.conditional_instance_normalization import ConditionalInstanceNormalization
from keras_gen.layers.convolution import Conv2D, Conv2DTranspose, UpSamplingConv2D
from keras_gen.layers.depthwise_convolution import DepthwiseConv2D
from keras_gen.layers.dropout import Dropout
from keras_gen.layers.fixed_noise import FixedNoise2D
from keras_gen.layers.instance_normalization import InstanceNormalization
from keras_gen.layers.instance_statistics import InstanceStatistics, spatial_moments
from keras_gen.layers.patterns import ImageOrigin, PatternStrength
from keras_gen.layers.reflection_padding import ReflectionPadding2D
from keras_gen.layers.resize_convolution import ResizeConvolution2D
from keras_gen.layers.style_texture import StyleTexture2D
from keras_gen.layers.underpainting import Underpainting2D
from keras_gen.layers.vector_quantizer import VectorQuantizer, straight_through

__all__ = [
    "Activation",
    "BatchNormalization",
    "BilinearUpSampling2D",
    "ChannelMoments",
    "ConditionalInstanceNormalization",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "FixedNoise2D",
    "Flatten",
    "ImageOrigin",
    "Input",
    "InstanceNormalization",
    "InstanceStatistics",
    "LayerNormalization",
    "LeakyReLU",
    "PatternStrength",
    "ReflectionPadding2D",
    "Reshape",
    "ResizeConvolution2D",
    "SpectralNormalization",
    "StyleTexture2D",
    "Underpainting2D",
    "UpSamplingConv2D",
    "VectorQuantizer",
    "ZeroPadding2D",
    "leaky_relu",
    "spatial_moments",
    "straight_through",
]
