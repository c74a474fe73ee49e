"""Masks and noise."""

import numpy as np
import pytest

from keras_gen.corruption import MASKS, add_noise, known_pixels


@pytest.mark.parametrize("mask", MASKS)
def test_masks_hide_their_part(mask):
    known = known_pixels(mask, (8, 8, 3), 2)
    assert known.shape == (2, 8, 8, 1)
    assert (~known).mean() == (0.25 if mask == "center" else 0.5)
    rows, columns = np.nonzero(~known[0, ..., 0])
    expected = {"center": (3.5, 3.5), "left": (3.5, 1.5), "right": (3.5, 5.5), "top": (1.5, 3.5)}
    assert (rows.mean(), columns.mean()) == expected.get(mask, (5.5, 3.5))


def test_a_share_of_pixels():
    known = known_pixels("0.3", (64, 64, 1), 4, seed=1)
    assert (~known).mean() == pytest.approx(0.3, abs=0.02)
    for wrong in ("middle", "0", "1.5", "nan"):
        with pytest.raises(ValueError, match="A mask is center, left"):
            known_pixels(wrong, (8, 8, 1), 1)


def test_noise_has_its_deviation_and_stays_in_range():
    images = np.zeros((16, 16, 16, 1), "float32")
    assert add_noise(images, 0.1, seed=0).std() == pytest.approx(0.1, rel=0.05)
    assert np.abs(add_noise(images, 5.0)).max() == 1
    with pytest.raises(ValueError, match="above zero"):
        add_noise(images, 0)
