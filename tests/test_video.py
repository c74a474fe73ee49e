import wave
from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

from keras_gen import video  # noqa: E402


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


def make_film(path, frames, sound="aac", rate=24, rotation=0, layout="mono"):
    """A film with a tone of 440 Hz."""
    with av.open(str(path), "w") as out:
        film = out.add_stream("libx264", rate=rate, options={"g": "8", "crf": "10"})
        film.height, film.width = frames[0].shape[:2]
        film.pix_fmt = "yuv420p"
        if rotation:
            film.set_display_rotation(rotation)
        tone = out.add_stream(sound, rate=44100, layout=layout) if sound else None
        for t, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = t, Fraction(1, rate)
            out.mux(film.encode(frame))
        out.mux(film.encode(None))
        if tone is not None:
            time = np.arange(44100 * len(frames) // rate) / 44100
            samples = np.round(12000 * np.sin(2 * np.pi * 440 * time)).astype("int16")[None]
            heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            heard.sample_rate, heard.pts = 44100, 0
            out.mux(tone.encode(heard))
            out.mux(tone.encode(None))
    return path


@pytest.fixture
def film(tmp_path):
    return make_film(tmp_path / "film.mp4", scene())


def test_frames_are_changed_and_sound_and_times_are_kept(film, tmp_path):
    out, seen, told = tmp_path / "new" / "out.mp4", [], []

    def negative(frame):
        seen.append(frame.copy())
        return 255 - frame

    report = video.transform(film, out, negative, progress=lambda *done: told.append(done))
    assert report == video.Report(frames=24, broken=0, sound=1)
    assert told == [(i, 24) for i in range(1, 25)]
    before, after = frames_of(film), frames_of(out)
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=1e-4)
    for mine, true in zip(seen, scene(), strict=True):
        assert np.abs(mine.astype(int) - true).mean() < 3  # what the codec lost
    for (_, shown), mine in zip(after, seen, strict=True):
        assert np.abs(shown.astype(int) - (255 - mine)).mean() < 4
    assert packets_of(out, "audio") == packets_of(film, "audio")
    assert [p.name for p in out.parent.iterdir()] == ["out.mp4"]


def test_colours_come_back_in_every_format(tmp_path):
    colours = np.zeros((64, 96, 3), "uint8")
    for index, colour in enumerate([(200, 30, 30), (30, 180, 30), (40, 40, 210)]):
        colours[:, 32 * index : 32 * (index + 1)] = colour
    for ending in ("mp4", "mkv", "webm", "gif"):
        out = tmp_path / f"out.{ending}"
        assert video.write([colours] * 3, out, rate=10) == 3
        seen = []
        video.transform(out, tmp_path / f"again-{ending}.mp4", lambda f, seen=seen: seen.append(f) or f)
        assert len(seen) == 3
        for column in (16, 48, 80):
            np.testing.assert_allclose(seen[1][32, column], colours[32, column], atol=8, err_msg=ending)


def test_a_sound_that_the_format_does_not_take_is_encoded_anew(tmp_path):
    film = make_film(tmp_path / "film.mkv", scene(), sound="pcm_s16le")
    report = video.transform(film, tmp_path / "out.webm", lambda frame: frame)
    assert (report.sound, report.converted) == (0, 1)
    heard = sound_of(tmp_path / "out.webm")[0]
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * 48000 / len(heard) == pytest.approx(440, abs=3)


def test_a_film_that_is_cut_short_goes_on_to_where_it_ends(tmp_path):
    film = make_film(tmp_path / "film.mkv", scene())
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert 5 < report.frames < 24
    assert len(frames_of(tmp_path / "out.mp4")) == report.frames


@pytest.mark.parametrize("damaged", [(9,), (10, 11), (23,)])
def test_broken_frames_repeat_the_one_before(film, tmp_path, damaged):
    with av.open(str(film)) as opened:
        places = [(p.pos, p.size, p.pts) for p in opened.demux(video=0) if p.size]
    data = bytearray(film.read_bytes())
    for index in damaged:
        position, size, _ = places[index]
        data[position : position + size] = b"\xff" * size
    film.write_bytes(data)
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert report.broken == len(damaged)
    assert report.frames == 24
    shown = frames_of(tmp_path / "out.mp4")
    assert len(shown) == 24
    assert np.diff([time for time, _ in shown]) == pytest.approx(1 / 24, abs=1e-3)
    order = sorted(pts for _, _, pts in places)
    for index in damaged:
        at = order.index(places[index][2])
        if at - 1 not in [order.index(places[i][2]) for i in damaged]:
            assert np.abs(shown[at][1].astype(int) - shown[at - 1][1]).mean() < 2


def test_frames_are_taken_one_at_a_time(tmp_path):
    """A film of any length needs no more memory than a few frames: none is asked for ahead."""
    alive = []

    def frames():
        for frame in scene(40):
            alive.append(len(alive))
            yield frame

    assert video.write(frames(), tmp_path / "a.mp4") == 40

    order = []
    video.transform(
        tmp_path / "a.mp4",
        tmp_path / "b.mp4",
        lambda f: order.append("change") or f,
        progress=lambda done, total: order.append(done),
    )
    assert order == [entry for i in range(1, 41) for entry in ("change", i)]


def test_a_phone_on_its_side(tmp_path):
    frames = [np.full((48, 64, 3), 40, "uint8") for _ in range(3)]
    for frame in frames:
        frame[:16, :16] = 220  # stored: top left
    film = make_film(tmp_path / "film.mp4", frames, sound=None, rotation=90)
    seen = []
    video.transform(film, tmp_path / "out.mp4", lambda f: seen.append(f) or f)
    assert seen[0].shape == (64, 48, 3)
    with av.open(str(film)) as opened:
        rotation = next(opened.decode(video=0)).rotation
    corner = {90: (8 + 48, 8), -90: (8, 8 + 32)}[rotation]  # counter-clockwise, or clockwise
    assert seen[0][corner].min() > 180
    assert frames_of(tmp_path / "out.mp4")[0][1].shape == (64, 48, 3)


def test_odd_sides_are_cut(tmp_path):
    video.write([frame[:95, :127] for frame in scene(3)], tmp_path / "a.mp4")
    assert frames_of(tmp_path / "a.mp4")[0][1].shape == (94, 126, 3)


def test_nothing_is_overwritten_and_an_error_leaves_nothing(film, tmp_path):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="--force"):
        video.transform(film, out, lambda frame: frame)
    assert out.read_bytes() == b"precious"

    def fail(frame):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        video.transform(film, out, fail, force=True)
    assert out.read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mp4", "out.mp4"]
    video.transform(film, out, lambda frame: frame, force=True)
    assert len(frames_of(out)) == 24


def test_what_is_no_film(film, tmp_path):
    def go(source, target="out.mp4"):
        return video.transform(source, tmp_path / target, lambda frame: frame)

    with pytest.raises(FileNotFoundError, match=r"no video file .*none\.mp4"):
        go(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(ValueError, match=r"text\.mp4 is not a video"):
        go(tmp_path / "text.mp4")
    (tmp_path / "cut.mp4").write_bytes(film.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"cut\.mp4 is not a video"):
        go(tmp_path / "cut.mp4")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(8000))
    with pytest.raises(ValueError, match="only sound"):
        go(tmp_path / "sound.wav")
    with pytest.raises(ValueError, match="the ending says"):
        go(film, "out.xyz")
    with pytest.raises(ValueError, match="no frames"):
        video.write([], tmp_path / "empty.mp4")
    assert not (tmp_path / "out.mp4").exists()
