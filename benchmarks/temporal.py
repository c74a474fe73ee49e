"""Flicker of stylized video where the true flow is known: pans and zooms over photographs.

    python benchmarks/temporal.py PHOTOS [--size 384] [--style NAME …]

prints one JSON line a film and style, then a summary. The temporal error is the root mean square of what a
frame differs from the frame before, moved along the true flow, over the pixels that both show, in [0, 1];
`ratio` is that of `RecurrentBlend` by that of stylization frame by frame. `sharpness` is the mean gradient of
the last frame, blended by frame by frame: 1 is no blur at all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

Stylize = Callable[[np.ndarray], np.ndarray]


def camera(kind: str, frames: int, size: tuple[int, int], photo: tuple[int, int]) -> Iterator[tuple]:
    """For each frame its top left corner in the photograph, and how many of its pixels make one."""
    height, width = size
    for t in np.arange(frames):
        middle = np.array(photo) / 2
        scale = 1.0
        if kind == "pan":  # 1.7 pixels a frame to the right, 0.6 downwards
            middle = middle + (t - frames / 2) * np.array([0.6, 1.7])
        elif kind == "fast pan":
            middle = middle + (t - frames / 2) * np.array([0.4, 6.3])
        elif kind == "zoom":
            scale = 0.75 * 1.008**t
        yield middle - scale * (np.array([height, width]) - 1) / 2, scale


def film(photo: np.ndarray, kind: str, frames: int, size: tuple[int, int]) -> tuple[list, list]:
    """Frames of a camera's way over a photograph, and the true flow from each to the one before."""
    from keras_gen.optical_flow import warp

    grid = np.stack(np.mgrid[: size[0], : size[1]], axis=-1).astype("float32")
    shots, flows, before = [], [], None
    padded = photo.astype("float32")
    for corner, scale in camera(kind, frames, size, photo.shape[:2]):
        where = corner + scale * grid
        # The warp samples an image of the frame's size: cut one out that holds all of it.
        low = np.clip(np.floor(where[0, 0]).astype(int), 0, None)
        cut = padded[low[0] : low[0] + 2 * size[0], low[1] : low[1] + 2 * size[1]]
        canvas = np.zeros((max(size[0], cut.shape[0]), max(size[1], cut.shape[1]), 3), "float32")
        canvas[: cut.shape[0], : cut.shape[1]] = cut
        flow = np.zeros((*canvas.shape[:2], 2), "float32")
        flow[: size[0], : size[1]] = where - low - grid
        shots.append(np.round(warp(canvas, flow)[: size[0], : size[1]]).clip(0, 255).astype("uint8"))
        if before is not None:
            old_corner, old_scale = before
            flows.append(((where - old_corner) / old_scale - grid).astype("float32"))
        before = corner, scale
    return shots, flows


def temporal_error(shown: list[np.ndarray], flows: list[np.ndarray]) -> float:
    """Root mean square difference of frames from the ones before, moved along the true flow, in [0, 1]."""
    from keras_gen.optical_flow import warp

    squares = []
    for now, before, flow in zip(shown[1:], shown, flows, strict=False):
        height, width = now.shape[:2]
        grid = np.stack(np.mgrid[:height, :width], axis=-1) + flow
        inside = ((grid >= 0) & (grid <= np.array([height - 1, width - 1]))).all(-1)
        moved = warp(before.astype("float32"), flow)
        squares.append(np.square((now - moved) / 255)[inside].mean())
    return float(np.sqrt(np.mean(squares)))


def measure(
    stylize: Stylize, photo: np.ndarray, kind: str, frames: int, size: tuple[int, int], momentum: float | None
):
    """Temporal errors of frame by frame and of the blend, on one film."""
    from keras_gen.style.video import RecurrentBlend

    shots, flows = film(photo, kind, frames, size)
    alone = [stylize(shot) for shot in shots]
    blend = RecurrentBlend() if momentum is None else RecurrentBlend(momentum)
    began = time.perf_counter()
    blended = [blend(shot, made) for shot, made in zip(shots, alone, strict=True)]
    seconds = (time.perf_counter() - began) / frames
    errors = [temporal_error(x, flows) for x in (shots, alone, blended)]
    slopes = [np.abs(np.diff(x[-1].astype("float32"), axis=1)).mean() for x in (alone, blended)]
    return {
        "film": kind,
        "film_error": round(errors[0], 5),
        "frame_by_frame": round(errors[1], 5),
        "blended": round(errors[2], 5),
        "ratio": round(errors[2] / errors[1], 4),
        "sharpness": round(float(slopes[1] / slopes[0]), 4),
        "blend_ms": round(1000 * seconds, 1),
    }


def main() -> None:
    """Prints the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", type=Path, help="a photograph, or a folder of them")
    parser.add_argument(
        "--style", action="append", default=[], help="repeatable; all of the model by default"
    )
    parser.add_argument("--model", type=Path, help="a run or file of train-style; the package's by default")
    parser.add_argument("--size", type=int, default=384, help="width of the films, three quarters of it high")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--texture", type=float, default=0.0, help="of the styles, from 0, the default, to 1")
    parser.add_argument("--momentum", type=float, help="of the blend; its own by default")
    parser.add_argument("--count", type=int, default=4, help="photographs to take, evenly from the folder")
    arguments = parser.parse_args()

    from keras_gen import pictures
    from keras_gen.style import painter

    painters = painter.every(arguments.model, arguments.texture)
    names = [painter.find_style(name, list(painters)) for name in arguments.style] or list(painters)
    found = pictures.find(arguments.photos)
    found = found[:: max(1, len(found) // arguments.count)][: arguments.count]
    size = (arguments.size * 3 // 4, arguments.size)
    ratios = []
    for path in found:
        photo = pictures.read(path).resized(2 * arguments.size).over_white
        for name in names:
            for kind in ("pan", "fast pan", "zoom"):
                measured = measure(painters[name], photo, kind, arguments.frames, size, arguments.momentum)
                ratios.append(measured["ratio"])
                print(json.dumps({"photo": path.stem, "style": name, **measured}), flush=True)
    summary = {"films": len(ratios), "mean_ratio": round(statistics.mean(ratios), 4), "worst": max(ratios)}
    print(json.dumps({"summary": summary}))


if __name__ == "__main__":
    main()
