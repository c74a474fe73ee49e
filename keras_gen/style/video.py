"""Stylized frames that hold still: each is blended with the one before, moved along with the scene."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from keras_gen.image import gaussian_blur
from keras_gen.optical_flow import consistency, optical_flow, warp, warp_sharply
from keras_gen.pictures import Picture

_SAME_SCENE = 0.35  # mean trust below which it is another scene: what still matches does so by chance
_SHARPER = 1.0  # most of its own fine detail that a blended frame gets once more


def stylized(
    paint: Callable[[np.ndarray], np.ndarray], blend: RecurrentBlend, size: int | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of frames, to be called in their order, that paints them and holds flicker down.

    Args:
        paint: Paints one picture, uint8 (height, width, 3) in and out.
        blend: One that has seen no frame yet.
        size: The longer side that frames are brought to first; None leaves them.
    """

    def change(frame: np.ndarray) -> np.ndarray:
        if size is not None:
            frame = Picture(frame).resized(size).pixels
        return blend(frame, paint(frame))

    return change


class RecurrentBlend:
    """Holds flicker down, frame by frame, in constant memory.

    A network that stylizes frame by frame decides anew each time where a stroke lies. Here the frame before,
    as it was shown, is moved along the optical flow of the film, and the new one is blended with it:
    `shown = stylized + momentum · trust · (moved − stylized)`. Trust is high where the flow there and back
    agree and the film itself, moved in the same way, looks as it does now; where something comes
    into view, it is near zero and the new frame is shown as it is, as it is everywhere after a cut. What the
    mean of frames has lost of their fine detail, what it has left of it makes up for when it is shown.

    Args:
        momentum: Share of the frame before where it is trusted, from 0 (frame by frame) to below 1. With
            frames whose strokes are independent, flicker falls to (1 − m) / √(1 + m) of what it was, of fine
            ones to at most twice that.
        tolerance: Difference of the film's frames, of 255, at which trust falls to one half.

    Raises:
        ValueError: `momentum` or `tolerance` is out of its range.

    Reference: after Artistic Style Transfer for Videos, 2016, arXiv:1604.08610, whose flow, masks and
    initialization by the frame before it takes over, without its optimization.
    """

    def __init__(self, momentum: float = 0.84, tolerance: float = 20.0) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be from 0 to below 1; received {momentum}.")
        if not tolerance > 0:
            raise ValueError(f"tolerance must be above 0; received {tolerance}.")
        self.momentum = momentum
        self.tolerance = tolerance
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, frame: np.ndarray, stylized: np.ndarray) -> np.ndarray:
        """What to show.

        Args:
            frame: uint8 (height, width, 3), of the film.
            stylized: The same, as the network makes it of that frame alone.

        Returns:
            uint8 (height, width, 3).
        """
        made = shown = sharpened = stylized.astype("float32")
        if self.momentum and self._before is not None and self._before[0].shape == frame.shape:
            before, shown_before = self._before
            flow = optical_flow(frame, before)
            trust = consistency(flow, optical_flow(before, frame))
            difference = np.abs(frame - warp(before.astype("float32"), flow)).mean(-1)
            trust *= 1 / (1 + np.square(difference / self.tolerance))
            if trust.mean() < _SAME_SCENE:
                trust[:] = 0
            trust = trust[..., None]
            shown = made + self.momentum * trust * (warp_sharply(shown_before, flow) - made)
            detail = _detail(shown)
            lost = _rms(_detail(made)) / max(_rms(detail), 1e-3) - 1
            sharpened = shown + np.clip(lost, 0, _SHARPER) * trust * detail
        # Kept as it is, neither sharper nor rounded: small changes add up instead of vanishing.
        self._before = (frame, shown)
        return np.round(np.clip(sharpened, 0, 255)).astype("uint8")


def _detail(picture: np.ndarray) -> np.ndarray:
    """A picture less what a slight blur leaves of it, float32."""
    return picture - np.asarray(gaussian_blur(picture, 5, 1.0, "symmetric"))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
