"""Painters: one way to paint pictures of any size, whatever the method behind it, from names and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gen.models.registry import look_up

#: Reports how much is done and how much there is.
Progress = Callable[[int, int], None]

METHODS = ("fast", "adain", "gatys")
#: The longer side that optimizing a picture takes by default: minutes, not hours.
GATYS_SIZE = 512
_ORIGINAL = "original"  # a photograph's name on a sheet
_MODELS = "give a run of train-style, a .keras file or a packed .npz file."


class Painter:
    """Paints pictures in chosen styles.

    Args:
        paint: The method alone: uint8 (height, width, 3) and a progress report to the same in its style.
        size: The longer side that pictures should have; None leaves them at their own.
        strength: From 0, the picture as it is, to 1.
        preserve_color: Takes only brightness from the style; the colours stay the picture's.

    Raises:
        ValueError: `strength` is out of range.
    """

    def __init__(
        self,
        paint: Callable[[np.ndarray, Progress | None], np.ndarray],
        size: int | None = None,
        strength: float = 1.0,
        preserve_color: bool = False,
    ) -> None:
        from keras_gen.style.pictures import check_shares

        check_shares(strength=strength)
        self.paint, self.size = paint, size
        self.strength, self.preserve_color = strength, preserve_color

    def __call__(self, pixels: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """The picture painted: uint8 (height, width, 3) in and out."""
        made = self.paint(pixels, progress)
        if self.strength == 1 and not self.preserve_color:
            return made
        result = np.empty_like(made)
        for top in range(0, len(made), 256):  # in strips, for floats take four times the memory
            rows = slice(top, top + 256)
            result[rows] = self._mixed(pixels[rows].astype("float32"), made[rows].astype("float32"))
        return result

    def _mixed(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        from keras_gen.style.color import luminance, with_luminance

        if self.preserve_color:
            before_, after_ = before / 127.5 - 1, after / 127.5 - 1
            after = (with_luminance(before_, luminance(after_)) + 1) * 127.5
        return np.round(before + self.strength * (after - before))


def parse_styles(given: Sequence[str]) -> dict[str, float]:
    """`["a=0.25", "b=0.75"]` or `["a", "b"]` as weights by name.

    Raises:
        ValueError: A weight that is not a number above zero, or a name that comes twice.
    """
    styles: dict[str, float] = {}
    for entry in given:
        name, equals, weight = entry.rpartition("=")
        if not equals or Path(entry).is_file():  # a file's name may hold a "="
            name, weight = entry, "1"
        try:
            value = float(weight)
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf") or not name:
            raise ValueError(f"A style is NAME or NAME=WEIGHT with a weight above 0; received {entry!r}.")
        if name in styles:
            raise ValueError(f"The style {name} is named twice: give it one weight.")
        styles[name] = value
    return styles


def find_style(name: str, names: Sequence[str]) -> str:
    """The style of that name, of which a beginning or any part that no other shares is enough.

    Raises:
        ValueError: There is none, or more than one.
    """
    if name in names:
        return name
    for fits in (str.__eq__, str.startswith, str.__contains__):
        found = [one for one in names if fits(_plain(one), _plain(name))]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{name!r} could be any of {', '.join(found)}: give more of its name.")
    if Path(name).is_dir():
        raise ValueError(
            f"{name} is a folder: --style takes a style's name, or one painting's file. `keras-gen "
            "train-style` learns the styles of all the paintings in a folder."
        )
    look_up("style", name, dict.fromkeys(names))
    raise AssertionError("unreachable")


def _plain(name: str) -> str:
    """A name however it is spelled: starry-night of Starry_Night and of "starry night"."""
    return "-".join(name.lower().replace("_", " ").replace("-", " ").split())


def load(path: Path) -> Any:
    """A style model that `train-style` has made: a run folder, one of its .keras files, or a packed .npz.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, another kind of model, or one of an earlier version.
    """
    from keras_gen.saved import load_model
    from keras_gen.style import pretrained  # the package, whose classes the file names
    from keras_gen.style.borders import check_mirrored

    path = Path(path)
    file = path / "checkpoints" / "last.keras" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"There is no model {file}; `keras-gen train-style` makes one.")
    if file.suffix == ".npz":
        return pretrained(file)
    if file.suffix == ".tflite":  # with metadata a zip file, as models of Keras are
        raise ValueError(f"{file} is not a model of Keras: {_MODELS}")
    try:
        model = load_model(file)
    except ValueError as error:
        raise ValueError(f"{error} {_MODELS.capitalize()}") from error
    if not hasattr(model, "stylize"):
        raise ValueError(f"{file} holds a {type(model).__name__}, which does not stylize.")
    check_mirrored(model.network, file)
    return model


def fast(model: Any, styles: Mapping[str, float], texture: float | None = None, **options: Any) -> Painter:
    """Paints in one style of a `FastStyleTransfer`, or in a blend of several, at any size.

    Args:
        model: The model.
        styles: Weights by name; a beginning of a name is enough.
        texture: Strokes and grain where a picture is plain: from 0, calm skies, to 1; None is the model's
            `default_texture`.
        **options: Of `Painter`.

    Raises:
        ValueError: `texture` is out of range, or a style is none of the model's.
    """
    texture = model.texture_of(texture)
    blend: dict[str, float] = {}
    for name, weight in styles.items():
        full = find_style(name, model.styles)
        blend[full] = blend.get(full, 0.0) + weight
    network = model.painting(model.style_weights(blend), texture)
    return Painter(_Network(network, texture), **options)


class _Network:
    """Pictures of any size by a style network, for `Painter`, as `faint.evened` leaves them."""

    def __init__(self, network: Callable, texture: float) -> None:
        from keras_gen.networks.style_blocks import MULTIPLE
        from keras_gen.style.tiles import Tiled

        self.tiled, self.texture = Tiled(network, multiple=MULTIPLE, plain=not texture), texture

    def __call__(self, pixels: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        from keras_gen.style.faint import evened

        return evened(self.tiled(pixels, progress), pixels, self.texture)


def adain(
    model: Any,
    paintings: Mapping[str, np.ndarray],
    weights: Sequence[float],
    texture: float | None = None,
    **options: Any,
) -> Painter:
    """Paints in the style of any paintings by one pass of an `AdaINStyleTransfer`, at any size.

    Args:
        model: The model.
        paintings: float32 (height, width, 3) in [-1, 1], by file; their strokes come out at their size.
        weights: Of the paintings.
        texture: Grain where a picture is plain: from 0, calm skies, to 1; None is the model's
            `default_texture`.
        **options: Of `Painter`.

    Raises:
        ValueError: `texture` is out of range.
    """
    texture = model.texture_of(texture)
    shares = np.asarray(weights, "float32") / np.sum(weights)
    codes = [model.code_of(painting[None]) for painting in paintings.values()]
    return Painter(_Network(model.painting(codes, list(shares), texture), texture), **options)


def gatys(
    paintings: Mapping[str, np.ndarray],
    weights: Sequence[float],
    steps: int = 150,
    backbone: str = "auto",
    **options: Any,
) -> Painter:
    """Optimizes each picture until its features are those of the paintings: minutes, of any style.

    Args:
        paintings: float32 (height, width, 3) in [-1, 1], by file.
        weights: Of the paintings.
        steps: Of L-BFGS, half of them at half the size.
        backbone: Where VGG's weights come from; see `networks.vgg`.
        **options: Of `Painter`.
    """
    options.setdefault("size", GATYS_SIZE)

    def paint(pixels: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        import keras

        from keras_gen.style import gatys_stylize

        count = iter(range(1, steps + 1))
        report = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: progress and progress(next(count, steps), steps)
        )
        made = gatys_stylize(
            pixels.astype("float32") / 127.5 - 1,
            list(paintings.values()),
            style_weights=list(weights),
            steps=steps,
            backbone=backbone,
            callbacks=[report],
        )
        return np.round(np.clip(made, -1, 1) * 127.5 + 127.5).astype("uint8")

    return Painter(paint, **options)


def choose(
    styles: Sequence[str],
    method: str | None = None,
    model: Path | None = None,
    optimization: Mapping[str, Any] | None = None,
    texture: float | None = None,
    **options: Any,
) -> Painter:
    """The painter that the words of a command ask for.

    Args:
        styles: Names, or files of paintings, each with "=WEIGHT" where they are to be blended.
        method: One of `METHODS`; None takes "fast" for names and "adain" for paintings.
        model: A run or file, as `load` reads, in place of the package's weights.
        optimization: Options of "gatys", "steps" and "backbone", which no other method takes.
        texture: Of "fast" and "adain", the model's `default_texture` where None; "gatys" takes none.
        **options: Of `Painter`.

    Raises:
        ValueError: An unknown style or method, or a method that does not take such styles, model or options.
        FileNotFoundError: No such painting or model.
    """
    from keras_gen import pictures
    from keras_gen.style import pretrained

    weights = parse_styles(styles)
    if method is not None:
        look_up("method", method, dict.fromkeys(METHODS))
    files = [name for name in weights if Path(name).is_file()]
    if method in (None, "fast") and not all(pictures.is_named(name) for name in files):
        # A file without an ending in the working folder does not take the place of a style of its name.
        named = getattr(pretrained() if model is None else load(model), "styles", ())
        files = [name for name in files if name not in named]
    for name in weights:
        if name not in files and pictures.is_named(name):
            raise FileNotFoundError(f"There is no painting {name}: give the path of a file that is there.")
    if files and len(files) < len(weights):
        raise ValueError("Paintings and styles by name do not blend with each other: give one kind.")
    method = method or ("adain" if files else "fast")
    if method != "fast" and not files:
        raise ValueError(f"The method {method} takes its style from a painting: give its file by --style.")
    if method == "gatys":
        if texture is not None:
            raise ValueError("The method gatys optimizes the picture itself: leave out --texture.")
        if model is not None:
            raise ValueError("The method gatys optimizes the picture itself: leave out --model, or --method.")
        paintings, shares = _paintings(weights, None)
        return gatys(paintings, shares, **(optimization or {}), **options)
    if optimization:
        given = " and ".join(f"--{name}" for name in optimization)
        raise ValueError(f"Only optimizing the picture takes {given}: add --method gatys.")
    if method == "adain":
        from keras_gen.style.adain import LONGEST

        known = pretrained("adain") if model is None else load(model)
        if hasattr(known, "styles"):
            raise ValueError(
                f"The model {model} paints only in its own styles: leave out --model, or the painting."
            )
        return adain(known, *_paintings(weights, LONGEST), texture, **options)
    if files:
        raise ValueError(
            "The fast method paints only in the styles that it was trained for: leave out --method, or train "
            "it by `keras-gen train-style`."
        )
    known = pretrained() if model is None else load(model)
    if not hasattr(known, "styles"):
        raise ValueError(f"The model {model} takes its style from a painting: give its file by --style.")
    if not weights:
        raise ValueError(f"Name a --style, or see all by --sheet. There are: {', '.join(known.styles)}.")
    return fast(known, weights, texture, **options)


def _paintings(
    weights: Mapping[str, float], longest: int | None
) -> tuple[dict[str, np.ndarray], list[float]]:
    from keras_gen.image import load_image

    return {file: load_image(file, max_size=longest) for file in weights}, list(weights.values())


def every(model: Path | None = None, texture: float | None = None, **options: Any) -> dict[str, Painter]:
    """A painter for each style of the package, or of a model of one's own, by name; see `fast`."""
    from keras_gen.style import pretrained

    known = pretrained() if model is None else load(model)
    if not hasattr(known, "styles"):
        raise ValueError(f"The model {model} has no styles of its own: give a painting by --style.")
    return {name: fast(known, {name: 1.0}, texture, **options) for name in known.styles}


def sheet_size(painters: Mapping[str, Painter], size: Sequence[int]) -> tuple[int, int]:
    """Height and width of the `sheet` of a picture of that height and width."""
    from keras_gen.style.sheet import sheet_size

    return sheet_size((_ORIGINAL, *painters), size)


def sheet(
    painters: Mapping[str, Painter], pixels: np.ndarray, progress: Progress | None = None
) -> np.ndarray:
    """A picture and what every painter makes of it, on one sheet with their names."""
    from keras_gen.style.sheet import labelled_sheet

    made = {_ORIGINAL: pixels}
    for index, (name, painter) in enumerate(painters.items()):
        made[name] = painter(pixels)
        if progress is not None:
            progress(index + 1, len(painters))
    return labelled_sheet(made)
