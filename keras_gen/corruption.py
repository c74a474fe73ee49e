"""Images with something taken away, by the word that names it: hidden pixels, and noise."""

from __future__ import annotations

import numpy as np

#: The masks by name, with what each hides.
MASKS = ("center", "left", "right", "top", "bottom")


def known_pixels(mask: str, image_shape: tuple[int, int, int], count: int, seed: int = 0) -> np.ndarray:
    """Which pixels a mask leaves.

    Args:
        mask: "center" hides the middle half of height and width, "left", "right", "top" and "bottom" that
            half of the image; a number such as "0.3" hides each pixel with that probability.
        image_shape: (height, width, channels).
        count: number of images.
        seed: of a random mask.

    Returns:
        Booleans (count, height, width, 1).

    Raises:
        ValueError: another word, or a number outside (0, 1).
    """
    height, width, _ = image_shape
    known = np.ones((count, height, width, 1), bool)
    hidden = {
        "center": np.s_[:, height // 4 : height - height // 4, width // 4 : width - width // 4],
        "left": np.s_[:, :, : width // 2],
        "right": np.s_[:, :, width // 2 :],
        "top": np.s_[:, : height // 2],
        "bottom": np.s_[:, height // 2 :],
    }
    if mask in hidden:
        known[hidden[mask]] = False
        return known
    try:
        probability = float(mask)
    except ValueError:
        probability = float("nan")
    if not 0 < probability < 1:
        raise ValueError(
            f"A mask is {', '.join(MASKS)}, or a share of pixels such as 0.3; received {mask!r}."
        )
    return np.random.default_rng(seed).random(known.shape) >= probability


def add_noise(images: np.ndarray, deviation: float, seed: int = 0) -> np.ndarray:
    """Adds normal noise of a standard deviation, in units of images in [-1, 1], and clips to that range.

    Raises:
        ValueError: a deviation that is not above zero.
    """
    if not deviation > 0:
        raise ValueError(f"The noise's standard deviation must be above zero; received {deviation}.")
    noise = np.random.default_rng(seed).standard_normal(np.shape(images), np.float32)
    return np.clip(images + deviation * noise, -1.0, 1.0).astype(np.float32)
