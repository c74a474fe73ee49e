"""Convolutions: Keras's weights, config and numbers at every geometry; derivatives; what a graph holds."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import (
    Conv2D,
    Conv2DTranspose,
    ResizeConvolution2D,
    UpSamplingConv2D,
    convolution_products,
)
from keras_gen.layers.convolution_products import Geometry, convolve, input_gradient

SIZES = [(1, 1), (2, 2), (3, 4), (5, 3), (7, 6), (8, 8), (9, 2)]
KERNELS = [(1, 1), (2, 2), (3, 3), (4, 5), (5, 5), (3, 1)]
STRIDES = [(1, 1), (2, 2), (3, 1), (1, 2), (3, 3)]
GEOMETRIES = [
    Geometry(size, kernel, strides, padding)
    for size, kernel, strides, padding in itertools.product(SIZES, KERNELS, STRIDES, ("same", "valid"))
    if padding == "same" or (size[0] >= kernel[0] and size[1] >= kernel[1])
]
# The sizes that this package computes by matrix products, on all sides of the boundary.
SMALL = [
    Geometry((4, 4), (5, 5), (2, 2), "same"),
    Geometry((3, 4), (3, 2), (2, 2), "same"),
    Geometry((2, 2), (3, 3), (1, 1), "same"),
    Geometry((1, 1), (4, 4), (1, 1), "same"),
    Geometry((7, 7), (3, 3), (3, 3), "valid"),
    Geometry((5, 7), (4, 4), (1, 3), "valid"),
    Geometry((8, 7), (5, 4), (2, 2), "same"),
    Geometry((9, 4), (3, 3), (1, 1), "same"),
]


def _random(*shape, seed=0, dtype=tf.float32):
    return tf.cast(np.random.default_rng(seed).normal(size=shape), dtype)


def _operands(geometry, dtype=tf.float32, batch=3, channels=4, filters=5):
    images = _random(batch, *geometry.input_size, channels, dtype=dtype)
    return images, _random(*geometry.kernel_size, channels, filters, seed=1, dtype=dtype)


def _plain(images, kernel, geometry):
    if geometry.kernel_size == (1, 1):
        # With strides TensorFlow 2.21's own gradient of few channels, by oneDNN, writes past its memory.
        down, right = geometry.strides
        return tf.einsum("nhwc,cf->nhwf", images[:, ::down, ::right], kernel[0, 0])
    return tf.nn.conv2d(images, kernel, geometry.strides, geometry.padding.upper())


def _close(ours, theirs, tolerance=2e-5):
    scale = np.abs(np.float32(theirs)).max(initial=0) + 1e-30
    np.testing.assert_allclose(np.float32(ours) / scale, np.float32(theirs) / scale, atol=tolerance, rtol=0)


def _derivatives(product, images, kernel):
    """The product, its two gradients, theirs, and theirs."""
    both = [images, kernel]
    with tf.GradientTape() as third:
        third.watch(both)
        with tf.GradientTape() as second:
            second.watch(both)
            with tf.GradientTape() as first:
                first.watch(both)
                outputs = product(images, kernel)
                loss = tf.reduce_sum(outputs**3)
            once = first.gradient(loss, both)
            mixed = tf.reduce_sum(once[0] ** 2) + tf.reduce_sum(once[0][:, 0]) * tf.reduce_sum(once[1] ** 2)
        twice = second.gradient(mixed, both)
        last = sum(tf.reduce_sum(tf.square(value)) for value in twice)
    return [outputs, *once, *twice, *third.gradient(last, both)]


def test_geometry_is_tensorflows():
    for geometry in GEOMETRIES:
        assert geometry.output_size == tuple(_plain(*_operands(geometry), geometry).shape[1:3]), geometry


def test_first_derivatives_at_every_geometry():
    for geometry in GEOMETRIES:
        images, kernel = _operands(geometry)
        results = []
        for product in (convolve, _plain):
            with tf.GradientTape() as tape:
                tape.watch([images, kernel])
                outputs = product(images, kernel, geometry)
                loss = tf.reduce_sum(tf.sin(outputs))
            results.append([outputs, *tape.gradient(loss, [images, kernel])])
        for ours, theirs in zip(*results, strict=True):
            _close(ours, theirs)


@pytest.mark.skipif(not convolution_products.on_cpu(), reason="blocks are for CPUs")
@pytest.mark.parametrize(
    ("size", "kernel", "padding"),
    [((32, 32), 3, "same"), ((33, 36), 3, "valid"), ((35, 33), (4, 5), "same"), ((38, 37), (4, 5), "valid")],
)
def test_input_gradient_by_blocks(size, kernel, padding):
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    geometry = Geometry(size, sides, (1, 1), padding)
    assert convolution_products._by_blocks(geometry, 3)
    assert not convolution_products._by_blocks(geometry, 5)
    upstream, weights = _random(2, *geometry.output_size, 6, seed=0), _random(*sides, 3, 6, seed=1)
    run = tf.function(lambda *operands: input_gradient(*operands, geometry))
    graph = run.get_concrete_function(upstream, weights).graph
    assert "DepthToSpace" in {operation.type for operation in graph.get_operations()}
    shape = (2, *size, 3)
    _close(run(upstream, weights), tf.nn.conv2d_transpose(upstream, weights, shape, 1, padding.upper()))


@pytest.mark.skipif(not convolution_products.on_cpu(), reason="blocks are for CPUs")
@pytest.mark.parametrize("transposed", [False, True])
def test_layers_take_blocks_where_they_pay(transposed):
    def taken(size=32, channels=3, kernel=3, strides=1, training=True):
        kind, filters = (Conv2DTranspose, channels) if transposed else (Conv2D, 6)
        layer = kind(filters, kernel, strides, padding="same")

        def gradient(images):
            with tf.GradientTape() as tape:
                tape.watch(images)
                outputs = layer(images, training=training)
            return outputs, tape.gradient(outputs, images)

        images = tf.TensorSpec((None, size, size, 6 if transposed else channels))
        graph = tf.function(gradient).get_concrete_function(images).graph
        return "DepthToSpace" in {operation.type for operation in graph.get_operations()}

    assert taken()
    assert taken(kernel=5, channels=4, size=33)
    for options in ({"channels": 5}, {"size": 31}, {"kernel": 2}, {"strides": 2}, {"training": False}):
        assert not taken(**options), options


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("geometry", SMALL, ids=str)
def test_three_derivatives(geometry, compiled):
    def run(product, *operands):
        return _derivatives(lambda images, kernel: product(images, kernel, geometry), *operands)

    if compiled:
        run = tf.function(run)
    for ours, theirs in zip(
        run(convolve, *_operands(geometry)), run(_plain, *_operands(geometry)), strict=True
    ):
        _close(ours, theirs)


@pytest.mark.parametrize("unit", [None, "AMX"])
@pytest.mark.parametrize("geometry", SMALL, ids=str)
def test_bfloat16_is_as_near_to_float32_as_tensorflows_own(geometry, unit, monkeypatch):
    monkeypatch.setattr(convolution_products, "bfloat16_unit", lambda: unit)
    images, kernel = _operands(geometry, tf.bfloat16)

    def run(product, *operands):
        with tf.GradientTape() as tape:
            tape.watch(operands)
            outputs = product(*operands, geometry)
            # A linear loss: its upstream gradient is exact in bfloat16.
            weights = tf.round(8 * _random(*outputs.shape, seed=2)) / 8
            loss = tf.reduce_sum(outputs * tf.cast(weights, outputs.dtype))
        return [outputs, *tape.gradient(loss, operands)]

    exact = run(_plain, tf.cast(images, tf.float32), tf.cast(kernel, tf.float32))
    for ours, expected in zip(run(convolve, images, kernel), exact, strict=True):
        assert ours.dtype == tf.bfloat16
        # One rounding to eight bits of each partial sum over output positions.
        _close(ours, expected, tolerance=2**-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_bias": False, "activation": "tanh"},
        {"padding": "valid"},
        {"padding": "valid", "output_padding": 0},
        {"output_padding": 0},
        {"kernel_size": 3},
        {"kernel_size": 4, "strides": 3},
        {"strides": 1},
        {"filters": 40},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (7, 4), (8, 8)], ids=str)
def test_transposed_convolution_is_kerass_own(size, options):
    options = {"filters": 1, "kernel_size": 5, "strides": 2, "padding": "same", **options}
    results = []
    inputs = _random(2, *size, 6)
    for kind in (Conv2DTranspose, keras.layers.Conv2DTranspose):
        layer = kind(**options)
        layer.build(inputs.shape)
        layer.set_weights([_random(*weight.shape, seed=i) for i, weight in enumerate(layer.weights)])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True) if kind is Conv2DTranspose else layer(inputs)
            # Outputs are some ten: of their own sines the bias would get the rest of a sum that cancels out.
            loss = tf.reduce_sum(tf.sin(outputs / 10))
        results.append([outputs, *tape.gradient(loss, [inputs, *layer.trainable_weights])])
    for ours, theirs in zip(*results, strict=True):
        _close(ours, theirs)


def _twins(shape, **options):
    ours, theirs = Conv2D(**options), keras.layers.Conv2D(**options)
    for layer in (ours, theirs):
        layer.build(shape)
    weights = [_random(*weight.shape, seed=i) for i, weight in enumerate(ours.weights)]
    for layer in (ours, theirs):
        layer.set_weights(weights)
    return ours, theirs


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_bias": False},
        {"activation": "tanh"},
        {"strides": 2, "padding": "same"},
        {"strides": (1, 2), "padding": "SAME"},
        {"dilation_rate": 2, "padding": "same"},
        {"groups": 2},
        {"kernel_regularizer": "l2"},
        {"name": "own", "trainable": False},
    ],
    ids=str,
)
def test_layer_is_a_drop_in(options):
    options = {"filters": 6, "kernel_size": 3, **options}
    x = _random(2, 4, 4, 4)
    ours, theirs = _twins(x.shape, **options)
    assert [(w.name, w.shape, w.dtype) for w in ours.weights] == [
        (w.name, w.shape, w.dtype) for w in theirs.weights
    ]
    drop = {"name": None} if "name" not in options else {}
    assert {**ours.get_config(), **drop} == {**theirs.get_config(), **drop}
    assert ours.compute_output_shape((None, 9, 8, 4)) == theirs.compute_output_shape((None, 9, 8, 4))
    for training in (True, False, None):
        results = []
        for layer in (ours, theirs):
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = layer(x, training=training) if layer is ours else layer(x)
                loss = tf.reduce_sum(tf.sin(outputs))
            kernel = layer.kernel.value
            results.append([outputs, *tape.gradient(loss, [x, kernel], unconnected_gradients="zero")])
        for a, b in zip(*results, strict=True):
            _close(a, b)


def test_layer_at_many_geometries_in_training():
    for geometry in GEOMETRIES[::5]:
        x = _random(2, *geometry.input_size, 3)
        ours, theirs = _twins(
            x.shape,
            filters=4,
            kernel_size=geometry.kernel_size,
            strides=geometry.strides,
            padding=geometry.padding,
        )
        _close(ours(x, training=True), theirs(x))


@pytest.mark.parametrize("unit", [None, "AMX"])
@pytest.mark.parametrize("size", [2, 4, 8])
def test_layer_in_bfloat16(size, unit, monkeypatch):
    monkeypatch.setattr(convolution_products, "bfloat16_unit", lambda: unit)
    x = _random(4, size, size, 16)
    ours, theirs = _twins(
        x.shape, filters=8, kernel_size=3, strides=2, padding="same", dtype="mixed_bfloat16"
    )
    outputs = ours(x, training=True)
    assert outputs.dtype == tf.bfloat16
    assert ours.kernel.dtype == "float32"
    _close(outputs, theirs(x), tolerance=2**-7)


@pytest.mark.skipif(not convolution_products.on_cpu(), reason="for CPUs")
@pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])
def test_without_units_for_bfloat16_it_is_float32_rounded(kind, monkeypatch):
    monkeypatch.setattr(convolution_products, "bfloat16_unit", lambda: None)
    x, upstream = _random(2, 16, 16, 8, dtype=tf.bfloat16), _random(2, 16, 16, 4, seed=1)

    def run(layer, images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=True)
        return [outputs, *tape.gradient(outputs, [images, layer.kernel], tf.cast(upstream, outputs.dtype))]

    half, whole = (kind(4, 3, padding="same", use_bias=False, dtype=d) for d in ("mixed_bfloat16", "float32"))
    half.build(x.shape)
    whole.build(x.shape)
    half.kernel.assign(tf.cast(tf.cast(half.kernel, tf.bfloat16), tf.float32))
    whole.kernel.assign(half.kernel)
    upstream = tf.cast(tf.cast(upstream, tf.bfloat16), tf.float32)
    for ours, exact in zip(run(half, x), run(whole, tf.cast(x, tf.float32)), strict=True):
        # One step of bfloat16, for sums in another order may round to the next.
        exact = tf.cast(tf.cast(exact, tf.bfloat16), tf.float32)
        np.testing.assert_allclose(tf.cast(ours, tf.float32), exact, rtol=2**-7, atol=1e-4)
    graph = tf.function(lambda images: run(half, images)).get_concrete_function(x).graph
    dtypes = {op.outputs[0].dtype for op in graph.get_operations() if op.type.startswith("Conv2D")}
    assert dtypes == {tf.float32}


@pytest.mark.skipif(not convolution_products.on_cpu(), reason="for CPUs")
@pytest.mark.parametrize("shape", [(2, 16, 16, 8), (None, None, None, 8)], ids=str)
@pytest.mark.parametrize("kind", [UpSamplingConv2D, ResizeConvolution2D])
def test_without_units_for_bfloat16_up_sampling_is_float32_too(kind, shape, monkeypatch):
    monkeypatch.setattr(convolution_products, "bfloat16_unit", lambda: None)
    layer = kind(4, 3, dtype="mixed_bfloat16")
    layer.build((None, None, None, 8))

    def gradients(images):
        outputs = layer(images)
        assert outputs.dtype == tf.bfloat16
        return tf.gradients(outputs, [images, layer.kernel])

    graph = tf.function(gradients).get_concrete_function(tf.TensorSpec(shape, tf.bfloat16)).graph
    found = [op.outputs[0].dtype for op in graph.get_operations() if op.type.startswith("Conv2D")]
    assert len(found) == 3
    assert set(found) == {tf.float32}


def test_unknown_batch_and_unknown_size():
    ours, theirs = _twins((None, 4, 4, 3), filters=5, kernel_size=3, strides=2, padding="same")
    x = _random(7, 4, 4, 3)
    for shape in ((None, 4, 4, 3), (None, None, None, 3)):
        run = tf.function(lambda x: ours(x, training=True), input_signature=[tf.TensorSpec(shape)])
        _close(run(x), theirs(x))
        _close(run(x[:2]), theirs(x[:2]))
        slope = tf.function(
            lambda x: tf.gradients(tf.reduce_sum(ours(x, training=True) ** 2), x)[0],
            input_signature=[tf.TensorSpec(shape)],
        )
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(theirs(x) ** 2)
        _close(slope(x), tape.gradient(loss, x))


def _operators(layer, **options):
    concrete = tf.function(lambda x: layer(x, **options)).get_concrete_function(
        tf.TensorSpec((None, 4, 4, 3))
    )
    return [operation.type for operation in concrete.graph.get_operations()]


def test_at_inference_the_graph_holds_a_plain_convolution():
    layer = Conv2D(5, 3, strides=2, padding="same")
    layer.build((None, 4, 4, 3))
    for options in ({}, {"training": False}):
        operators = _operators(layer, **options)
        assert operators.count("Conv2D") == 1
        assert "MatMul" not in operators
    if not tf.config.list_physical_devices("GPU"):
        assert "MatMul" in _operators(layer, training=True)


def test_channels_first_falls_back():
    layer = Conv2D(5, 3, data_format="channels_first")
    layer.build((None, 3, 4, 4))
    run = tf.function(lambda x: layer(x, training=True)).get_concrete_function(tf.TensorSpec((2, 3, 4, 4)))
    assert run.output_shapes == (2, 5, 2, 2)
    assert "MatMul" not in [operation.type for operation in run.graph.get_operations()]


@pytest.mark.parametrize("size", [(2, 4), (1, 1)], ids=str)
def test_kernel_larger_than_the_image_ends_as_in_keras(size):
    outcomes = []
    for kind in (Conv2D, keras.layers.Conv2D):
        options = {"training": True} if kind is Conv2D else {}
        try:
            outcomes.append(tuple(kind(4, 3)(_random(2, *size, 3), **options).shape))
        except Exception as error:
            outcomes.append(type(error))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "options",
    [
        {"filters": 6, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"},
        {"filters": 2, "kernel_size": (3, 4), "use_bias": False, "dtype": "mixed_bfloat16"},
    ],
    ids=str,
)
def test_conv_round_trip(options):
    layer = Conv2D(**options)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is Conv2D
    assert again.get_config() == layer.get_config()


# Up-sampling.


@pytest.mark.parametrize("size", [(4, 5), (1, 1), (2, 7)], ids=str)
@pytest.mark.parametrize("kernel", [1, 3, 5, (3, 1), 7], ids=str)
@pytest.mark.parametrize("known", [True, False], ids=["static", "dynamic"])
def test_up_sampling_convolution_equals_up_sampling_then_convolution(size, kernel, known):
    x, options = _random(3, *size, 4), {"activation": "tanh"}
    fused = UpSamplingConv2D(5, kernel, **options)
    fused.build(x.shape)
    plain = keras.layers.Conv2D(5, kernel, padding="same", **options)
    plain.build((None, None, None, 4))
    weights = [0.1 * _random(*weight.shape, seed=i) for i, weight in enumerate(fused.weights)]
    for layer in (fused, plain):
        layer.set_weights(weights)

    def run(product, layer, x):
        weights = [variable.value for variable in layer.trainable_variables]
        with tf.GradientTape() as second:
            with tf.GradientTape() as first:
                first.watch(x)
                outputs = product(x)
                loss = tf.reduce_sum(tf.sin(3 * outputs))
            slope = first.gradient(loss, x)
            penalty = tf.reduce_sum(slope**2) + loss
        return [outputs, slope, *second.gradient(penalty, weights)]

    spec = tf.TensorSpec((None, *size, 4) if known else (None, None, None, 4))
    ours = tf.function(lambda x: run(fused, fused, x), input_signature=[spec])(x)
    theirs = run(lambda x: plain(keras.layers.UpSampling2D(2)(x)), plain, x)
    for a, b in zip(ours, theirs, strict=True):
        _close(a, b)


def test_up_sampling_convolution_round_trip_and_shape():
    layer = UpSamplingConv2D(6, 5, use_bias=False, activation="relu", name="up")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is UpSamplingConv2D
    assert again.get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 4, None, 3)) == (None, 8, None, 6)
    assert layer(keras.Input((4, None, 3))).shape == (None, 8, None, 6)
    assert UpSamplingConv2D(2).kernel_size == (3, 3)


def test_up_sampling_convolution_in_bfloat16():
    layer = UpSamplingConv2D(6, dtype="mixed_bfloat16")
    x = _random(2, 4, 4, 3)
    outputs = layer(x)
    assert outputs.dtype == tf.bfloat16
    plain = keras.layers.Conv2D(6, 3, padding="same")
    plain.build((None, 8, 8, 3))
    plain.set_weights(layer.get_weights())
    _close(outputs, plain(keras.layers.UpSampling2D(2)(x)), tolerance=2**-6)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 4},
        {"kernel_size": (3, 2)},
        {"strides": 2},
        {"padding": "valid"},
        {"dilation_rate": 2},
        {"groups": 2},
        {"data_format": "channels_first"},
    ],
    ids=str,
)
def test_up_sampling_convolution_refuses_what_it_does_not_cover(options):
    with pytest.raises(ValueError, match=r"UpSamplingConv2D needs .* received .*UpSampling2D"):
        UpSamplingConv2D(4, **options)
