import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import layers
from keras_gen.image import to_uint8
from keras_gen.layers.instance_statistics import calibrated, calibration
from keras_gen.style import tiles


def landscape(height, width, seed=0):
    """Dark on the left, bright and rough on the right: the statistics of tiles differ greatly."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    smooth = 0.2 + 0.5 * x[..., None] + 0.2 * np.sin([9 * y, 13 * x, 7 * (x + y)]).transpose(1, 2, 0)
    rough = random.normal(0, 0.25, (height, width, 3)) * x[..., None] ** 2
    return np.round(np.clip(smooth + rough, 0, 1) * 255).astype("uint8")


@pytest.fixture(scope="module")
def network():
    """Instance normalizations at two scales with something to decide between them; sees 14 pixels far.

    Borders are mirrored, as in style networks.
    """
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((None, None, 3))
    for filters, strides in ((8, 1), (8, 2), (8, 1)):
        x = layers.ReflectionPadding2D(((strides % 2, 1),) * 2)(x)
        x = layers.Conv2D(filters, 3, strides=strides)(x)
        x = layers.LeakyReLU(negative_slope=0.1)(layers.InstanceNormalization()(x))
        if strides == 2:  # the same noise in every tile would show as well
            x = layers.FixedNoise2D(2, period=40, stride=2)(x)
    x = layers.ResizeConvolution2D(8, 3, padding="symmetric")(x)
    x = layers.LeakyReLU(negative_slope=0.1)(layers.InstanceNormalization()(x))
    x = layers.Activation("tanh")(layers.Conv2D(3, 3)(layers.ReflectionPadding2D()(x)))
    return keras.Model(inputs, x)


def call(network):
    return lambda x: network(x, training=False)


def in_tiles(network, image, tile=1024, overlap=192, progress=None, **options):
    return tiles.Tiled(network, tile, overlap, **options)(image, progress)


@pytest.fixture(scope="module")
def image():
    return landscape(240, 304)


def whole(network, image):
    return to_uint8(call(network)(tiles.to_floats(image))[0])


@pytest.mark.parametrize("size", [(240, 304), (64, 512), (129, 97)])
def test_tiled_equals_whole(network, size):
    """As many passes as normalizations make it exact; odd sizes are continued by their mirror image."""
    image = landscape(*size)
    padded = np.pad(image, [(0, -side % 16) for side in size] + [(0, 0)], "reflect")
    tiled = in_tiles(call(network), image, tile=128, overlap=64, whole=64 * 64, passes=4, tolerance=0)
    reference = whole(network, padded)[: size[0], : size[1]]
    assert np.abs(tiled.astype(int) - reference).max() <= 1


def test_statistics_of_each_tile_would_show_seams(network, image):
    """What the statistics are for: without them the same tiles differ from the whole in every place."""
    reference = whole(network, image)

    def locally(x):
        with layers.InstanceStatistics():
            return call(network)(x)

    local = in_tiles(locally, image, tile=128, overlap=64, whole=64 * 64, passes=0)
    assert np.abs(local.astype(int) - reference).mean() > 8


def test_few_passes_suffice(network, image):
    reference = whole(network, image)

    def error(passes):
        made = in_tiles(call(network), image, 128, 64, whole=64 * 64, passes=passes, tolerance=0)
        return np.abs(made.astype(int) - reference).mean()

    errors = [error(passes) for passes in (0, 1, 2)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]  # patches of a twentieth of the image, then all of it
    assert errors[2] < 2


def test_passes_end_when_nothing_changes(network, image):
    calls = []
    in_tiles(
        call(network),
        image,
        128,
        64,
        whole=64 * 64,
        passes=9,
        tolerance=0.01,
        progress=lambda *c: calls.append(c),
    )
    done, total = calls[-1]
    assert done == total == 10 * (total // 10)
    assert len(calls) < 7 * (total // 10)
    assert [d for d, _ in calls] == sorted(d for d, _ in calls)


def test_a_small_image_goes_through_at_once(network, image):
    np.testing.assert_array_equal(in_tiles(call(network), image), whole(network, image))
    odd = image[:123, :77]
    padded = np.pad(odd, [(0, 5), (0, 3), (0, 0)], "reflect")
    np.testing.assert_array_equal(in_tiles(call(network), odd), whole(network, padded)[:-5, :-3])
    tiny = np.pad(odd[:3, :9], [(0, 29), (0, 23), (0, 0)], "reflect")
    np.testing.assert_array_equal(in_tiles(call(network), odd[:3, :9]), whole(network, tiny)[:3, :9])


def test_a_network_without_normalizations(image):
    """A blur sees three eighths of the overlap far: tiles make exactly the same."""
    kernel = tf.ones((25, 25, 3, 1)) / 625

    def blur(x):
        return tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME")

    tiled = in_tiles(blur, image, 96, 32, whole=64 * 64)
    assert np.abs(tiled.astype(int) - to_uint8(blur(tiles.to_floats(image))[0])).max() <= 1


@pytest.mark.parametrize("length", [1, 31, 65, 96, 97, 128, 129, 500, 1023])
def test_spans_cover_an_axis(length):
    found = tiles.spans(length, 96, 32)
    assert found[0].start == found[0].first == 0
    assert found[-1].stop == found[-1].last == length
    assert all(span.start % 32 == 0 and span.stop - span.start <= 96 for span in found)
    assert all(a.last == b.first and a.stop - b.start == 32 for a, b in itertools.pairwise(found))
    weights = np.zeros(length)
    for span in found:
        weights[span.start : span.stop] += tiles._fade(span, 32, length)
    np.testing.assert_allclose(weights, 1, atol=1e-6)


def test_merged_moments_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(3, 2, (10, 12, 4)) * np.arange(1, 5)
    parts = [values[:3], values[3:]]
    moments = [[(p.mean((0, 1)), p.var((0, 1)), p.shape[0] * p.shape[1])] for p in parts]
    ((mean, variance),) = tiles.merged(moments)
    np.testing.assert_allclose(mean, values.mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(variance, values.var((0, 1)), rtol=1e-6)


def test_calibration_tells_the_whole_from_its_patches():
    whole, part = np.random.default_rng(1).normal([1, 5], [2, 0.1], (2, 50, 2))
    found = calibration(whole.mean(0), whole.var(0), part.mean(0), part.var(0))
    mean, variance = calibrated(part.mean(0), part.var(0), *found)
    np.testing.assert_allclose(mean, whole.mean(0))
    np.testing.assert_allclose(variance, whole.var(0))
    # A shift is one of the part's deviations, and goes with them.
    mean, variance = calibrated(part.mean(0), 4 * part.var(0), *found)
    shift = whole.mean(0) - part.mean(0)
    np.testing.assert_allclose(mean[0], part.mean(0)[0] + 2 * shift[0], atol=0.002)
    np.testing.assert_allclose(variance[0], 4 * whole.var(0)[0], rtol=0.01)


def test_patches_are_from_everywhere(image):
    patches, origins = map(np.asarray, tiles.sampled(image, pixels=16 * 32 * 32, patch=32))
    assert patches.shape == (16, 32, 32, 3)
    np.testing.assert_array_equal(patches[0], tiles.to_floats(image[:32, :32])[0])
    np.testing.assert_array_equal(patches[-1], tiles.to_floats(image[-32:, -32:])[0])
    np.testing.assert_array_equal(
        origins[[0, -1]], [(0, 0), [(side - 32) // 32 * 32 for side in image.shape[:2]]]
    )
    small = image[:48, :64]
    assert len(tiles.sampled(small, pixels=10**6, patch=32)[0]) == 4  # no more than cover it


def test_refusals(image):
    with pytest.raises(ValueError, match="multiples of 32"):
        in_tiles(lambda x: x, image, tile=100)
    with pytest.raises(ValueError, match="uint8"):
        in_tiles(lambda x: x, image / 255)
    with pytest.raises(ValueError, match="keeps the size"):
        in_tiles(lambda x: x[:, ::2], image, 96, 32, whole=64)
