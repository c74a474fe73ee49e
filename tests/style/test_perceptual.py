"""The tone loss: zero for a photograph, two for its negative, blind to strokes; the checkerboard loss: the
variance of a pattern of four pixels, blind to slopes, nearly so to other patterns; the blotch loss: how much
colours change that the photograph does not; the grain loss: how much neighbours differ where it is plain; the
palette loss: the distance of two distributions of colours, wherever these are; local structure at any
brightness and contrast; taps that count alike; VGG in training."""

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import cbook

from keras_gen.image import load_image
from keras_gen.processor import on_cpu
from keras_gen.style.features import Features
from keras_gen.style.operators import gram_matrix
from keras_gen.style.perceptual import (
    STYLE_TAPS,
    blotch_losses,
    checkerboard_losses,
    grain_losses,
    palette,
    palette_losses,
    structure_losses,
    style_losses,
    tone_losses,
)

COARSE = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4, 5, 3)).astype("float32")
IMAGES = COARSE.repeat(16, 1).repeat(16, 2)


@pytest.mark.parametrize(("scale", "offset", "loss"), [(1, 0, 0), (0.5, 0.2, 0), (-1, 0, 2), (-0.3, 0.1, 2)])
def test_tells_light_from_dark_at_any_brightness_and_contrast(scale, offset, loss):
    np.testing.assert_allclose(tone_losses(scale * IMAGES + offset, IMAGES), [loss] * 2, atol=2e-3)


def test_strokes_are_free():
    strokes = 0.5 * np.where(np.indices(IMAGES.shape).sum(0) % 2, 1, -1)
    np.testing.assert_allclose(tone_losses(IMAGES + strokes, IMAGES), 0, atol=2e-3)


def test_colours_alone_are_free():
    grey = np.float32([0.2989, 0.5870, 0.1140])
    other = np.roll(IMAGES, 1, axis=-1)
    recoloured = other + (IMAGES @ grey - other @ grey)[..., None]
    np.testing.assert_allclose(tone_losses(recoloured, IMAGES), 0, atol=1e-3)


def test_a_plain_photograph_is_no_obstacle():
    plain = tf.Variable(tf.fill((1, 32, 32, 3), 0.4))
    with tf.GradientTape() as tape:
        loss = tone_losses(plain, tf.zeros((1, 32, 32, 3)))
    assert float(loss[0]) == 1
    assert np.isfinite(tape.gradient(loss, plain)).all()


@pytest.mark.parametrize("size", [(16, 16), (64, 128), (131, 203)])
def test_a_checkerboard_is_measured_by_its_variance_whatever_lies_below(size):
    height, width = size
    squares = np.random.default_rng(1).uniform(-0.3, 0.3, (2, 4, 4, 3))
    pattern = np.tile(squares, (1, -(-height // 4), -(-width // 4), 1))[:, :height, :width]
    colours = np.float32([[0.2, -0.1, 0.4], [0, 0.3, -0.5]])[:, None, None]
    colours = colours + 3e-3 * np.indices((height, width)).transpose(1, 2, 0) @ [[1, 0, 2], [0, -1, 1]]
    expected = np.mean((squares - squares.mean((1, 2), keepdims=True)) ** 2, (1, 2, 3))
    np.testing.assert_allclose(checkerboard_losses(colours + pattern), expected, rtol=1e-3)
    np.testing.assert_allclose(checkerboard_losses(colours), 0, atol=1e-10)


@pytest.mark.parametrize("size", [(7, 7), (11, 18), (64, 41)])
def test_a_checkerboard_is_what_every_fourth_pixel_has_beside_its_surroundings(size):
    """One square, in words: less the mean of the 4x4 from two before to one after, of which sixteen means."""
    images = np.random.default_rng(2).uniform(-1, 1, (2, *size, 3))
    around = np.lib.stride_tricks.sliding_window_view(images, (4, 4), (1, 2)).mean((-1, -2))
    grain = images[:, 2:-1, 2:-1] - around
    height, width = (side // 4 * 4 for side in grain.shape[1:3])
    grain = grain[:, :height, :width].reshape(2, height // 4, 4, width // 4, 4, 3)
    expected = grain.mean((1, 3)).var((1, 2)).mean(-1)
    np.testing.assert_allclose(checkerboard_losses(images), expected, rtol=1e-5)


def test_a_checkerboard_is_found_whose_squares_differ_from_place_to_place():
    """Light on dark here and dark on light there: over the whole picture it would cancel."""
    squares = np.where(np.indices((67, 131)).sum(0) % 2, 0.2, -0.2)
    squares[:, 66:] *= -1
    images = np.broadcast_to(squares[None, ..., None], (1, 67, 131, 3))
    np.testing.assert_allclose(checkerboard_losses(images), 0.04, rtol=0.05)


@pytest.mark.parametrize("period", [2.6, 3, 5, 6, 8, 9.5, 64])
def test_other_periods_hardly_count(period):
    wave = np.sin(2 * np.pi * np.arange(131) / period)
    image = np.broadcast_to(wave[:, None, None], (131, 131, 3))[None].astype("float32")
    assert checkerboard_losses(image)[0] < 0.02 * np.var(wave)


def test_photographs_have_none():
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        assert checkerboard_losses(load_image(file.name)[None])[0] < 3e-4


def halo(height=64, width=64):
    """A square of 16 by 16 that is lighter by 0.6, in the middle of a plain picture."""
    picture = np.full((1, height, width, 3), -0.2, "float32")
    picture[:, 24:40, 24:40] += 0.6
    return picture


def test_blotches_are_measured_by_their_edges():
    plain = np.zeros((1, 64, 64, 3), "float32")
    edges = 4 * 4 * 0.6 / (15 * 16)  # of four squares along each of the four sides of it
    np.testing.assert_allclose(blotch_losses(halo(), plain), edges, rtol=1e-5)
    np.testing.assert_allclose(blotch_losses(plain + 0.3, halo()), 0, atol=1e-7)
    both = blotch_losses(np.concatenate([halo(), plain]), np.concatenate([plain, plain]))
    np.testing.assert_allclose(both, [edges, 0], rtol=1e-5)


def test_where_the_photograph_has_an_edge_a_picture_may():
    plain = np.zeros((1, 64, 64, 3), "float32")
    for height in (0.01, 0.05, 0.6):
        faint = plain.copy()
        faint[:, 24:40, 24:40, 1] = height
        share = blotch_losses(halo(), faint) / blotch_losses(halo(), plain)
        np.testing.assert_allclose(share, np.exp(-height / 0.05), rtol=1e-3)


def test_grain_is_no_blotch():
    grain = 0.5 * np.where(np.indices((1, 64, 64, 3)).sum(0) % 2, 1, -1)
    np.testing.assert_allclose(blotch_losses(grain, np.zeros_like(grain)), 0, atol=1e-6)


@pytest.mark.parametrize("size", [(2, 9), (33, 34), (64, 47)])
def test_grain_is_measured_by_neighbours_where_the_photograph_is_plain(size):
    """Square by square, in words: of 4 pixels, in the middle of one of 8, and of others up to 16 away."""
    random = np.random.default_rng(3)
    pictures = random.uniform(-1, 1, (2, *size, 3)).astype("float32")
    photographs = (0.05 * random.uniform(-1, 1, (2, *size, 3))).astype("float32")
    photographs[1, :, size[1] // 2 :] *= 20
    expected = np.zeros(2)
    for axis in (1, 2):
        own, given = (np.abs(np.diff(images, axis=axis)) for images in (pictures, photographs))
        starts = [range(-(-length % 4 // 2), length, 4) for length in own.shape[1:3]]
        rough = {
            (top, left): given[:, max(0, top - 2) : top + 6, max(0, left - 2) : left + 6].mean((1, 2)).max(-1)
            for top in starts[0]
            for left in starts[1]
        }
        squares = []
        for top, left in rough:
            square = own[:, max(0, top) : top + 4, max(0, left) : left + 4].mean((1, 2, 3))
            near = [rough[y, x] for y, x in rough if max(abs(y - top), abs(x - left)) <= 16]
            squares.append(square * np.exp(-np.max(near, 0) / 0.03))
        expected += np.mean(squares, 0)
    np.testing.assert_allclose(grain_losses(pictures, photographs), expected, rtol=1e-4)


def test_grain_costs_nothing_where_the_photograph_has_as_much():
    stripes = np.zeros((1, 32, 32, 3), "float32")
    stripes[:, :, ::2] = 0.6  # neighbours on a row differ by that
    np.testing.assert_allclose(grain_losses(stripes, np.full_like(stripes, 0.1)), 0.6, rtol=1e-5)
    assert grain_losses(stripes, stripes)[0] < 1e-6
    assert grain_losses(np.full_like(stripes, 0.3), np.zeros_like(stripes))[0] == 0


def test_structure_is_kept_at_any_brightness_and_contrast():
    lines = np.where(np.arange(64) // 2 % 2, 0.4, -0.4)[None, None, :, None]
    photograph = np.broadcast_to(lines, (1, 40, 64, 3)).astype("float32")
    blue = np.float32([[[[0.1, 0.3, 0.9]]]]) * photograph - 0.2
    for picture, loss in ((photograph, 0), (blue, 0), (-photograph, 2), (0 * photograph + 0.3, 1)):
        np.testing.assert_allclose(structure_losses(picture, photograph), loss, atol=0.03)
    np.testing.assert_array_equal(np.round(structure_losses(photograph, 0 * photograph), 6), 1)


def test_structure_counts_by_how_clear_the_photograph_is():
    """A half of which all is lost, of a standard deviation of 0.05, beside one that is kept, and clear."""
    rows = np.where(np.arange(64) % 2, 0.2, -0.2)[None, :, None, None]
    photograph = np.broadcast_to(rows, (1, 64, 64, 3)).astype("float32").copy()
    photograph[:, :, 32:] *= 0.25
    picture = photograph.copy()
    picture[:, :, 32:] = 0
    # Of fifteen columns of squares seven are of each kind, and in one both are: what each weighs and loses.
    kept = 0.1, 1 - 0.04 / (0.04 + 5e-4)
    both = 0.1, 1 - 0.02 / np.sqrt((0.02 + 5e-4) * (0.02 + 0.05**2 / 2 + 5e-4))
    squares = np.array([kept] * 7 + [both] + [(0.05, 1.0)] * 7)
    share = np.average(squares[:, 1], weights=squares[:, 0])
    np.testing.assert_allclose(structure_losses(picture, photograph), share, rtol=1e-3)


def test_the_palette_is_where_it_likes():
    random = np.random.default_rng(2)
    dabs = random.uniform(-1, 1, (2, 12 * 16, 3)).astype("float32")

    def picture(dabs):
        return dabs.reshape(-1, 12, 16, 3).repeat(2, 1).repeat(2, 2)

    elsewhere = picture(random.permuted(dabs[0], axis=0)[None])
    shuffled = picture(dabs[:1, random.permutation(12 * 16)])
    target = palette(picture(dabs[:1]))
    assert target.shape == (1, 13, 12 * 16)
    np.testing.assert_allclose(palette_losses(shuffled, target), 0, atol=1e-10)
    assert palette_losses(elsewhere, target)[0] > 1e-3  # of each channel the same values, of colours others


def test_a_palette_is_missed_by_shift_and_by_its_own_spread():
    picture = np.random.default_rng(3).uniform(-1, 1, (1, 24, 32, 3)).astype("float32")
    target = palette(picture)
    variance = np.var(target, -1).mean()
    shift = np.float32([0.1, -0.2, 0.3])
    # Of directions that are spread evenly over the sphere a shift has a third of its square along each.
    found = palette_losses(picture + shift, target)
    np.testing.assert_allclose(found, np.sum(shift**2) / 3 / (variance + 1e-3), rtol=0.05)
    mean = np.broadcast_to(picture.mean((1, 2), keepdims=True), picture.shape)
    np.testing.assert_allclose(palette_losses(mean, target), variance / (variance + 1e-3), rtol=1e-3)


@pytest.mark.parametrize("count", [7, 48, 256, 5000])
def test_palettes_of_any_number_of_colours_are_compared(count):
    """Of one distribution, by 48 colours, by some, and with repetitions."""
    ramp = np.linspace(-1, 1, 48, dtype="float32").reshape(1, 6, 8, 1).repeat(2, 1).repeat(2, 2).repeat(3, 3)
    target = palette(ramp, count)
    assert target.shape == (1, 13, count)
    assert palette_losses(ramp, target)[0] < 1.1 / min(count, 48) ** 2  # of a uniform one, in steps
    np.testing.assert_allclose(palette_losses(ramp, palette(ramp, 48)), 0, atol=1e-10)


def test_palettes_of_large_pictures_are_compared():
    """Of 40,000 colours each: twice the product of both counts has more than 31 bits."""
    picture = np.random.default_rng(5).uniform(-1, 1, (1, 400, 400, 3)).astype("float32")
    target = palette(picture)
    np.testing.assert_allclose(palette_losses(picture, target), 0, atol=1e-10)
    assert palette_losses(-np.abs(picture), target)[0] > 0.5


def test_taps_count_alike_however_strong_they_are():
    random = np.random.default_rng(4)
    strengths = dict(zip(STYLE_TAPS, (1000.0, 30.0, 4.0, 2.0), strict=True))
    features = {tap: random.normal(1, 1, (2, 8, 8, 16)).astype("float32") * k for tap, k in strengths.items()}
    grams = {tap: gram_matrix(each) for tap, each in features.items()}
    np.testing.assert_allclose(style_losses(features, grams), 0, atol=1e-9)
    for tap in STYLE_TAPS:
        lacking = style_losses({**features, tap: 0 * features[tap]}, grams)
        np.testing.assert_allclose(lacking, 0.25, rtol=0.01)
        strong = style_losses({**features, tap: 2 * features[tap]}, grams)
        np.testing.assert_allclose(strong, (2**2 - 1) ** 2 / 4, rtol=0.01)


def test_features_are_computed_as_in_training():
    """The frozen VGG is the same function there, but large convolutions are tiles."""
    features = Features({"network": "vgg16", "backbone": "random"}, ["relu3_2"])
    features(tf.zeros((1, 16, 16, 3)))
    run = tf.function(features).get_concrete_function(tf.TensorSpec((None, 128, 128, 3)))
    assert ("GatherV2" in {operation.type for operation in run.graph.get_operations()}) == on_cpu()
