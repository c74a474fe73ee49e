"""To how many iterations of Gatys's optimization does one pass of a feed-forward network correspond?

Over pairs of photographs and paintings, the sum of content and style loss in VGG-16's features (Johnson et
al.'s: content relu3_3; style relu1_2, relu2_2, relu3_3 and relu4_3; each relative to the picture's own, and
style `--style-weight` times as heavy) of

* the photograph itself,
* L-BFGS from noise, as in Johnson et al. (or, `--init content`, from the photograph), after `--iterations`;
  of their objective total variation is a part, here `--variation-weight` times the mean absolute difference
  of neighbouring pixels (GatysStyleTransfer's own weight is 1): without it pictures of few iterations are
  noise to the eye, which VGG hardly sees,
* `stylize` of a FastStyleTransfer, for paintings whose file names hold the name of one of its styles, and of
  an AdaINStyleTransfer, for all.

    pip install -e ".[offline]"
    python benchmarks/style_quality.py PHOTOS PAINTINGS --fast eight-styles --adain adain

prints one JSON line a pair and method, and in the end the means, and for each network the number of
iterations after which L-BFGS is as low, pair by pair.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from keras_gen.image import load_image, save_grid
from keras_gen.networks.vgg import vgg
from keras_gen.pictures import find
from keras_gen.style import GatysStyleTransfer, pretrained
from keras_gen.style.pictures import fitted, resized

import keras
import numpy as np

CONTENT, STYLE = ("relu3_3",), ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
PAINTING = 512  # longer side in pixels, whatever the photograph's: networks learn strokes at this scale


def paired(photos: list[Path], paintings: list[Path], count: int | None) -> list[tuple[Path, Path]]:
    """All pairs, or so many, of which no photograph and no painting is in more than need be."""
    if count is None:
        return list(itertools.product(photos, paintings))
    both = (itertools.cycle(_spread(paths, count)) for paths in (photos, paintings))
    return list(itertools.islice(zip(*both, strict=True), count))


def _spread(paths: list[Path], count: int) -> list[Path]:
    return [paths[i] for i in np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)]


def squared(image: np.ndarray, size: int) -> np.ndarray:
    """The middle square at so many pixels."""
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return np.clip(resized(image[top : top + side, left : left + side], (size, size)), -1, 1)


def measured(model: GatysStyleTransfer, image: np.ndarray) -> dict[str, float]:
    """Content and style loss, their sum by the model's weights, and how much neighbouring pixels differ."""
    found, (content_weight, style_weight, _) = model.measure(image), model.loss_weights
    content, style = found["content_loss"], found["style_loss"]
    return {
        "loss": content_weight * content + style_weight * style,
        "content": content,
        "style": style,
        "variation": found["variation"],
    }


def lookup(names: list[str], painting: str) -> str | None:
    """The one of a network's styles that a painting's file name holds, all words in any order."""
    return next((name for name in names if set(name.split("-")) <= set(painting.split("-"))), None)


def equivalent(curve: dict[int, float], loss: float) -> float:
    """Iterations after which the optimization is as low, interpolated; the last where it never is."""
    steps = sorted(curve)
    for before, after in itertools.pairwise(steps):
        if curve[after] <= loss <= curve[before]:
            return before + (after - before) * (curve[before] - loss) / (curve[before] - curve[after])
    return 0.0 if loss >= curve[0] else float(steps[-1])


def _loaded(name: str) -> keras.Model:
    return keras.saving.load_model(name) if name.endswith(".keras") else pretrained(name)


def main() -> None:
    """Runs all pairs; see the module's text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument("paintings", type=Path, help="folder of paintings")
    parser.add_argument("--fast", help="a FastStyleTransfer: packed styles or a .keras file")
    parser.add_argument("--adain", help="an AdaINStyleTransfer: packed, or a .keras file")
    parser.add_argument("--texture", type=float, help="of both networks, from 0 to 1 (default their own)")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side (default 512)")
    parser.add_argument(
        "--pairs", type=int, help="how many, of pictures evenly chosen (default all there are)"
    )
    parser.add_argument("--backbone", default="auto", help="weights of VGG-16 (default auto)")
    precisions = ("float32", "bfloat16")
    parser.add_argument("--precision", default="float32", choices=precisions, help="of the optimization")
    parser.add_argument("--style-weight", type=float, default=15.0, help="of the style loss (default 15)")
    parser.add_argument(
        "--variation-weight",
        type=float,
        default=0.0,
        help="of total variation in the optimization (default 0)",
    )
    parser.add_argument("--init", default="noise", choices=("noise", "content"), help="where it starts")
    counts = (10, 20, 30, 50, 80)
    parser.add_argument(
        "--iterations",
        type=int,
        nargs="+",
        default=counts,
        help=f"of L-BFGS to be told (default {' '.join(map(str, counts))})",
    )
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    options.iterations = sorted(set(options.iterations))

    stylizers: dict[str, Callable[[np.ndarray, str, np.ndarray], np.ndarray | None]] = {}
    if options.fast:
        fast = _loaded(options.fast)

        def by_name(photo, name, painting):
            style = lookup(list(fast.styles), name)
            return None if style is None else fast.stylize(photo, style=style, texture=options.texture)

        stylizers["fast"] = by_name
    if options.adain:
        adain = _loaded(options.adain)
        stylizers["adain"] = lambda photo, name, painting: adain.stylize(
            photo, style=painting, texture=options.texture
        )

    taps = tuple(dict.fromkeys((*CONTENT, *STYLE)))
    exact = vgg("vgg16", taps, backbone=options.backbone, dtype="float32")
    optimized = exact
    if options.precision == "bfloat16":
        optimized = vgg("vgg16", taps, backbone=options.backbone, dtype="mixed_bfloat16")
    lines: list[dict] = []

    def report(**line):
        lines.append(line)
        print(json.dumps(line), flush=True)

    for photo_path, painting_path in paired(find(options.photos), find(options.paintings), options.pairs):
        (style,) = fitted(load_image(painting_path, PAINTING), PAINTING)
        content = squared(load_image(photo_path, 1024), options.size)
        photo_name, painting_name = photo_path.stem, painting_path.stem
        settings = {
            "content_layers": CONTENT,
            "style_layers": STYLE,
            "style_weight": options.style_weight,
            "total_variation_weight": options.variation_weight,
            "style_scale": PAINTING / options.size,
        }
        judge = GatysStyleTransfer(content, style, backbone=exact, **settings)
        model = GatysStyleTransfer(content, style, backbone=optimized, init=options.init, seed=0, **settings)
        model.compile("lbfgs")
        pair = {"photo": photo_name, "painting": painting_name, "size": options.size}
        curve = {0: measured(judge, model.image)["loss"]}
        report(**pair, method="photograph", **measured(judge, content))
        seconds = 0.0
        for before, after in itertools.pairwise((0, *options.iterations)):
            begun = time.perf_counter()
            model.fit(after - before, verbose=0)
            seconds += time.perf_counter() - begun
            found = measured(judge, model.image)
            curve[after] = found["loss"]
            report(**pair, method="gatys", iterations=after, seconds=round(seconds, 2), **found)
        images = [content, model.image]
        for name, stylize in stylizers.items():
            stylize(content, painting_name, style)  # traced, which is no part of the time
            begun = time.perf_counter()
            image = stylize(content, painting_name, style)
            if image is None:
                print(f"No style of {name} is called as {painting_path}: left out.", file=sys.stderr)
                continue
            seconds = round(time.perf_counter() - begun, 3)
            found = measured(judge, np.clip(image, -1, 1))
            iterations = round(equivalent(curve, found["loss"]), 1)
            report(**pair, method=name, seconds=seconds, equivalent_iterations=iterations, **found)
            images.append(image)
        if options.out is not None:
            save_grid(np.stack(images), options.out / f"{photo_name}--{painting_name}.png", columns=4)
        keras.backend.clear_session()

    # Networks are compared with the optimization of those pairs that they have painted.
    for name in stylizers:
        mine = [line for line in lines if line["method"] == name]
        pairs = {(line["photo"], line["painting"]) for line in mine}
        summary = {"network": name, "pairs": len(mine)}
        if mine:
            summary["loss"] = float(np.mean([line["loss"] for line in mine]))
            summary["median_equivalent_iterations"] = float(
                np.median([line["equivalent_iterations"] for line in mine])
            )
        for steps in options.iterations:
            theirs = [
                line["loss"]
                for line in lines
                if line.get("iterations") == steps and (line["photo"], line["painting"]) in pairs
            ]
            if theirs:
                summary[f"gatys_{steps}"] = float(np.mean(theirs))
        print(json.dumps(summary), flush=True)
    for steps in options.iterations:
        losses = [line["loss"] for line in lines if line.get("iterations") == steps]
        print(json.dumps({"method": "gatys", "iterations": steps, "mean_loss": float(np.mean(losses))}))


if __name__ == "__main__":
    main()
