"""Films to test on, made here, and what is in one."""

from fractions import Fraction

import av
import numpy as np


def scene(frames=24, height=96, width=128):
    """A window that moves over a smooth, colourful picture."""
    y, x = np.mgrid[: height + frames, : width + 3 * frames]
    big = 128 + 90 * np.dstack([np.sin(x / 11), np.sin(y / 13), np.sin((x + y) / 17)])
    big = np.round(big).astype("uint8")
    return [big[t : t + height, 3 * t : 3 * t + width] for t in range(frames)]


def frames_of(path):
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        return [(float(f.time), f.to_ndarray(format="rgb24")) for f in opened.decode(stream)]


def sound_of(path):
    with av.open(str(path)) as opened:
        heard = [f.to_ndarray() for f in opened.decode(opened.streams.audio[0])]
        return np.concatenate(heard, axis=1)


def packets_of(path, kind):
    with av.open(str(path)) as opened:
        stream = getattr(opened.streams, kind)[0]
        return [bytes(p) for p in opened.demux(stream) if p.size]


def make_film(
    path,
    frames,
    sound="aac",
    rate=24,
    rotation=0,
    layout="mono",
    codec="libx264",
    options=None,
    at=0,
    aspect=None,
):
    """A film with a tone of 440 Hz, whose times begin at that frame."""
    with av.open(str(path), "w") as out:
        film = out.add_stream(codec, rate=rate, options=options or {"g": "8", "crf": "10"})
        film.height, film.width = frames[0].shape[:2]
        film.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if aspect:
            film.codec_context.sample_aspect_ratio = aspect
        if rotation:
            film.set_display_rotation(rotation)
        tone = out.add_stream(sound, rate=44100, layout=layout) if sound else None
        for t, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = at + t, Fraction(1, rate)
            out.mux(film.encode(frame))
        out.mux(film.encode(None))
        if tone is not None:
            time = np.arange(44100 * len(frames) // rate) / 44100
            samples = np.round(12000 * np.sin(2 * np.pi * 440 * time)).astype("int16")[None]
            heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 44100, 44100 * at // rate, Fraction(1, 44100)
            out.mux(tone.encode(heard))
            out.mux(tone.encode(None))
    return path


def spoil(path, damaged, byte=b"\xff", track="video"):
    """Overwrites packets of the film, or of its sound; gives the times of all of them."""
    with av.open(str(path)) as opened:
        packets = [(bytes(p), p.pts) for p in opened.demux(**{track: 0}) if p.size]
    data = path.read_bytes()
    for index in damaged:
        held = packets[index][0]
        assert data.count(held) == 1
        data = data.replace(held, byte * len(held))
    path.write_bytes(data)
    return [time for _, time in packets]
