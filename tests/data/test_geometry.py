import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_gen.data.geometry import Geometry, convert_channels, crop_at, flip_where, resize, to_float

RNG = np.random.default_rng(0)


def smooth(height, width):
    """A colour gradient with a wave, uint8 `(height, width, 3)`."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.stack([255 * x, 255 * y, 127 + 120 * np.sin(9 * x + 5 * y)], -1).astype(np.uint8)


@pytest.mark.parametrize("size", [(16, 24), (31, 47), (80, 120)])
def test_resizing_is_pillows_bicubic_filter(size):
    image = smooth(40, 60)
    expected = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
    # Pillow rounds between its two passes.
    np.testing.assert_allclose(resize(tf.constant(image), size).numpy().astype(int), expected, atol=1)


def test_static_and_dynamic_sizes_agree():
    image = RNG.uniform(-1, 1, (2, 23, 31, 3)).astype(np.float32)
    np.testing.assert_allclose(resize(image, (9, 40)), resize(image, tf.constant((9, 40))), atol=2e-6)


def test_shrinking_a_checkerboard_gives_grey():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    small = Geometry((16, 16), 1).apply_all(board[None])[0, 1:-1, 1:-1]
    assert abs(small.astype(int) - 127.5).max() < 3


@pytest.mark.parametrize(("height", "width"), [(40, 100), (100, 40), (33, 33), (5, 1000)])
@pytest.mark.parametrize("size", [(32, 32), (16, 48), (64, 3)])
def test_covering_size_keeps_the_aspect(height, width, size):
    geometry = Geometry(size, 3)
    new = geometry.resized(height, width)
    assert new[0] >= size[0]
    assert new[1] >= size[1]
    assert new[0] == size[0] or new[1] == size[1]
    scale = max(size[0] / height, size[1] / width)
    assert abs(new[0] - height * scale) <= 0.5 + 1e-9
    assert abs(new[1] - width * scale) <= 0.5 + 1e-9
    assert tuple(geometry.resized_tensor(tf.constant((height, width))).numpy()) == new


def test_center_crop_takes_the_middle_and_none_stretches():
    image = np.zeros((1, 20, 60, 1), np.uint8)
    image[:, :, 20:40] = 255
    assert Geometry((20, 20), 1, "center").apply_all(image).min() == 255
    stretched = Geometry((20, 20), 1, None).apply_all(image)[0, 10, :, 0]
    assert stretched[[0, 10, 19]].tolist() == [0, 255, 0]
    assert Geometry((20, 20), 1, "random").apply_all(image).shape == (1, 20, 60, 1)


def test_channels():
    red = np.full((1, 1, 3), (255, 0, 0), np.uint8)
    assert convert_channels(red, 1).numpy().item() == 76  # 0.299 * 255
    grey = np.full((2, 2, 1), 9, np.uint8)
    np.testing.assert_array_equal(convert_channels(grey, 3), np.full((2, 2, 3), 9))
    rgba = np.array([[[0, 0, 0, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], np.uint8)
    np.testing.assert_array_equal(convert_channels(rgba, 3), [[[255] * 3, [10, 20, 30], [204] * 3]])
    clear = np.array([[[-1.0, -1.0]]], np.float32)  # black, transparent
    assert convert_channels(clear, 1).numpy().item() == 1.0


def test_float_conversion_reaches_both_ends():
    np.testing.assert_array_equal(to_float(tf.constant([0, 255], tf.uint8)), [-1.0, 1.0])


def test_crop_at_takes_every_place_and_never_the_padding():
    images = np.zeros((2, 6, 9, 1), np.float32)
    images[0, :, :5] = np.arange(30).reshape(6, 5, 1)  # the rest is padding
    images[1] = np.arange(54).reshape(6, 9, 1)
    sizes = np.array([[6, 5], [6, 9]], np.int32)
    seen = set()
    for place in np.linspace(0, np.nextafter(1, 0, dtype=np.float32), 12, dtype=np.float32):
        crops = crop_at(images, sizes, np.full((2, 2), place, np.float32), (4, 4)).numpy()[..., 0]
        top, left = divmod(int(crops[0, 0, 0]), 5)
        np.testing.assert_array_equal(crops[0], images[0, top : top + 4, left : left + 4, 0])
        assert left + 4 <= 5
        seen.add((top, int(crops[1, 0, 0]) % 9))
    assert {top for top, _ in seen} == {0, 1, 2}
    assert {left for _, left in seen} == {0, 1, 2, 3, 4, 5}


def test_flip_mirrors_only_the_chosen():
    images = RNG.uniform(size=(2, 3, 4, 1)).astype(np.float32)
    flipped = flip_where(images, np.array([True, False])).numpy()
    np.testing.assert_array_equal(flipped[0], images[0, :, ::-1])
    np.testing.assert_array_equal(flipped[1], images[1])
