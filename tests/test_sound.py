"""Sound tracks of films: kept, encoded anew, or lost, and counted."""

import numpy as np
import pytest

av = pytest.importorskip("av")

from films import make_film, scene, sound_of, spoil  # noqa: E402

from keras_gen import sound, video  # noqa: E402


def test_a_sound_that_the_format_does_not_take_is_encoded_anew(tmp_path):
    film = make_film(tmp_path / "film.mkv", scene(), sound="pcm_s16le")
    report = video.transform(film, tmp_path / "out.webm", lambda frame: frame)
    assert (report.sound, report.converted) == (0, 1)
    heard = sound_of(tmp_path / "out.webm")[0]
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * 48000 / len(heard) == pytest.approx(440, abs=3)


@pytest.mark.parametrize(
    ("sound", "source", "layout", "target", "kept"),
    [
        ("pcm_s16le", "mkv", "stereo", "mp4", True),
        ("pcm_s16le", "avi", "mono", "mp4", True),
        ("pcm_mulaw", "avi", "mono", "mkv", False),
        ("pcm_u8", "avi", "stereo", "mp4", False),
        ("adpcm_ms", "avi", "stereo", "mov", False),
        ("flac", "mkv", "stereo", "mov", False),
        ("flac", "mkv", "stereo", "mp4", True),
        ("ac3", "mkv", "5.1", "webm", False),
        ("ac3", "mkv", "5.1", "mov", True),
    ],
)
def test_sound_is_kept_or_encoded_anew_by_what_the_file_really_takes(
    tmp_path, sound, source, layout, target, kept
):
    """Formats announce codecs that they refuse, and .avi and .mkv do not say which channels there are."""
    film, out = tmp_path / f"film.{source}", tmp_path / f"out.{target}"
    make_film(film, scene(12), sound=sound, layout=layout)
    report = video.transform(film, out, lambda frame: frame)
    assert (report.frames, report.sound, report.converted, report.lost) == (12, kept, not kept, 0)
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    with av.open(str(out)) as opened:
        track = opened.streams.audio[0]
        rate = track.rate
        assert track.channels == channels
        heard = np.concatenate(
            [
                f.to_ndarray()
                for r in [av.AudioResampler("s16", "mono", rate)]
                for f in opened.decode(track)
                for f in r.resample(f)
            ],
            axis=1,
        )[0]
    assert len(heard) / rate == pytest.approx(0.5, abs=0.08)
    assert np.argmax(np.abs(np.fft.rfft(heard))) * rate / len(heard) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("target", ["webm", "mp4"])
def test_a_track_that_changes_its_channels_goes_on(tmp_path, target):
    """Recorded broadcasts do, between a film and what interrupts it."""
    first = make_film(tmp_path / "a.ts", scene(), layout="mono")
    second = make_film(tmp_path / "b.ts", scene(), layout="stereo", at=30)
    source, out = tmp_path / "both.ts", tmp_path / f"out.{target}"
    source.write_bytes(first.read_bytes() + second.read_bytes())
    report = video.transform(source, out, lambda frame: frame)
    assert (report.sound + report.converted, report.lost, report.gaps) == (1, 0, 0)
    with av.open(str(out)) as opened:
        heard = [(f.time, np.std(f.to_ndarray())) for f in opened.decode(audio=0)]
    loudest = max(level for _, level in heard)
    for begin in (0.2, 1.5):
        levels = [level for time, level in heard if begin <= time - heard[0][0] < begin + 0.5]
        assert len(levels) > 20
        assert min(levels) > loudest / 3


def test_damaged_sound_is_silent_and_counted(tmp_path):
    film = make_film(tmp_path / "film.mkv", scene(), sound="ac3", layout="stereo")
    spoil(film, [7, 12], track="audio")
    report = video.transform(film, tmp_path / "out.webm", lambda frame: frame)
    assert (report.frames, report.converted, report.gaps) == (24, 1, 2)
    spectrum = np.abs(np.fft.rfft(sound_of(tmp_path / "out.webm")[0]))
    assert np.argmax(spectrum) == pytest.approx(440 * len(spectrum) / 24000, rel=0.02)


def test_a_film_whose_sound_cannot_be_kept_is_silent(tmp_path, monkeypatch):
    film = make_film(tmp_path / "film.mp4", scene())

    def refuse(*_):
        raise av.error.ArgumentError(22, "Invalid argument")

    monkeypatch.setattr(sound, "_track", refuse)
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert report == video.Report(frames=24, lost=1)
    with av.open(str(tmp_path / "out.mp4")) as opened:
        assert not opened.streams.audio
