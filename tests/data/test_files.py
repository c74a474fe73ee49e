import numpy as np
import pytest
from PIL import Image

from keras_gen.data.files import read_header, read_image
from keras_gen.data.geometry import Geometry

SMOOTH = np.clip(np.add.outer(np.arange(48) * 3, np.arange(64) * 2), 0, 255).astype(np.uint8)


def read(path, channels=3, size=(48, 64), crop="center"):
    return read_image(path, Geometry(size, channels, crop))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode(tmp_path, mode, channels):
    grey = Image.fromarray(SMOOTH)
    if mode == "I;16":
        image = Image.fromarray(SMOOTH.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray((SMOOTH / 255).astype(np.float32))
    elif mode in ("CMYK", "P", "LA", "RGBA"):
        image = grey.convert("RGB").convert(mode) if mode in ("CMYK", "RGBA") else grey.convert(mode)
    else:
        image = grey.convert(mode)
    assert image.mode == mode
    path = tmp_path / "a.tif"
    image.save(path)
    pixels = read(path, channels)
    assert pixels.shape == (48, 64, channels)
    assert pixels.dtype == np.uint8
    expected = np.asarray(image.convert("L")) if mode == "1" else SMOOTH
    np.testing.assert_allclose(pixels.astype(int), expected[..., None].repeat(channels, -1), atol=1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.bmp", {}),
        ("a.gif", {}),
        ("a.JPG", {"quality": 100}),
    ],
)
def test_every_format(tmp_path, name, options):
    Image.fromarray(SMOOTH).convert("RGB").save(tmp_path / name, **options)
    np.testing.assert_allclose(read(tmp_path / name)[..., 0].astype(int), SMOOTH, atol=3)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    Image.fromarray(np.array([[0, 128, 257, 32768, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").grey
    assert read(tmp_path / "a.png", 1, (1, 5))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(SMOOTH).save(tmp_path / "a.png", exif=exif)
    turned = {
        1: SMOOTH,
        2: SMOOTH[:, ::-1],
        3: SMOOTH[::-1, ::-1],
        4: SMOOTH[::-1],
        5: SMOOTH.T,
        6: SMOOTH.T[:, ::-1],
        7: SMOOTH.T[::-1, ::-1],
        8: SMOOTH.T[::-1],
    }[orientation]
    header = read_header(tmp_path / "a.png")
    assert (header.height, header.width) == turned.shape
    np.testing.assert_array_equal(read(tmp_path / "a.png", 1, turned.shape)[..., 0], turned)


def test_transparency_becomes_white(tmp_path):
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (10, 20, 30, 255)
    rgba[1, 1] = (0, 0, 0, 51)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    pixels = read(tmp_path / "a.png", 3, (2, 2))
    np.testing.assert_allclose(pixels, [[[10, 20, 30], [255] * 3], [[255] * 3, [204] * 3]], atol=1)
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 0, 0, 0])
    palette.save(tmp_path / "b.png", transparency=0)
    assert read(tmp_path / "b.png", 1, (1, 2)).ravel().tolist() == [255, 0]


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read(tmp_path / "a.gif", 3, (8, 8))[0, 0].tolist() == [255, 0, 0]


def test_large_jpeg_is_as_if_resized_from_the_whole(tmp_path):
    y, x = np.mgrid[:900, :1200]
    image = np.stack([x * 255 / 1200, y * 255 / 900, 127 + 100 * np.sin(x / 40 + y / 70)], -1).astype(
        np.uint8
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(tmp_path / "a.jpg", quality=95, exif=exif)
    with Image.open(tmp_path / "a.jpg") as file:
        whole = file.transpose(Image.Transpose.ROTATE_270).resize((60, 80), Image.Resampling.BICUBIC)
    pixels = read(tmp_path / "a.jpg", 3, (60, 60))
    np.testing.assert_allclose(pixels.astype(int), np.asarray(whole)[10:70], atol=3)
    assert read(tmp_path / "a.jpg", 3, (60, 60), "random").shape == (80, 60, 3)
    assert read(tmp_path / "a.jpg", 3, (60, 30), None).shape == (60, 30, 3)
