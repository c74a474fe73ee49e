"""Warping, blurring, grids and image files: tensorflow-addons' numbers, closed forms, broken input."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_gen import image

REFERENCE = np.load(Path(__file__).parent / "reference" / "tensorflow_addons.npz")


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


# Warping


def test_warp_equals_tensorflow_addons():
    warped = image.dense_image_warp(REFERENCE["image"], REFERENCE["flow"])
    np.testing.assert_allclose(warped, REFERENCE["dense_image_warp"], atol=1e-5)


def test_warp_by_whole_pixels_is_a_shift_with_repeated_border():
    x = noise(1, 4, 5, 2)
    flow = np.broadcast_to(np.float32([1, -2]), (1, 4, 5, 2))
    expected = x[:, [0, 0, 1, 2]][:, :, [2, 3, 4, 4, 4]]
    np.testing.assert_array_equal(image.dense_image_warp(x, flow), expected)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 1, 6, 1), (2, 6, 1, 1)])
def test_warp_of_one_pixel_wide_images(shape):
    x = noise(*shape)
    np.testing.assert_array_equal(image.dense_image_warp(x, np.zeros((*shape[:3], 2), "float32")), x)


def test_warp_has_a_gradient_at_a_flow_of_zeros():
    # On a ramp, output = position - flow: the slope by the flow is -1 everywhere, the last column included.
    ramp = tf.tile(tf.range(6.0)[None, None, :, None], [1, 4, 1, 1])
    flow = tf.zeros((1, 4, 6, 2))
    with tf.GradientTape() as tape:
        tape.watch(flow)
        total = tf.reduce_sum(image.dense_image_warp(ramp, flow))
    np.testing.assert_allclose(tape.gradient(total, flow)[..., 1], -1.0)


def test_warp_gradients_equal_finite_differences():
    x, flow = noise(1, 3, 4, 1).astype("float64"), REFERENCE["flow"][:1, :3, :4].astype("float64") * 0.4
    theory, numeric = tf.test.compute_gradient(image.dense_image_warp, [x, flow])
    for exact, difference in zip(theory, numeric, strict=True):
        np.testing.assert_allclose(exact, difference, atol=1e-6)


def test_warp_of_unknown_sizes_and_bfloat16():
    function = tf.function(
        image.dense_image_warp,
        input_signature=[tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, None, None, 2))],
    )
    warped = function(REFERENCE["image"], REFERENCE["flow"])
    np.testing.assert_allclose(warped, REFERENCE["dense_image_warp"], atol=1e-5)
    # bfloat16 would confuse columns past 256: a wide image shows that coordinates are kept finer.
    wide = tf.cast(tf.tile(noise(1, 1, 1, 1), [1, 2, 600, 1]) * noise(1, 2, 600, 1), tf.bfloat16)
    shift = tf.cast(tf.broadcast_to([0.0, 1.0], (1, 2, 600, 2)), tf.bfloat16)
    warped = image.dense_image_warp(wide, shift)
    assert warped.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(warped[:, :, 1:], "float32"), tf.cast(wide[:, :, :-1], "float32"))


@pytest.mark.parametrize(
    ("pixels", "flow"),
    [
        ((2, 4, 4, 3), (2, 4, 5, 2)),
        ((2, 4, 4, 3), (2, 4, 4, 3)),
        ((4, 4, 3), (4, 4, 2)),
        ((1, 4, 4, 3), (2, 4, 4, 2)),
    ],
)
def test_warp_refuses_shapes_that_do_not_match(pixels, flow):
    with pytest.raises(ValueError, match="must have shapes"):
        image.dense_image_warp(np.zeros(pixels, "float32"), np.zeros(flow, "float32"))


def test_warp_refuses_whole_numbers():
    with pytest.raises(ValueError, match="floating point"):
        image.dense_image_warp(np.zeros((1, 4, 4, 3), "uint8"), np.zeros((1, 4, 4, 2), "float32"))


# Blurring


def test_blur_equals_tensorflow_addons():
    blurred = image.gaussian_blur(REFERENCE["image"], 5, 1.2, "reflect")
    np.testing.assert_allclose(blurred, REFERENCE["gaussian_filter2d_5_1p2_reflect"], atol=1e-5)
    np.testing.assert_allclose(image.gaussian_blur(REFERENCE["image"][0], 5, 1.2), blurred[0], atol=1e-6)


@pytest.mark.parametrize("padding", ["reflect", "symmetric"])
@pytest.mark.parametrize("size", [1, 4, 7, (3, 5)])
def test_blur_keeps_what_is_constant(padding, size):
    x = np.full((1, 8, 9, 2), 0.7, "float32")
    np.testing.assert_allclose(image.gaussian_blur(x, size, 2.0, padding), x, rtol=1e-6)


@pytest.mark.parametrize(
    ("padding", "mode"), [("reflect", "mirror"), ("symmetric", "reflect"), ("constant", "constant")]
)
def test_blur_equals_scipy(padding, mode):
    from scipy.ndimage import gaussian_filter

    x = noise(1, 12, 11, 1)
    expected = gaussian_filter(x[0, ..., 0].astype("float64"), (1.5, 0.8), mode=mode, radius=(4, 2))
    blurred = image.gaussian_blur(x, (9, 5), (1.5, 0.8), padding)
    np.testing.assert_allclose(blurred[0, ..., 0], expected, atol=1e-6)


def test_blur_keeps_the_type_and_rounds_whole_numbers():
    ones = np.full((1, 9, 9, 1), 7, "uint8")
    blurred = image.gaussian_blur(ones, 5, 1.3)
    assert blurred.dtype == tf.uint8
    np.testing.assert_array_equal(blurred, ones)
    for dtype, tolerance in [("float16", 1e-3), ("bfloat16", 1e-2), ("float64", 1e-6)]:
        half = image.gaussian_blur(tf.cast(REFERENCE["image"], dtype), 5, 1.2)
        assert half.dtype == dtype
        expected = REFERENCE["gaussian_filter2d_5_1p2_reflect"]
        np.testing.assert_allclose(
            tf.cast(half, "float64"), expected, atol=tolerance * np.abs(expected).max()
        )


def test_blur_of_sigma_zero_is_the_image():
    np.testing.assert_array_equal(image.gaussian_blur(noise(2, 5, 5, 3), 3, 0.0), noise(2, 5, 5, 3))


def test_blur_of_unknown_sizes_is_differentiable():
    function = tf.function(
        lambda x: image.gaussian_blur(x, 5, 1.2), input_signature=[tf.TensorSpec((None, None, None, 3))]
    )
    x = tf.constant(REFERENCE["image"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(function(x)[:, 4, 4])
    # The kernel sums to one, so does the influence of the image on one pixel.
    np.testing.assert_allclose(tf.reduce_sum(tape.gradient(total, x)[0, ..., 0]), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": "wrap"}, "padding"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"kernel_size": 2.5}, "kernel_size"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size"),
        ({"sigma": -1.0}, "sigma"),
        ({"sigma": float("nan")}, "sigma"),
        ({"kernel_size": 9}, "too large to reflect"),
    ],
)
def test_blur_refuses_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        image.gaussian_blur(np.zeros((1, 4, 4, 1), "float32"), **arguments)


def test_blur_refuses_wrong_rank():
    with pytest.raises(ValueError, match="batch, height, width, channels"):
        image.gaussian_blur(np.zeros((4, 4), "float32"))


# Bytes and grids


def test_bytes_go_there_and_back_exactly():
    every = np.arange(256, dtype="uint8")
    np.testing.assert_array_equal(image.to_uint8(every / np.float32(127.5) - 1), every)
    np.testing.assert_array_equal(image.to_uint8(np.float32([-1.5, 1.2])), [0, 255])
    np.testing.assert_array_equal(image.to_uint8(tf.constant([-1, 1], tf.bfloat16)), [0, 255])
    assert image.to_uint8(every) is every


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.float32([0, np.nan]), "1 NaN of 2"),
        (np.float32([0, 255]), "values from 0 to 255"),
        (np.int32([0, 1]), "int32"),
        (np.array([True]), "bool"),
    ],
)
def test_bytes_refuse_what_is_not_an_image(values, message):
    with pytest.raises(ValueError, match=message):
        image.to_uint8(values)


def test_grid_layout():
    x = np.stack([np.full((2, 3, 1), v, "uint8") for v in (10, 20, 30)])
    grid = image.make_grid(x, columns=2, padding=1, scale=1)
    expected = np.full((7, 9, 1), 255, "uint8")
    expected[1:3, 1:4], expected[1:3, 5:8], expected[4:6, 1:4] = 10, 20, 30
    np.testing.assert_array_equal(grid, expected)


def test_grid_is_nearly_square_and_enlarges_digits():
    grid = image.make_grid(noise(60, 28, 28, 1))
    assert grid.shape == (8 * 86 + 2, 8 * 86 + 2, 1)
    np.testing.assert_array_equal(grid[2:86:3, 2:86:3], image.to_uint8(noise(60, 28, 28, 1)[0]))
    np.testing.assert_array_equal(grid[2:86:3, 2:86:3], grid[4:86:3, 4:86:3])
    assert image.make_grid(noise(1, 128, 96, 3)).shape == (132, 100, 3)
    assert image.make_grid(noise(2, 64, 64, 3), columns=9).shape == (68, 134, 3)


@pytest.mark.parametrize("shape", [(0, 28, 28, 1), (28, 28, 1), (4, 28, 28, 2), (4, 28, 28)])
def test_grid_refuses_wrong_shapes(shape):
    with pytest.raises(ValueError, match="count, height, width, 1 or 3"):
        image.make_grid(np.zeros(shape, "float32"))


@pytest.mark.parametrize("arguments", [{"columns": 0}, {"scale": 0}, {"padding": -1}])
def test_grid_refuses_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="at least"):
        image.make_grid(noise(2, 4, 4, 1), **arguments)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_saved_grid_reads_back(tmp_path, channels, mode):
    x = noise(5, 28, 28, channels)
    path = image.save_grid(x, tmp_path / "new" / "folder" / "grid.png")
    with Image.open(path) as opened:
        assert (opened.format, opened.mode) == ("PNG", mode)
        np.testing.assert_array_equal(
            np.asarray(opened).reshape(image.make_grid(x).shape), image.make_grid(x)
        )
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("channels", [1, 3])
def test_saved_image_reads_back(tmp_path, channels):
    x = noise(1, 9, 14, channels)[0]
    loaded = image.load_image(image.save_image(x, tmp_path / "new" / "a.png"))
    np.testing.assert_array_equal(image.to_uint8(loaded), np.repeat(image.to_uint8(x), 3 // channels, -1))
    for wrong in (x[None], x[..., :1].repeat(4, -1), x[:0]):
        with pytest.raises(ValueError, match=r"shape \(height, width, 1 or 3\), received"):
            image.save_image(wrong, tmp_path / "b.png")


def test_failed_save_leaves_the_old_file(tmp_path):
    path = image.save_grid(noise(1, 8, 8, 1), tmp_path / "grid.png")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="NaN"):
        image.save_grid(np.full((1, 8, 8, 1), np.nan, "float32"), path)
    with pytest.raises(ValueError, match=r"such as \.png"):
        image.save_grid(noise(1, 8, 8, 1), tmp_path / "grid.nonsense")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Files


def test_load_keeps_every_byte(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    loaded = image.load_image(tmp_path / "a.png")
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(image.to_uint8(loaded), pixels)


def test_load_brings_every_mode_to_three_channels(tmp_path):
    grey = np.linspace(0, 255, 12).astype("uint8").reshape(3, 4)
    expected = np.repeat(grey[..., None], 3, axis=-1)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype("uint16") * 257).save(tmp_path / "sixteen.png")
    Image.fromarray(grey.astype("float32") / 255).save(tmp_path / "float.tiff")
    Image.fromarray(expected).quantize(256).save(tmp_path / "palette.gif")
    for path in tmp_path.iterdir():
        loaded = image.to_uint8(image.load_image(path))
        np.testing.assert_allclose(loaded, expected, atol=1, err_msg=path.name)
    transparent = np.dstack([expected, np.where(grey > 100, 255, 0).astype("uint8")])
    Image.fromarray(transparent).save(tmp_path / "alpha.png")
    over_white = np.where(grey[..., None] > 100, expected, 255)
    np.testing.assert_array_equal(image.to_uint8(image.load_image(tmp_path / "alpha.png")), over_white)


def test_load_turns_photos_upright_and_reduces_them(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.new("RGB", (300, 100), "red").save(tmp_path / "photo.jpg", exif=exif)
    assert image.load_image(tmp_path / "photo.jpg").shape == (300, 100, 3)
    assert image.load_image(tmp_path / "photo.jpg", max_size=60).shape == (60, 20, 3)
    assert image.load_image(tmp_path / "photo.jpg", max_size=1).shape == (1, 1, 3)
    assert image.load_image(tmp_path / "photo.jpg", max_size=900).shape == (300, 100, 3)


def test_load_names_the_file_it_cannot_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        image.load_image(tmp_path / "nothing.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match=r"text\.png is not an image"):
        image.load_image(tmp_path / "text.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")).save(
        tmp_path / "cut.png"
    )
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"cut\.png .* damaged"):
        image.load_image(tmp_path / "cut.png")
    with pytest.raises(ValueError, match="max_size"):
        image.load_image(tmp_path / "cut.png", max_size=0)
