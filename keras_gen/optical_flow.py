"""Optical flow: where each pixel of an image is in another one of the same scene."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from keras_gen.image import dense_image_warp


def optical_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The flow from one image to another, by dense inverse search.

    `first[y, x]` is found at `second[y + flow[y, x, 0], x + flow[y, x, 1]]`, so that
    `dense_image_warp(second, -flow)`, or `warp(second, flow)` here, reconstructs `first`.

    Args:
        first, second: uint8 (height, width, 3).

    Returns:
        float32 (height, width, 2) in pixels: rows, then columns.

    Raises:
        ImportError: OpenCV is not installed.
        ValueError: The shapes or types are wrong.

    Reference: Fast Optical Flow using Dense Inverse Search, 2016, arXiv:1603.03590.
    """
    for image in (first, second):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape != first.shape or image.shape[2] != 3:
            raise ValueError(
                "Optical flow is between two uint8 images (height, width, 3) of one size, received "
                f"{first.dtype} {first.shape} and {second.dtype} {second.shape}."
            )
    cv2 = _opencv()
    height, width = first.shape[:2]
    grey = [cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY) for image in (first, second)]
    # Its patches do not fit into less; what is that small is enlarged by its border.
    missing = [(0, max(0, 32 - side)) for side in (height, width)]
    grey = [np.pad(image, missing, "edge") for image in grey]
    return _inverse_search().calc(*grey, None)[:height, :width, ::-1].copy()


def warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """`image[y + flow[y, x, 0], x + flow[y, x, 1]]`, bilinear; the border continues outside.

    Args:
        image: float32 (height, width, channels).
        flow: float32 (height, width, 2), rows, then columns.

    Returns:
        float32 of the shape of `image`.
    """
    return np.asarray(dense_image_warp(image[None], -flow[None]))[0]


def warp_sharply(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """The same as `warp`, bicubic: for what is moved again and again, which bilinear sampling would blur.

    Args:
        image: float32 (height, width, 3), which may be overshot at edges.
        flow: As in `warp`.
    """
    cv2 = _opencv()
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]].astype("float32")
    places = columns + flow[..., 1], rows + flow[..., 0]
    return cv2.remap(image, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def consistency(flow: np.ndarray, back: np.ndarray) -> np.ndarray:
    """How far the flow there and the flow back undo each other: 1 where they do, 0 where they do not.

    Where something is hidden in one of two images its flow points anywhere; there is no way back then. Pixels
    whose flow leaves the image are of that kind.

    Args:
        flow: float32 (height, width, 2), from the first image to the second.
        back: The same from the second to the first.

    Returns:
        float32 (height, width) from 0 to 1, one half where the squared distance is
        0.01 (|flow|² + |back|²) + 0.5 pixels², the limit of the paper.

    Reference: Artistic Style Transfer for Videos, 2016, arXiv:1604.08610, section 4.1.
    """
    height, width = flow.shape[:2]
    returned = warp(back, flow)
    distance = np.square(flow + returned).sum(-1)
    limit = 0.01 * (np.square(flow).sum(-1) + np.square(returned).sum(-1)) + 0.5
    rows, columns = np.mgrid[:height, :width].astype("float32")
    rows, columns = rows + flow[..., 0], columns + flow[..., 1]
    inside = (rows >= -0.5) & (rows <= height - 0.5) & (columns >= -0.5) & (columns <= width - 0.5)
    return (inside / (1 + np.square(distance / limit))).astype("float32")


@functools.cache
def _inverse_search() -> Any:
    cv2 = _opencv()
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            'Optical flow needs OpenCV, which is not installed: pip install "keras-gen[video]".'
        ) from error
    return cv2
