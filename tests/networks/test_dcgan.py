"""DCGAN networks: shapes at every size, ranges, precision, round trips, errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import precision
from keras_gen.networks import (
    PRESETS,
    dcgan_discriminator,
    dcgan_generator,
    example28_discriminator,
    example28_generator,
    independent_of_batch,
    tutorial32_discriminator,
    tutorial32_generator,
)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 31, 32, 37, 48, 63, 64, 65, 96, 100, 127, 128])
def test_shapes_at_any_size(size, channels):
    shape = (size, size, channels)
    generator = dcgan_generator(shape, latent_dim=16, width=4)
    discriminator = dcgan_discriminator(shape, width=4)
    assert generator.input_shape == (None, 16)
    assert generator.output_shape == (None, *shape)
    assert discriminator.input_shape == (None, *shape)
    assert discriminator.output_shape == (None, 1)


def test_every_size_from_28_to_128_is_cropped_by_little():
    """The last feature map is at most one base row an up-sampling too large."""
    for size in range(28, 129):
        doublings = int(np.log2(size / 4))
        base = -(-size // 2**doublings)
        assert 4 <= base <= 8
        assert size <= base * 2**doublings < size + 2**doublings


def test_full_width_layers():
    generator, discriminator = dcgan_generator((64, 64, 3)), dcgan_discriminator((64, 64, 3))
    filters = [layer.filters for layer in generator.layers if hasattr(layer, "filters")]
    assert filters == [512, 256, 128, 64, 3]
    filters = [layer.filters for layer in discriminator.layers if hasattr(layer, "filters")]
    assert filters == [64, 128, 256, 512, 512]


def test_example28_has_the_examples_weights():
    shapes = [tuple(w.shape) for w in example28_discriminator().trainable_weights]
    assert shapes == [
        *((5, 5, 1, 64), (64,)),
        *((5, 5, 64, 128), (128,)),
        *((5, 5, 128, 256), (256,)),
        *((5, 5, 256, 512), (512,)),
        *((2048, 1), (1,)),
    ]
    kernels = [tuple(w.shape) for w in example28_generator().trainable_weights if len(w.shape) > 1]
    assert kernels == [(128, 4096), (3, 3, 256, 128), (3, 3, 128, 64), (3, 3, 64, 1)]
    assert example28_generator().output_shape == (None, 28, 28, 1)


def test_tutorial32_has_the_tutorials_layers():
    """4·4·512, transposed 5x5 256 (stride 1), 128, 64, 3 (stride 2); 64, 128, dropout 0.3, 1."""
    generator, discriminator = tutorial32_generator(), tutorial32_discriminator()
    kernels = [tuple(w.shape) for w in generator.trainable_weights if len(w.shape) > 1]
    assert kernels == [(100, 8192), (5, 5, 256, 512), (5, 5, 128, 256), (5, 5, 64, 128), (5, 5, 3, 64)]
    transposed = [layer for layer in generator.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    assert [layer.strides for layer in transposed] == [(1, 1), (2, 2), (2, 2), (2, 2)]
    assert generator.output_shape == (None, 32, 32, 3)
    kernels = [tuple(w.shape) for w in discriminator.trainable_weights if len(w.shape) > 1]
    assert kernels == [(5, 5, 3, 64), (5, 5, 64, 128), (8 * 8 * 128, 1)]
    assert [layer.rate for layer in discriminator.layers if isinstance(layer, keras.layers.Dropout)] == [
        0.3
    ] * 2


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda shape: (dcgan_generator(shape, width=4), dcgan_discriminator(shape, width=4)), (30, 30, 3)),
        (lambda shape: (example28_generator(shape), example28_discriminator(shape)), (28, 28, 3)),
        (lambda shape: (tutorial32_generator(shape), tutorial32_discriminator(shape)), (32, 32, 1)),
    ],
    ids=["dcgan", "dcgan-28", "dcgan-32"],
)
def test_run_and_round_trip(make, shape):
    generator, discriminator = make(shape)
    latents = tf.random.stateless_normal((2, generator.input_shape[1]), (0, 1))
    images = generator(latents)
    assert images.shape == (2, *shape)
    assert images.dtype == tf.float32
    assert np.abs(images).max() <= 1
    scores = discriminator(images)
    for network, inputs, outputs in ((generator, latents, images), (discriminator, images, scores)):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
        again.set_weights(network.get_weights())
        assert [type(layer) for layer in again.layers] == [type(layer) for layer in network.layers]
        np.testing.assert_array_equal(again(inputs), outputs)
    assert independent_of_batch(discriminator)
    assert not independent_of_batch(generator)


@pytest.mark.parametrize("preset", [name for name, each in PRESETS.items() if "generator" in each.makers])
def test_bfloat16_ends_in_float32(preset):
    shape = (32, 32, 3) if preset == "dcgan-32" else (28, 28, 1)
    with precision.scope("bfloat16"):
        generator = PRESETS[preset].makers["generator"](shape, 8)
        discriminator = PRESETS[preset].makers["discriminator"](shape)
    images = generator(tf.zeros((1, 8)))
    assert images.dtype == discriminator(images).dtype == tf.float32
    assert {w.dtype for w in (*generator.weights, *discriminator.weights)} <= {"float32", "uint32"}
    hidden = [layer for layer in discriminator.layers if isinstance(layer, keras.layers.LeakyReLU)]
    assert {layer.compute_dtype for layer in hidden} == {"bfloat16"}


@pytest.mark.parametrize("make", [dcgan_generator, dcgan_discriminator])
@pytest.mark.parametrize("shape", [(27, 27, 1), (129, 129, 3), (32, 64, 3), (32, 32, 2), (32, 32)], ids=str)
def test_shapes_out_of_range(make, shape):
    with pytest.raises(ValueError, match=r"28 to 128 pixels with 1 or 3 channels; received image_shape=\("):
        make(shape)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (example28_generator, 28),
        (example28_discriminator, 28),
        (tutorial32_generator, 32),
        (tutorial32_discriminator, 32),
    ],
)
def test_presets_of_one_size(make, size):
    with pytest.raises(ValueError, match=f"makes {size}x{size} images .*'dcgan'"):
        make((40, 40, 1))


def test_without_dropout():
    discriminator = dcgan_discriminator((28, 28, 1), width=4, dropout=0.0)
    assert not [layer for layer in discriminator.layers if isinstance(layer, keras.layers.Dropout)]
