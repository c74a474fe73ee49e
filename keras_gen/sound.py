"""Sound tracks of a film, passed on as they are, or encoded anew where the new file does not take them so."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")  # of one channel, of two, …


class Sound:
    """The sound tracks of a file that is being written.

    Args:
        file: PyAV's container; tracks are added before its first packet.

    Attributes:
        kept: How many tracks are passed on as they are.
        converted: How many are encoded anew.
        lost: How many the file takes in no way.
        gaps: How many packets were damaged, or refused, and left a gap of a fraction of a second each.
    """

    def __init__(self, file: Any) -> None:
        self.kept = self.converted = self.lost = self.gaps = 0
        self._file = file
        self._tracks: dict[int, _Passed | _Converted] = {}

    def add(self, source: Any) -> None:
        """A track for one of another file.

        What a format says that it takes, it may still refuse when its header is written. So that no painted
        film is lost, each way is tried in a file of its own first: as it is, or else encoded anew.
        """
        import av

        for layout in _layouts(source):
            try:
                with av.open(io.BytesIO(), "w", format=self._file.format.name) as trial:
                    _track(trial, source, layout)
                    trial.start_encoding()
            except (av.error.FFmpegError, ValueError):
                continue
            track = _track(self._file, source, layout)
            self._tracks[source.index] = _Passed(track) if layout is None else _Converted(track)
            self.kept += layout is None
            self.converted += layout is not None
            return
        self.lost += 1

    def write(self, packet: Any) -> None:
        """Passes a packet of one of the tracks on, or what it holds, encoded anew."""
        track = self._tracks.get(packet.stream.index)
        if track is not None:
            self._mux(track(packet))

    def finish(self) -> None:
        """Writes what resamplers and encoders still hold."""
        for track in self._tracks.values():
            for rest in track.rests():
                self._mux(rest)

    def _mux(self, packets: Iterator[Any]) -> None:
        with self._counted():  # what cannot be decoded
            for packet in packets:
                with self._counted():  # what the file refuses
                    self._file.mux(packet)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.error.ArgumentError, av.error.InvalidDataError, ValueError):  # not so a disk that is full
            self.gaps += 1


class _Passed:
    """Packets as they are."""

    def __init__(self, track: Any) -> None:
        self._track = track

    def __call__(self, packet: Any) -> Iterator[Any]:
        if packet.dts is not None:
            packet.stream = self._track
            yield packet

    def rests(self) -> list[Iterator[Any]]:
        return []


class _Converted:
    """Packets decoded and encoded anew; channels and rate may change midway, as in recorded broadcasts."""

    def __init__(self, track: Any) -> None:
        self._track = track
        self._resampler: Any = None
        self._like: tuple[Any, ...] = ()

    def __call__(self, packet: Any) -> Iterator[Any]:
        import av

        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:  # decoders give up on damage in many ways
            raise ValueError("damaged sound") from error
        for frame in frames:
            like = (frame.format.name, frame.layout.name, frame.sample_rate)
            if like != self._like:
                yield from self._resampled(None)
                to = self._track
                self._resampler, self._like = av.AudioResampler(to.format, to.layout, to.rate), like
            yield from self._resampled(frame)

    def rests(self) -> list[Iterator[Any]]:
        return [self._resampled(None), self._encoded(None)]

    def _resampled(self, frame: Any) -> Iterator[Any]:
        """What comes of a frame; of None, what the resampler still holds."""
        if self._resampler is not None:
            for piece in self._resampler.resample(frame):
                yield from self._encoded(piece)

    def _encoded(self, frame: Any) -> Iterator[Any]:
        yield from self._track.encode(frame)


def _layouts(source: Any) -> Iterator[str | None]:
    """The ways to write a sound track, the best first: None as it is, or a layout to encode it anew in."""
    if source.codec_context is None or not source.channels:
        return  # FFmpeg does not know it
    usual = _LAYOUTS[source.channels - 1] if source.channels <= len(_LAYOUTS) else "stereo"
    if source.layout.name.endswith("channels"):  # how many, but not which, as in .avi: encoders refuse that
        source.layout = usual
    yield from dict.fromkeys([None, source.layout.name, usual, "stereo"])


def _track(file: Any, source: Any, layout: str | None) -> Any:
    """A track of a file for a sound track as it is, or where a layout is given, encoded anew in it."""
    import av

    if layout is None:
        made = file.add_stream_from_template(source)
        made.layout = source.layout
        return made
    name = file.default_audio_codec
    rates = av.Codec(name, "w").audio_rates or [source.rate]
    return file.add_stream(name, rate=source.rate if source.rate in rates else max(rates), layout=layout)
