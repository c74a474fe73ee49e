import io
import os
import sys
import threading

import numpy as np
import pytest
from PIL import Image, ImageCms

from keras_gen import image, pictures
from keras_gen.pictures import Picture


def colours(height=48, width=64):
    """Smooth enough for JPEG: each channel a slope of its own."""
    y, x = np.mgrid[:height, :width]
    red, green = 255 * y / height, 255 * x / width
    return np.round(np.dstack([red, green, 255 - red])).astype("uint8")


class Piped:
    """Standard input or output."""

    def __init__(self, data=b""):
        self.buffer = io.BytesIO(data)


@pytest.mark.parametrize(
    ("ending", "tolerance"), [("png", 0), ("jpg", 4), ("webp", 12), ("tiff", 0), ("bmp", 0)]
)
def test_written_and_read_again(tmp_path, ending, tolerance):
    path = tmp_path / "new" / f"a.{ending}"
    pictures.write(Picture(colours()), path)
    found = pictures.read(path)
    assert found.pixels.dtype == np.uint8
    assert found.alpha is None
    assert found.format == pictures.format_of(path)
    difference = np.abs(found.pixels.astype(int) - colours())
    assert difference.max() <= tolerance
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_alpha_is_kept(tmp_path, ending):
    alpha = np.full((48, 64), 255, "uint8")
    alpha[:10], alpha[10:20] = 0, 100
    pictures.write(Picture(colours(), alpha), tmp_path / f"a.{ending}")
    found = pictures.read(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(found.alpha, alpha)
    # Hidden colours are those nearby.
    np.testing.assert_allclose(found.pixels[:10].mean(0), colours()[10:20].mean(0), atol=40)
    if ending == "png":
        np.testing.assert_array_equal(found.pixels[10:], colours()[10:])
        expected = np.round(colours()[10:20] * (100 / 255) + 255 * (155 / 255))
        np.testing.assert_allclose(found.over_white[10:20], expected, atol=1)


def test_hidden_colours_are_as_near_ones_and_white_where_nothing_is_seen(tmp_path):
    pixels, alpha = np.zeros((50, 70, 3), "uint8"), np.zeros((50, 70), "uint8")
    pixels[:, :35], pixels[:, 35:] = (200, 40, 0), (0, 90, 250)
    alpha[20:30, 5:15] = alpha[20:30, 55:65] = 255
    pictures.write(Picture(pixels, alpha), tmp_path / "a.png")
    found = pictures.read(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(found[alpha > 0], pixels[alpha > 0])
    for left in (4, 54):  # next to what is seen, within a tenth of the way to the other colour
        near = slice(19, 31), slice(left, left + 12)
        np.testing.assert_allclose(found[near], pixels[near], atol=25)
    between = found.astype(float).reshape(-1, 3) @ [1, 0, -0.8]  # from one colour to the other, and no other
    assert (between >= -202).all()
    assert (between <= 202).all()
    one = np.zeros_like(alpha)
    one[3, 4] = 255  # however little is seen, nothing of white comes in
    pictures.write(Picture(pixels, one), tmp_path / "c.png")
    np.testing.assert_allclose(pictures.read(tmp_path / "c.png").pixels.mean((0, 1)), (200, 40, 0), atol=20)
    pictures.write(Picture(pixels, 0 * alpha), tmp_path / "b.png")
    assert (pictures.read(tmp_path / "b.png").pixels == 255).all()


def test_jpeg_has_no_transparency_and_says_so(tmp_path):
    alpha = np.zeros((48, 64), "uint8")
    with pytest.warns(UserWarning, match="over white"):
        pictures.write(Picture(colours(), alpha), tmp_path / "a.jpg")
    assert pictures.read(tmp_path / "a.jpg").pixels.min() > 250


def test_an_alpha_channel_that_hides_nothing_is_none(tmp_path):
    Image.fromarray(colours()).convert("RGBA").save(tmp_path / "a.png")
    assert pictures.read(tmp_path / "a.png").alpha is None


def test_a_transparent_palette(tmp_path):
    palette = Image.fromarray(np.uint8([[0, 1], [2, 1]]), "P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(tmp_path / "a.png", transparency=1)
    found = pictures.read(tmp_path / "a.png")
    np.testing.assert_array_equal(found.alpha, [[255, 0], [255, 0]])
    np.testing.assert_array_equal(found.pixels[:, 0], [[255, 0, 0], [0, 0, 255]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation(tmp_path, orientation):
    """The transformation by which a viewer shows a stored picture upright, inverted by hand."""
    upright = colours()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pictures.read(tmp_path / "a.png").pixels, upright)


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    grey = np.linspace(0, 65535, 256).astype("uint16").reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(grey).save(tmp_path / "a.tiff")
    Image.fromarray(grey.astype("int32")).save(tmp_path / "b.tiff")
    Image.fromarray((grey / 65535).astype("float32")).save(tmp_path / "c.tiff")
    expected = np.arange(256).reshape(16, 16, 1).repeat(3, axis=-1)
    for path in tmp_path.iterdir():
        np.testing.assert_allclose(pictures.read(path).pixels, expected, atol=1, err_msg=path.name)


def test_the_hidden_grey_of_sixteen_bits_stays_hidden(tmp_path):
    grey = np.full((3, 4), 40_000, "uint16")
    grey[:2, 1], grey[2, 3] = 7, 8
    Image.fromarray(grey).save(tmp_path / "a.png", transparency=7)
    picture = pictures.read(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.alpha, np.where(grey == 7, 0, 255))
    assert (picture.pixels[:2, 1] > 100).all()  # as what is seen around it
    assert (picture.pixels[2, 3] == 0).all()


@pytest.mark.slow
def test_photographs_of_phones_are_read_and_those_of_no_camera_refused(tmp_path, recwarn):
    for rows in (12_240, 33_000):  # at a bit a pixel
        Image.new("1", (16_320, rows)).save(tmp_path / f"{rows}.png")
    before = Image.MAX_IMAGE_PIXELS
    assert pictures.read(tmp_path / "12240.png").pixels.shape == (12240, 16320, 3)
    with pytest.raises(ValueError, match=r"33000\.png has more than 537 megapixels, .*: make it smaller"):
        pictures.read(tmp_path / "33000.png")
    assert not recwarn.list
    assert before == Image.MAX_IMAGE_PIXELS


def test_cmyk_is_not_inverted(tmp_path):
    Image.fromarray(colours()).convert("CMYK").save(tmp_path / "a.jpg", quality=95, subsampling=0)
    with Image.open(tmp_path / "a.jpg") as opened:
        assert opened.mode == "CMYK"
    difference = pictures.read(tmp_path / "a.jpg").pixels.astype(int) - colours()
    assert np.abs(difference).max() <= 6


def test_a_colour_profile_is_applied_and_one_that_makes_no_sense_is_ignored(tmp_path):
    grey = Image.new("RGB", (8, 8), (60, 60, 60))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey.save(tmp_path / "srgb.png", icc_profile=srgb)
    grey.save(tmp_path / "nonsense.png", icc_profile=b"no profile" * 20)
    Image.new("L", (8, 8), 60).save(tmp_path / "misfit.png", icc_profile=srgb)
    for path in tmp_path.iterdir():
        np.testing.assert_allclose(pictures.read(path).pixels, 60, atol=1, err_msg=path.name)
    # The colours of a profile whose red and blue change places come out exchanged.
    swapped = bytearray(srgb)
    red, blue = swapped.index(b"rXYZ"), swapped.index(b"bXYZ")
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    Image.new("RGB", (8, 8), "red").save(tmp_path / "swapped.png", icc_profile=bytes(swapped))
    np.testing.assert_allclose(pictures.read(tmp_path / "swapped.png").pixels[0, 0], [0, 0, 255], atol=8)


def test_nothing_is_overwritten_without_force(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="force=True"):
        pictures.write(Picture(colours()), path)
    assert path.read_bytes() == b"precious"
    pictures.write(Picture(colours()), path, force=True)
    np.testing.assert_array_equal(pictures.read(path).pixels, colours())


def test_pipes(monkeypatch):
    out = Piped()
    monkeypatch.setattr(sys, "stdout", out)
    pictures.write(Picture(colours()), "-")
    monkeypatch.setattr(sys, "stdin", Piped(out.buffer.getvalue()))
    found = pictures.read("-")
    assert found.format == "PNG"
    np.testing.assert_array_equal(found.pixels, colours())
    with pytest.raises(ValueError, match="Standard input is empty"):
        pictures.read("-")


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "gif"])
def test_a_file_cut_short_is_one_sentence(tmp_path, ending):
    path = tmp_path / f"cut.{ending}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"cut\.{ending} is not an image .* or is damaged: [^\n]+\.$"):
        pictures.read(path)


def test_what_is_no_picture(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no image file .*nothing\.png"):
        pictures.read(tmp_path / "nothing.png")
    for content in (b"", b"text"):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.jpg is not an image"):
            pictures.read(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"such as \.png"):
        pictures.format_of("a.txt")


def test_resizing_keeps_the_aspect():
    alpha = np.full((48, 64), 7, "uint8")
    small = Picture(colours(), alpha, "PNG").resized(32)
    assert small.pixels.shape == (24, 32, 3)
    assert small.alpha.shape == (24, 32)
    np.testing.assert_allclose(small.pixels.mean((0, 1)), colours().mean((0, 1)), atol=1)
    assert Picture(colours()).resized(128).pixels.shape == (96, 128, 3)
    assert Picture(np.zeros((1, 1000, 3), "uint8")).resized(10).pixels.shape == (1, 10, 3)


def test_a_tiny_image_is_not_enlarged(tmp_path):
    pictures.write(Picture(colours(1, 2)), tmp_path / "a.png")
    assert image.load_image(tmp_path / "a.png", max_size=3).shape == (1, 2, 3)


def frames(path):
    """Writes a red, a green and a blue one."""
    first, *others = (Image.new("RGB", (24, 16), color) for color in ("red", "lime", "blue"))
    first.save(path, save_all=True, append_images=others, duration=100, lossless=True)
    return np.broadcast_to(np.uint8([255, 0, 0]), (16, 24, 3))


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
def test_of_an_animation_the_first_frame_is_taken_and_it_is_said(tmp_path, ending):
    first = frames(tmp_path / f"film.{ending}")
    with pytest.warns(UserWarning, match="animation of 3 frames: the first is taken"):
        found = pictures.read(tmp_path / f"film.{ending}")
    np.testing.assert_array_equal(found.pixels, first)


def test_pages_are_no_animation(tmp_path, recwarn):
    first = frames(tmp_path / "pages.tiff")
    np.testing.assert_array_equal(pictures.read(tmp_path / "pages.tiff").pixels, first)
    assert not recwarn


def test_an_animation_cut_short_after_its_first_frame_is_that_frame(tmp_path, recwarn):
    first = frames(tmp_path / "film.gif")
    whole = (tmp_path / "film.gif").read_bytes()
    second = whole.rindex(b"!\xf9", 0, whole.rindex(b"!\xf9"))
    (tmp_path / "film.gif").write_bytes(whole[: second + 12])
    np.testing.assert_array_equal(pictures.read(tmp_path / "film.gif").pixels, first)
    assert not recwarn


@pytest.mark.parametrize("ending", ["ppm", "bmp", "pcx", "eps"])
def test_formats_without_transparency_lay_over_white(tmp_path, ending):
    alpha = np.full((20, 30), 0, "uint8")
    with pytest.warns(UserWarning, match="no transparency"):
        pictures.write(pictures.Picture(np.zeros((20, 30, 3), "uint8"), alpha), tmp_path / f"a.{ending}")
    if ending != "eps":  # which Ghostscript reads
        assert pictures.read(tmp_path / f"a.{ending}").pixels.min() == 255


def test_gif_cuts_out(tmp_path):
    alpha = np.repeat(np.uint8([[0, 100, 200, 255]]), 8, 0)
    picture = pictures.Picture(np.zeros((8, 4, 3), "uint8"), alpha)
    with pytest.warns(UserWarning, match="partial"):
        pictures.write(picture, tmp_path / "a.gif")
    found = pictures.read(tmp_path / "a.gif")
    np.testing.assert_array_equal(found.alpha[0], [0, 0, 255, 255])
    np.testing.assert_array_equal(found.pixels[0, 2:, 0], [55, 0])


@pytest.mark.parametrize("name", ["a.h5", "a.hdf", "a.wmf", "a.ico"])
def test_formats_that_pillow_names_but_cannot_write_are_refused_at_once(name):
    with pytest.raises(ValueError, match="must end"):
        pictures.format_of(name)


def test_numbers_of_32_bits_and_those_that_are_none(tmp_path):
    for highest, expected in ((255, 255), (65535, 255), (2**31 - 1, 255), (100, 100)):
        values = np.int32([[0, highest]])
        Image.fromarray(values).save(tmp_path / "a.tiff")
        assert pictures.read(tmp_path / "a.tiff").pixels[0, :, 0].tolist() == [0, expected]
    Image.fromarray(np.float32([[0, np.nan]])).save(tmp_path / "b.tiff")
    with pytest.raises(ValueError, match="from nan to nan"):
        pictures.read(tmp_path / "b.tiff")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_read(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), (1, 2, 3)).save(buffer, "PNG")
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(buffer.getvalue(),))
    writer.start()
    assert pictures.read(tmp_path / "pipe").pixels.shape == (2, 3, 3)
    writer.join()


def test_a_pgm_of_sixteen_bits_is_scaled_by_them(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 65535\n" + np.array([0, 12850], ">u2").tobytes())
    assert pictures.read(tmp_path / "a.pgm").pixels[0, :, 0].tolist() == [0, 50]


@pytest.mark.parametrize(("kind", "longest"), pictures._LONGEST.items())
def test_a_format_holds_its_longest_side_and_no_more(tmp_path, kind, longest):
    endings = {"JPEG": "jpg", "MPO": "mpo"}
    target = tmp_path / f"long.{endings.get(kind, kind.lower())}"
    if kind == "AVIF" and "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    long = np.zeros((2, longest + 1, 3), "uint8")
    with pytest.raises(ValueError, match=f"{kind} takes at most {longest:,} pixels a side"):
        pictures.write(Picture(long), target)
    pictures.write(Picture(long[:, 1:]), target)
    if kind != "PDF":  # Pillow only writes it
        assert pictures.read(target).pixels.shape == (2, longest, 3)
