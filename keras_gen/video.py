"""Video files as streams: frame by frame through a function, in constant memory, the sound kept."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_gen import atomic
from keras_gen.pictures import refuse_existing
from keras_gen.sound import Sound

Progress = Callable[[int, "int | None"], None]

_ENCODERS = {
    ".mp4": ("libx264", {"crf": "18", "preset": "medium"}),
    ".m4v": ("libx264", {"crf": "18", "preset": "medium"}),
    ".mov": ("libx264", {"crf": "18", "preset": "medium"}),
    ".mkv": ("libx264", {"crf": "18", "preset": "medium"}),
    ".webm": ("libvpx-vp9", {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"}),
    ".gif": ("gif", {}),
}
_STILL = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")  # which FFmpeg takes for films of one frame
_BT601, _BT709 = 5, 1  # FFmpeg's numbers of colour spaces
_REORDERED = 16  # frames that are shown before one that was decoded before them, at most, in H.264 and HEVC
_GIF_RATE = 25  # frames a second at most; viewers slow down what is faster than 50


@dataclass
class Report:
    """What became of a film.

    Attributes:
        frames: How many were written.
        broken: How many of them stand for one that could not be read, as repetitions of the one before, or
            where the film begins with such, of the first that could be read.
        sound: How many sound tracks were kept as they are.
        converted: How many were encoded anew, since the new file's format does not take them as they are.
        lost: How many are not in it, since it takes them in no way.
        gaps: How many packets of sound, of a fraction of a second each, were damaged or did not fit the new
            file, and are silent.
        cut: Whether the film ended, damaged, before the end that it announces.
    """

    frames: int = 0
    broken: int = 0
    sound: int = 0
    converted: int = 0
    lost: int = 0
    gaps: int = 0
    cut: bool = False


def transform(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    change: Callable[[np.ndarray], np.ndarray],
    force: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Writes a film whose frames are those of another, changed one after the other; its sound is kept.

    Times of frames and the shape of pixels stay as they are, and frames of a phone on its side are turned
    upright. Where one cannot be decoded, the changed one before it is shown again, or the first one earlier.
    Sound that the new file does not take is encoded anew; if that fails too, it is left out, and counted.

    Args:
        source: Any video file that FFmpeg reads.
        target: A path ending in .mp4, .m4v, .mov, .mkv, .webm or .gif, which has no sound and at most 25
            frames a second: those between are left out.
        change: Maps a frame, uint8 (height, width, 3), to what to show; all of one size. A last odd row or
            column is cut off, but in a .gif, since video has none.
        force: Whether a file that is there is replaced.
        progress: Called after each frame with how many are done and, where the file tells, of how many.

    Raises:
        ImportError: PyAV is not installed.
        FileNotFoundError, FileExistsError: `source` is not there, or `target` is.
        ValueError: No video, no frame that can be read or has two pixels each way, or an ending that is not
            known.
        OSError: The file cannot be written.
    """
    av = _av()
    source, target = Path(source), Path(target)
    check(target, force, source)
    report, done = Report(), 0
    with _opened(source) as reading, atomic.replacing(target) as temporary:
        film = reading.streams.video[0]
        if 1 in (film.width, film.height):
            raise ValueError(f"{source} is {film.width} by {film.height} pixels; a film needs two each way.")
        sounds = [] if target.suffix.lower() == ".gif" else list(reading.streams.audio)
        rate = film.guessed_rate or film.average_rate or Fraction(25)
        total = film.frames or None
        if total is None and reading.duration:
            total = max(1, round(reading.duration / av.time_base * rate))
        with _Writer(temporary, rate, film.sample_aspect_ratio) as writer:
            for sound in sounds:
                writer.sound.add(sound)
            waiting: list[Any] = []  # sound that comes before the first frame
            leading: list[Fraction] = []  # times of what could not be read before it
            for item in _events(reading, film, sounds, report):
                if isinstance(item, _Shot):
                    if item.pixels is not None:
                        if item.turned and not writer.begun:
                            writer.turn()
                        pixels = change(item.pixels)
                    elif not writer.begun:
                        leading.append(item.time)
                        continue
                    for time in (*leading, item.time):
                        shown = writer.show(pixels, time)
                        report.frames += shown
                        report.broken += shown and (item.pixels is None or time in leading)
                        done += 1
                        if progress is not None:
                            progress(done, total)
                    leading.clear()
                    for packet in waiting:
                        writer.sound.write(packet)
                    waiting.clear()
                elif writer.begun:
                    writer.sound.write(item)
                else:
                    waiting.append(item)
        heard = writer.sound
        report.sound, report.converted, report.lost = heard.kept, heard.converted, heard.lost
        report.gaps = heard.gaps
        if not report.frames:
            raise ValueError(f"{source} has no frame that can be read: it is damaged, or no film.")
        check(target, force)
    return report


def write(
    frames: Iterable[np.ndarray], target: str | os.PathLike[str], rate: float = 25, force: bool = False
) -> int:
    """Writes a silent film.

    Args:
        frames: uint8 (height, width, 3), all of one size; they are taken one at a time.
        target: As in `transform`.
        rate: Frames a second.
        force: Whether a file that is there is replaced.

    Returns:
        How many frames were written.

    Raises:
        ImportError, FileExistsError, ValueError, OSError: As in `transform`.
    """
    target = Path(target)
    check(target, force)
    count, exact = 0, Fraction(rate).limit_denominator(1001)
    if exact <= 0:
        raise ValueError(f"A film needs more than 0 frames a second; received {rate}.")
    with atomic.replacing(target) as temporary:
        with _Writer(temporary, exact) as writer:
            for index, frame in enumerate(frames):
                count += writer.show(frame, index / exact)
        if not count:
            raise ValueError("There are no frames to write.")
        check(target, force)
    return count


def check(target: Path, force: bool, source: Path | None = None) -> None:
    """Raises what `transform` raises of a target, and of a source, before anything is done."""
    _av()
    if target.suffix.lower() not in _ENCODERS:
        raise ValueError(f"{target} must end in {', '.join(_ENCODERS)}: the ending says the format.")
    refuse_existing(target, force)
    if source is None:
        return
    if not source.is_file():
        raise FileNotFoundError(f"There is no video file {source}; give the path of a file such as film.mp4.")
    if source.suffix.lower() in _STILL:
        raise ValueError(f"{source} is a single picture: paint it by `keras-gen stylize {source}`.")
    if target.exists() and source.samefile(target):
        raise ValueError(f"{source} cannot be read and written at once: choose another name.")


@dataclass
class _Shot:
    """A frame and its time in seconds; None in place of one that cannot be decoded."""

    pixels: np.ndarray | None
    time: Fraction
    turned: bool = False  # so that its stored width is its height


@dataclass
class _Writer:
    """Encodes frames into a file; opened as a context, it is complete when that is left."""

    path: Path
    rate: Fraction
    aspect: Fraction | None = None
    begun: bool = False
    _last: Fraction | None = None

    def __enter__(self) -> _Writer:
        self.gif = self.path.suffix.lower() == ".gif"
        self.path.touch()  # Python's error says of which file, PyAV's does not
        self._file = _av().open(str(self.path), "w", options={"loop": "0"} if self.gif else {})
        self.sound = Sound(self._file)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None and self.begun:
                self._finish()
        finally:
            self._file.close()

    def turn(self) -> None:
        """Has pixels as wide as they were to be high, before the first frame."""
        self.aspect = 1 / self.aspect if self.aspect else None

    def show(self, pixels: np.ndarray, time: Fraction) -> bool:
        """Adds a frame at a time in seconds, and says so; one not later than the one before is left out."""
        av = _av()
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"A frame is uint8 (height, width, 3), received {pixels.dtype} {pixels.shape}.")
        if min(pixels.shape) < 2:
            width, height = pixels.shape[1::-1]
            raise ValueError(f"A frame is {width} by {height} pixels; a film needs two each way.")
        multiple = 1 if self.gif else 2  # of a side: others have their colours at half the size
        height, width = (side // multiple * multiple for side in pixels.shape[:2])
        if not self.begun:
            self._begin(height, width)
        elif (height, width) != self.size:
            raise ValueError(f"Frames of a film have one size: received {(height, width)} after {self.size}.")
        apart = Fraction(1, _GIF_RATE) * Fraction(99, 100) if self.gif else Fraction(0)
        if self._last is not None and time - self._last <= apart:
            return False
        self._last = time
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
        frame.time_base = Fraction(1, 90000)
        frame.pts = round(time / frame.time_base)
        if self.gif:
            self._graph.push(frame)
            frame = self._graph.pull()
        else:
            frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709)
        self._file.mux(self._film.encode(frame))
        return True

    def _begin(self, height: int, width: int) -> None:
        name, options = _ENCODERS[self.path.suffix.lower()]
        self._film = self._file.add_stream(name, rate=self.rate, options=options)
        self._film.height, self._film.width = height, width
        self.size, self.begun = (height, width), True
        if self.gif:
            self._film.pix_fmt = "pal8"
            self._film.codec_context.time_base = Fraction(1, 100)
            self._graph = _palettes(height, width)
            self._file.start_encoding()
            return
        self._film.pix_fmt = "yuv420p"
        context = self._film.codec_context
        context.time_base = Fraction(1, 90000)
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        if self.aspect:
            context.sample_aspect_ratio = self.aspect
        self._file.start_encoding()  # now, not when frames come out of the encoder, dozens later

    def _finish(self) -> None:
        self.sound.finish()
        self._file.mux(self._film.encode(None))


def _events(reading: Any, film: Any, sounds: list[Any], report: Report) -> Iterator[Any]:
    """Frames in the order of their times, and packets of sound as they come.

    Few decoders say that a packet was damaged, many give nothing for it. But frames come in the order of
    their times: what is earlier than one that came and did not come itself, will not.
    """
    av = _av()
    heard = {sound.index for sound in sounds}
    awaited: set[Fraction] = set()  # times of frames that the decoder has been given, but not given back
    length = 1 / (film.guessed_rate or Fraction(25))
    following = Fraction(0)  # when a frame without a time is shown
    apart = Fraction(0)  # how much later than the frame before one is, at least
    # Of an .avi, FFmpeg makes up times in the order in which frames are stored, not shown.
    unsaid = reading.format.name == "avi" and film.codec_context.has_b_frames

    def missing(until: Fraction | None) -> Iterator[_Shot]:
        for time in sorted(time for time in awaited if until is None or time < until):
            awaited.remove(time)
            if time - (following - length) >= apart:
                yield _Shot(None, time)

    for packet in _packets(reading, film, report):
        if packet.stream.index != film.index:
            if packet.stream.index in heard:
                yield packet
            continue
        if _shown(packet, film):
            awaited.add(packet.pts * packet.time_base)
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            time = following if frame.pts is None else frame.pts * frame.time_base
            if unsaid and awaited:
                time = min(awaited)
            awaited.discard(time)
            # The second field of an interlaced frame may have a packet, and a time, of its own.
            apart = length * 3 / 4 if frame.interlaced_frame else Fraction(0)
            yield from missing(time)
            turned = round(frame.rotation / 90) % 2 == 1
            yield _Shot(None if frame.is_corrupt else _upright(frame), time, turned)
            following = time + length
    yield from missing(None)


def _shown(packet: Any, film: Any) -> bool:
    """Whether a packet holds a frame to be shown at a time that it says.

    Not so one that an edit list leaves out, nor one of VP8 that is only there for others to refer to.
    """
    hidden = film.codec_context.name == "vp8" and packet.size and not bytes(packet)[0] & 0x10
    return bool(packet.size and packet.pts is not None and not packet.is_discard and not hidden)


def _packets(reading: Any, film: Any, report: Report) -> Iterator[Any]:
    """Packets of all tracks, up to where the file can be read; notes whether that is before its end.

    Some formats announce how long the film is, others how long the longest track is, be it of subtitles: so
    what counts is where the last one ends. It may differ by the longest time between two frames, for how long
    the last one lasts is often not said, and by the delay of codecs for sound, hundredths of a second.
    """
    end, apart = Fraction(0), max(Fraction(1, 25), 1 / (film.guessed_rate or Fraction(25)))
    times: list[Fraction] = []  # of the film's latest packets, between which others may still come
    try:
        for packet in reading.demux():
            if packet.pts is not None:
                time = packet.pts * packet.time_base
                end = max(end, time + (packet.duration or 0) * packet.time_base)
                if packet.stream.index == film.index:
                    heapq.heappush(times, time)
                    if len(times) > _REORDERED:
                        first = heapq.heappop(times)
                        apart = max(apart, times[0] - first)
            yield packet
    except _av().error.FFmpegError:
        report.cut = True
    if _announced(reading, film) - end > apart * 3 / 2:
        report.cut = True


def _announced(reading: Any, film: Any) -> Fraction:
    """When the film ends, or where the file does not say it, the longest track; 0 where it says neither."""
    if film.duration:
        return (film.duration + (film.start_time or 0)) * film.time_base
    return Fraction(reading.duration or 0, _av().time_base)


def _upright(frame: Any) -> np.ndarray:
    unknown = frame.colorspace not in (_BT601, _BT709, 6, 9)
    space = (_BT709 if frame.height >= 720 else _BT601) if unknown else frame.colorspace
    pixels = frame.reformat(format="rgb24", src_colorspace=space).to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _palettes(height: int, width: int) -> Any:
    """A graph that gives each frame the 256 colours that suit it best."""
    av = _av()
    graph = av.filter.Graph()
    begin = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("rgb24"), time_base=Fraction(1, 90000)
    )
    split = graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single")
    use = graph.add("paletteuse", "new=1:dither=sierra2_4a")
    end = graph.add("buffersink")
    begin.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(end)
    graph.configure()
    return graph


def _opened(source: Path) -> Any:
    av = _av()
    try:
        reading = av.open(str(source))
    except PermissionError:
        raise
    except (av.error.FFmpegError, UnicodeError) as error:
        reason = getattr(error, "strerror", error)
        raise ValueError(f"{source} is not a video that FFmpeg can read, or is damaged: {reason}.") from error
    if not reading.streams.video:
        reading.close()
        raise ValueError(f"{source} has no pictures, only sound or text.")
    return reading


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError(
            'Video needs PyAV, which is not installed: pip install "keras-gen[video]".'
        ) from error
    return av
