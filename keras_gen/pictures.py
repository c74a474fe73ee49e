"""Pictures as people have them: of any mode, orientation and profile, read upright as bytes, and written."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from keras_gen import atomic

#: In place of a path: standard input where a picture is read, standard output where one is written.
PIPE = "-"

# Frames of other formats are pages (TIFF) or previews (MPO).
_ANIMATED = ("AVIF", "FLI", "GIF", "PNG", "WEBP")
# Formats that pictures are written in: with an alpha channel, with transparent pixels, and without either.
# Pillow names others too, which need another library or make a picture smaller (ICO).
_TRANSPARENT = ("AVIF", "DDS", "JPEG2000", "PNG", "QOI", "SGI", "TGA", "TIFF", "WEBP")
_CUT_OUT = ("GIF",)
_OPAQUE = ("BMP", "DIB", "EPS", "JPEG", "MPO", "PCX", "PDF", "PPM")
# Pixels of a side at most; of AVIF what can be read again, for more is written.
_LONGEST = {
    "AVIF": 32_768,
    "GIF": 65_535,
    "JPEG": 65_500,
    "MPO": 65_500,
    "PCX": 65_534,
    "PDF": 65_500,
    "SGI": 65_535,
    "TGA": 65_535,
    "WEBP": 16_383,
}
_MOST = 2**29  # pixels of a picture that is read: a small file may announce any number
_one_at_a_time = threading.Lock()  # for Pillow's limit is one for all threads
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "method": 4},
    # The highest level takes ten times as long for a hundredth of the size.
    "PNG": {"compress_level": 4},
}


class Picture(NamedTuple):
    """A picture, upright, in sRGB.

    Attributes:
        pixels: uint8 (height, width, 3); grey ones have three equal channels. Where `alpha` is 0, colours
            of what can be seen nearby.
        alpha: uint8 (height, width), 255 where it is opaque; None where it is opaque everywhere.
        format: Pillow's name of the file's format, such as "JPEG"; None for one that is no file yet.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    format: str | None = None

    @property
    def over_white(self) -> np.ndarray:
        """uint8 (height, width, 3): as it looks on white paper."""
        if self.alpha is None:
            return self.pixels
        share = self.alpha[..., None] / np.float32(255)
        return np.round(self.pixels * share + 255 * (1 - share)).astype("uint8")

    def resized(self, long_side: int) -> Picture:
        """The same with its longer side of that many pixels, by antialiased resampling."""
        from PIL import Image

        height, width = self.pixels.shape[:2]
        ratio = long_side / max(height, width)
        size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        if size == (width, height):
            return self

        def resample(part: np.ndarray) -> np.ndarray:
            return np.asarray(Image.fromarray(part).resize(size, Image.Resampling.LANCZOS))

        alpha = None if self.alpha is None else resample(self.alpha)
        return Picture(resample(self.pixels), alpha, self.format)


def read(source: str | os.PathLike[str] | IO[bytes]) -> Picture:
    """Reads a picture: JPEG, PNG, WebP and whatever else Pillow knows; of several frames the
    first, with a warning where they are an animation.

    EXIF orientation is applied. Sixteen bits a channel become eight by scale, not by cutting off. CMYK and
    pictures with an ICC profile are converted to sRGB by the profile where there is a valid one.

    Args:
        source: A path, "-" for standard input, or a file open for bytes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a picture, is damaged or cut short, or has more than half a billion pixels.
        OSError: The system refuses to read it.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name, file = _open(source)
    try:
        with _large_ones():
            opened = Image.open(file)
        with opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
            kind = opened.format
            frames = _frames(opened)
            pixels, alpha = _convert(upright, kind)
    except PermissionError:
        raise
    # Pillow's decoders raise nearly anything on damaged input.
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        if isinstance(error, Image.DecompressionBombError):
            raise ValueError(
                f"{name} has more than {_MOST / 1e6:,.0f} megapixels, which take gigabytes: make it smaller."
            ) from None
        if isinstance(error, UnidentifiedImageError):  # which tells of the file object at most
            raise ValueError(f"{name} is not an image that Pillow can read.") from None
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ValueError(f"{name} is not an image that Pillow can read, or is damaged: {reason}.") from error
    if frames > 1:
        warnings.warn(f"{name} is an animation of {frames} frames: the first is taken.", stacklevel=2)
    return Picture(pixels, alpha, kind)


def write(
    picture: Picture, target: str | os.PathLike[str], force: bool = False, format: str | None = None
) -> None:
    """Writes a picture, whole or not at all; missing folders are made.

    Args:
        picture: What to write. Where the format has no transparency, it is laid over white, with a warning;
            in a GIF pixels less than half opaque are cut out, and the others laid over white.
        target: A path, whose ending says the format, or "-" for standard output.
        force: Whether a file that is there already is replaced.
        format: Pillow's name of the format; None takes the ending, and PNG for standard output.

    Raises:
        FileExistsError: A file is there, and `force` is not given.
        ValueError: The ending names no format that Pillow writes, or one that is too small for the picture.
        OSError: The file cannot be written.
    """
    from PIL import Image

    kind = format or format_of(target)
    check_size(kind, picture.pixels.shape)
    pixels = picture.pixels
    if picture.alpha is not None and kind in _OPAQUE:
        warnings.warn(f"{kind} has no transparency: the picture is laid over white.", stacklevel=2)
        pixels = picture.over_white
    elif picture.alpha is not None:
        alpha = picture.alpha
        if kind in _CUT_OUT and not np.isin(alpha, (0, 255)).all():
            warnings.warn(
                f"{kind} has no partial transparency: what is less than half opaque is cut out, the "
                "rest laid over white.",
                stacklevel=2,
            )
            pixels, alpha = picture.over_white, np.where(alpha < 128, 0, 255).astype("uint8")
        pixels = np.dstack([pixels, alpha])
    image = Image.fromarray(pixels)
    options = _OPTIONS.get(kind, {})
    if str(target) == PIPE:
        # Encoded first: an encoder may need to seek, which a pipe cannot.
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        sys.stdout.buffer.write(buffer.getbuffer())
        sys.stdout.buffer.flush()
        return
    refuse_existing(target, force)
    with atomic.replacing(target) as temporary:
        image.save(temporary, kind, **options)
        refuse_existing(target, force)  # it may have come while this one was encoded


def format_of(target: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that a file's ending stands for; PNG for "-".

    Raises:
        ValueError: It stands for none that Pillow writes.
    """
    from PIL import Image

    if str(target) == PIPE:
        return "PNG"
    ending = Path(target).suffix.lower()
    kind = Image.registered_extensions().get(ending)
    if kind not in (*_TRANSPARENT, *_CUT_OUT, *_OPAQUE) or kind not in Image.SAVE:
        raise ValueError(f"{target} must end in the name of an image format, such as .png, .jpg or .webp.")
    return kind


def check_size(kind: str, size: tuple[int, ...]) -> None:
    """Raises a ValueError where a format, by Pillow's name, takes no picture of so many rows and columns."""
    height, width = size[:2]
    longest = _LONGEST.get(kind)
    if longest is not None and max(height, width) > longest:
        raise ValueError(
            f"{kind} takes at most {longest:,} pixels a side; received {width:,} by {height:,}: make it a "
            "PNG, or smaller."
        )


def same_ending(name: str | os.PathLike[str]) -> str:
    """A file's name, its ending kept where Pillow writes that format, or else .png in its place."""
    try:
        format_of(name)
    except ValueError:
        return str(Path(name).with_suffix(".png"))
    return str(name)


def is_named(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name ends as that of a picture, of a format that Pillow reads."""
    from PIL import Image

    return Image.registered_extensions().get(Path(path).suffix.lower()) in Image.OPEN


def find(path: str | os.PathLike[str]) -> list[Path]:
    """The image files in a folder and the folders in it, by name, hidden ones left out; or a file itself.

    Raises:
        FileNotFoundError: There is no such file or folder, or no image in it.
    """
    path = Path(path)
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"There is no file or folder {path}.")
        return [path]
    found = [
        file
        for file in sorted(path.rglob("*"))
        if is_named(file)
        and file.is_file()
        and not any(part.startswith((".", "__")) for part in file.relative_to(path).parts)
    ]
    if not found:
        raise FileNotFoundError(f"There are no images in {path}.")
    return found


def refuse_existing(target: str | os.PathLike[str], force: bool) -> None:
    """Raises FileExistsError where a file is there already, unless it may be replaced; never for "-".

    NotADirectoryError, where what should be a folder above it is a file.
    """
    if str(target) == PIPE:
        return
    if not force and Path(target).exists():
        raise FileExistsError(f"{target} is there already: choose another name, or replace it by force=True.")
    above = next((path for path in Path(target).absolute().parents if path.exists()), None)
    if above is not None and not above.is_dir():
        raise NotADirectoryError(f"{target} cannot be written, for {above} is no folder.")


def _open(source: Any) -> tuple[str, Any]:
    if not isinstance(source, (str, os.PathLike)):
        return str(getattr(source, "name", "The file")), source
    if str(source) == PIPE:
        data = sys.stdin.buffer.read()
        if not data:
            raise ValueError("Standard input is empty; send it an image, e.g. `< photo.jpg`.")
        return "Standard input", io.BytesIO(data)
    path = Path(source)
    if not path.exists() or path.is_dir():  # a named pipe is no file, and can be read
        raise FileNotFoundError(f"There is no image file {path}; give the path of a file such as photo.jpg.")
    return str(path), path if path.is_file() else io.BytesIO(path.read_bytes())


@contextlib.contextmanager
def _large_ones() -> Iterator[None]:
    """Has Pillow read large photographs without a warning, of phones with 200 megapixels as well."""
    from PIL import Image

    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = _MOST // 2  # it refuses twice as many
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _frames(opened: Any) -> int:
    """Frames of an animation; 1 for other pictures, and where what follows the first is damaged."""
    try:
        return opened.n_frames if opened.format in _ANIMATED else 1
    except Exception:  # Pillow raises nearly anything there
        return 1


def _convert(image: Any, kind: str | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels and alpha as bytes."""
    if image.mode.startswith(("I", "F")):
        # Of a PGM of sixteen bits Pillow makes 32.
        mode = "I;16" if kind == "PPM" and image.mode == "I" else image.mode
        values = np.asarray(image, "float32")
        pixels = np.repeat(_to_bytes(values, mode)[..., None], 3, axis=-1)
        hidden = values == image.info.get("transparency")  # of a PNG, the one grey that is not seen
        if not np.any(hidden):
            return pixels, None
        alpha = np.where(hidden, 0, 255).astype("uint8")
        return _continued(pixels, alpha), alpha
    if not image.has_transparency_data:
        return np.asarray(_to_srgb(image)), None
    image = image.convert("RGBA")
    pixels, alpha = np.asarray(_to_srgb(image)), np.asarray(image.getchannel("A"))
    if alpha.min() == 255:
        return pixels, None
    return _continued(pixels, alpha), alpha


def _continued(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Pixels, those that no one can see in the colours of visible ones around them; white if there are none.

    A network sees them, whatever they are, and a style is spread over them too: of white ones the rest would
    get a rim and another palette.
    """
    from PIL import Image

    height, width = alpha.shape
    # Premultiplied, for the mean over what is visible alone.
    seen = Image.fromarray(np.dstack([pixels, alpha])).convert("RGBa")
    mean = np.full(3, 255.0)
    if alpha.any():
        mean = np.einsum("hwc,hw->c", pixels, alpha, dtype="float64") / alpha.sum(dtype="float64")
    found = Image.new("RGB", (1, 1), tuple(round(float(value)) for value in mean))
    for level in range(max(height, width).bit_length(), 0, -1):
        size = (-(-width >> level), -(-height >> level))
        part = seen.resize(size, Image.Resampling.BOX).convert("RGBA")
        found = found.resize(size, Image.Resampling.BILINEAR)
        found.paste(part.convert("RGB"), mask=part.getchannel("A").point(lambda share: min(255, 8 * share)))
    found = found.resize((width, height), Image.Resampling.BILINEAR)
    return np.where(alpha[..., None] == 0, np.asarray(found), pixels)


def _to_srgb(image: Any) -> Any:
    """Mode RGB, by the picture's own profile where it has a valid one that fits its mode."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        colours = image.convert("RGB") if image.mode == "RGBA" else image
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}[colours.mode]
            if own.profile.xcolor_space.strip() == space:
                made = ImageCms.profileToProfile(
                    colours, own, ImageCms.createProfile("sRGB"), outputMode="RGB"
                )
                return made if made is not None else colours.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a profile that makes no sense is as good as none
    return image.convert("RGB")


def _to_bytes(grey: np.ndarray, mode: str) -> np.ndarray:
    """Grey values of more than eight bits as bytes; Pillow itself would cut them off at 255."""
    highest = float(grey.max())
    if not np.isfinite(grey).all():
        raise ValueError(f"its values are from {grey.min():g} to {highest:g}")
    # Numbers of 32 bits and floating point have no fixed range: the smallest usual one that holds the values.
    usual = {"F": (1.0, 255.0, 65535.0), "I": (255.0, 65535.0)}.get(mode, (65535.0,))
    white = next((white for white in usual if highest <= white), highest)
    return np.round(np.clip(grey / white, 0.0, 1.0) * 255.0).astype("uint8")
