"""The transformer network: sizes, styles, no checkerboard, and built-in TFLite operators."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import ImageOrigin, InstanceStatistics, PatternStrength, Underpainting2D
from keras_gen.networks.style_blocks import PERIOD
from keras_gen.networks.transformer_net import transformer_net


@pytest.mark.parametrize("separable", [False, True])
def test_images_of_any_multiple_of_eight(separable):
    network = transformer_net(3, width=8, separable=separable, blocks=1)
    for size in [(16, 16), (24, 40)]:
        pictures = network([tf.zeros((2, *size, 3)), tf.one_hot([0, 2], 3)])
        assert pictures.shape == (2, *size, 3)


def test_separable_blocks_have_an_eighth_of_the_weights():
    def blocks(separable):
        layers = transformer_net(1, width=16, separable=separable).layers
        return sum(
            layer.count_params() for layer in layers if layer.name[:5] == "block" and "norm" not in layer.name
        )

    assert blocks(False) == 10 * 9 * 96 * 96
    assert blocks(True) == 10 * (9 * 96 + 96 * 96)
    assert transformer_net(8, width=16, separable=True).count_params() < 460_000


def test_there_are_blocks():
    for options in ({"blocks": 0}, {"calm": True, "calm_blocks": 0}):
        with pytest.raises(ValueError, match="blocks must be at least 1; received 0"):
            transformer_net(2, width=8, **options)


def test_coarse_blocks_see_further():
    """A pixel moves others that residual blocks at a quarter of the size alone do not reach."""
    image = np.random.default_rng(0).uniform(-1, 1, (1, 256, 256, 3)).astype("float32")
    other = image.copy()
    other[:, 128, 128] = -other[:, 128, 128]

    def reach(coarse_blocks):
        keras.utils.set_random_seed(0)
        network = transformer_net(1, width=8, separable=True, blocks=1, coarse_blocks=coarse_blocks)
        # Instance normalization carries a little everywhere: given statistics do not.
        with InstanceStatistics() as measured:
            before = network([tf.constant(image), tf.ones((1, 1))])
        given = [(mean, variance) for mean, variance, _ in measured.recorded]
        with InstanceStatistics(given):
            after = network([tf.constant(other), tf.ones((1, 1))])
        moved = np.abs(after - before).max((0, 1, 3))
        return 128 - np.flatnonzero(moved > 1e-6).min()

    assert reach(2) >= reach(0) + 4 * 8  # four convolutions, whose pixels are eight wide


def test_only_scales_offsets_and_textures_are_the_styles_own():
    one, many = (transformer_net(styles, width=8, separable=True) for styles in (1, 9))
    for a, b in zip(one.weights, many.weights, strict=True):
        assert (a.shape == b.shape) != any(part in a.path for part in ("normalization", "texture/"))


def _without_noise(network, *names):
    """Makes layers deaf to the last four channels of 48."""
    for name in names:
        kernel = network.get_layer(name).kernel
        kernel.assign(kernel * (np.arange(48) < 44)[:, None])


def test_what_is_plain_becomes_plain_without_a_checkerboard():
    keras.utils.set_random_seed(0)
    network = transformer_net(1, width=8, blocks=1)
    for weight in network.trainable_weights:
        if weight.path.endswith("beta"):  # else a plain image is normalized away
            weight.assign(np.random.default_rng(1).standard_normal(weight.shape))
    _without_noise(network, "block1a", "coarse_down", "up1")
    halves = tf.concat([tf.fill((1, 256, 256, 3), value) for value in (-0.5, 0.3)], 2)
    picture = network([halves, tf.ones((1, 1))]).numpy()
    inner = picture[:, 120:136, 376:392]  # where the edge between them is not seen
    np.testing.assert_allclose(inner - inner[:, :1, :1], 0, atol=2e-3)


def test_is_of_built_in_operators_in_tflite():
    network = transformer_net(2, width=8, separable=True, blocks=1)
    textures = network.get_layer("texture").textures
    textures.assign(np.random.default_rng(0).normal(0, 0.1, textures.shape))
    function = tf.function(lambda images: network([images, tf.one_hot([1], 2)], training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, 32, 32, 3), tf.float32))
    frozen = tf.lite.TFLiteConverter.from_concrete_functions(
        [_frozen(concrete)]
    )  # of built-in operators alone, which is the converter's default
    interpreter = tf.lite.Interpreter(model_content=frozen.convert())
    interpreter.allocate_tensors()
    image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype("float32")
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    picture = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(picture, function(tf.constant(image)), atol=1e-4)
    operators = {operator["op_name"] for operator in interpreter._get_ops_details()}
    assert not operators & {"TRANSPOSE_CONV", "TILE", "GATHER", "GATHER_ND", "VAR_HANDLE"}


def test_noise_gives_a_plain_image_something_to_paint():
    network = transformer_net(1, width=8, separable=True, blocks=1)
    picture = network([tf.fill((1, 96, 96, 3), 0.3), tf.ones((1, 1))]).numpy()
    assert picture[:, 40:56, 40:56].std() > 0.01


def test_a_plain_image_is_painted_by_the_texture():
    network = transformer_net(2, width=8, separable=True, blocks=1)
    textures = network.get_layer("texture").textures
    # Of one colour rounding would be all that is left without noise.
    images = tf.concat([tf.fill((1, 128, 80, 3), value) for value in (-0.5, 0.3)], 2)

    def painted(origin=None, style=0):
        with ImageOrigin(origin):
            return network([images, tf.one_hot([style], 2)]).numpy()

    before = painted()
    textures.assign(np.random.default_rng(0).standard_normal(textures.shape) / 10)
    assert np.abs(painted() - before).mean() > 0.01
    assert np.abs(painted() - painted(style=1)).mean() > 0.01
    # It repeats after as many pixels as the noise.
    np.testing.assert_allclose(painted(), painted([PERIOD, 2 * PERIOD]), atol=1e-5)
    # Its place shows where there is no noise, which has one as well.
    _without_noise(network, "block1a_depthwise", "coarse_down_depthwise", "up1")
    assert np.abs(painted() - painted([256, 0])).mean() > 0.02
    textures.assign(0 * textures)
    np.testing.assert_allclose(painted(), painted([256, 0]), atol=1e-4)


def test_calm_pictures_are_painted_by_a_network_without_noise():
    keras.utils.set_random_seed(0)
    network = transformer_net(2, width=8, separable=True, blocks=1, calm=True)
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)), tf.float32)

    def painted(strength, origin=None):
        with PatternStrength(strength), ImageOrigin(origin):
            return network([images, tf.constant([[0.3, 0.7]])]).numpy()

    np.testing.assert_array_equal(painted(0.0, [256, 0]), painted(0.0))
    assert np.abs(painted(1.0, [256, 0]) - painted(1.0)).mean() > 0.01
    np.testing.assert_allclose(painted(0.25), 0.75 * painted(0.0) + 0.25 * painted(1.0), atol=1e-6)
    np.testing.assert_array_equal(painted(None), painted(1.0))


def test_calm_pictures_are_painted_over_dabs():
    """By the same weights as from the underpainting that another network is shown."""
    keras.utils.set_random_seed(0)
    options = {"width": 8, "separable": True, "blocks": 1, "calm": True}
    network, other = transformer_net(2, **options), transformer_net(2, coats=0, **options)
    other.set_weights(network.get_weights())
    weights = tf.constant([[0.3, 0.7]])
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)), tf.float32)
    with PatternStrength(0.0):
        picture = network([images, weights])
        np.testing.assert_allclose(picture, other([Underpainting2D(coats=2)(images), weights]), atol=1e-6)
        assert np.abs(picture - other([images, weights])).mean() > 0.01
    np.testing.assert_array_equal(network([images, weights]), other([images, weights]))


def _frozen(concrete):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(concrete)
