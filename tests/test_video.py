import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from films import frames_of, make_film, packets_of, scene, spoil  # noqa: E402

from keras_gen import video  # noqa: E402


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


def test_a_film_of_one_row_is_refused_before_it_is_painted(tmp_path):
    path = tmp_path / "row.mkv"
    with av.open(str(path), "w") as out:
        film = out.add_stream("ffv1", rate=10)
        film.height, film.width, film.pix_fmt = 1, 60, "bgr0"
        out.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((1, 60, 3), "uint8"), format="rgb24")))
        out.mux(film.encode(None))
    with pytest.raises(ValueError, match=r"row\.mkv is 60 by 1 pixels; a film needs two each way\.$"):
        video.transform(path, tmp_path / "out.mp4", pytest.fail)
    with pytest.raises(ValueError, match="A frame is 60 by 1 pixels; a film needs two"):
        video.write([np.zeros((1, 60, 3), "uint8")], tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == ["row.mkv"]


def test_a_film_that_is_cut_short_goes_on_to_where_it_ends(tmp_path):
    film = make_film(tmp_path / "film.mkv", scene())
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert 5 < report.frames < 24
    assert report.cut
    assert len(frames_of(tmp_path / "out.mp4")) == report.frames


def test_a_film_of_ten_frames_that_is_cut_short_is_told(tmp_path):
    film = make_film(tmp_path / "film.mkv", scene(10), sound=None)
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert 5 < report.frames < 10
    assert report.cut


@pytest.mark.parametrize("ending", ["mkv", "flv"])
def test_a_film_without_sound_that_lacks_two_frames_is_cut(tmp_path, ending):
    film = make_film(tmp_path / f"film.{ending}", scene(10), sound=None)
    with av.open(str(film)) as opened:
        last = [packet.pos for packet in opened.demux(video=0) if packet.size][-2]
    assert not video.transform(film, tmp_path / "whole.mp4", lambda frame: frame).cut
    film.write_bytes(film.read_bytes()[:last])
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert (report.frames, report.cut) == (8, True)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "avi", "flv", "ts"])
@pytest.mark.parametrize("sound", [None, "aac"])
def test_a_whole_film_is_not_cut(tmp_path, ending, sound):
    film = make_film(tmp_path / f"film.{ending}", scene(13), sound=sound)
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert not report.cut
    assert len(frames_of(tmp_path / "out.mp4")) == report.frames


def test_frames_without_times_follow_each_other(tmp_path):
    film = make_film(tmp_path / "film.h264", scene(13), sound=None)
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert (report.frames, report.cut) == (13, False)
    times = [time for time, _ in frames_of(tmp_path / "out.mp4")]
    assert times == pytest.approx(np.arange(13) / 24, abs=1e-3)


def test_subtitles_and_sound_may_go_on_after_the_last_frame(tmp_path):
    """The file announces the length of all together."""
    film = make_film(tmp_path / "short.mp4", scene(6), sound=None)
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nEnd\n")
    tone = make_film(tmp_path / "long.mkv", scene(30))
    for kind, other in (("subtitles", tmp_path / "words.srt"), ("audio", tone)):
        path = tmp_path / f"{kind}.mkv"
        with av.open(str(path), "w") as out, av.open(str(film)) as first, av.open(str(other)) as second:
            tracks = [first.streams.video[0], getattr(second.streams, kind)[0]]
            made = [out.add_stream_from_template(track) for track in tracks]
            for opened, track, new in zip((first, second), tracks, made, strict=True):
                for packet in opened.demux(track):
                    if packet.size:
                        packet.stream = new
                        out.mux(packet)
        with av.open(str(path)) as opened:
            assert opened.duration > 1e6
        report = video.transform(path, tmp_path / f"{kind}.mp4", lambda frame: frame)
        assert (report.frames, report.cut) == (6, False)


def test_unevenly_timed_frames_are_not_cut(tmp_path):
    """As in a recording of a screen, where one comes when something changes."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        film = out.add_stream("libx264", rate=30, options={"bf": "0"})
        film.height, film.width, film.pix_fmt = 96, 128, "yuv420p"
        for pixels, time in zip(scene(24), [*range(5), *range(14, 32), 42], strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 30)
            out.mux(film.encode(frame))
        for packet in film.encode(None):
            packet.duration = 9
            out.mux(packet)
    with av.open(str(path)) as opened:
        assert opened.duration == pytest.approx(51e6 / 30, rel=0.01)
    report = video.transform(path, tmp_path / "out.mp4", lambda frame: frame)
    assert (report.frames, report.cut) == (24, False)


@pytest.mark.parametrize("damaged", [(9,), (10, 11), (23,)])
def test_broken_frames_repeat_the_one_before(film, tmp_path, damaged):
    times = spoil(film, damaged)
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert report.broken == len(damaged)
    assert report.frames == 24
    shown = frames_of(tmp_path / "out.mp4")
    assert len(shown) == 24
    assert np.diff([time for time, _ in shown]) == pytest.approx(1 / 24, abs=1e-3)
    for index in damaged:
        at = sorted(times).index(times[index])
        if at - 1 not in [sorted(times).index(times[i]) for i in damaged]:
            assert np.abs(shown[at][1].astype(int) - shown[at - 1][1]).mean() < 2


_CODECS = [
    ("libx264", "mp4", {"bf": "3"}),
    ("libx264", "mp4", {"x264-params": "interlaced=1"}),
    ("libx264", "avi", {"bf": "3"}),
    ("libx265", "mp4", {"x265-params": "log-level=none:keyint=6"}),
    ("libvpx-vp9", "webm", {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "6"}),
    ("mpeg4", "mp4", {"bf": "2"}),
    ("mpeg4", "avi", {"bf": "0"}),
    ("mjpeg", "avi", {"q": "3"}),
]


@pytest.mark.parametrize(("codec", "ending", "options"), _CODECS)
def test_frames_that_a_decoder_leaves_out_are_counted_and_hidden_ones_are_not(
    tmp_path, codec, ending, options
):
    film = make_film(tmp_path / f"film.{ending}", scene(20), None, codec=codec, options=options)
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert (report.frames, report.broken) == (20, 0)
    for byte in (b"\0", b"\xff"):
        damaged = tmp_path / f"damaged.{ending}"
        damaged.write_bytes(film.read_bytes())
        spoil(damaged, [-1], byte)
        report = video.transform(damaged, tmp_path / "out.mp4", lambda frame: frame, force=True)
        assert (report.frames, report.broken) == (20, 1)
        assert len(frames_of(tmp_path / "out.mp4")) == 20


def test_a_frame_of_vp8_that_is_not_to_be_shown_is_not_broken(tmp_path):
    film = make_film(tmp_path / "film.webm", scene(12), None, codec="libvpx", options={"b": "200k"})
    with av.open(str(film)) as opened:
        held = [bytes(p) for p in opened.demux(video=0) if p.size]
    hidden = bytes([held[5][0] & ~0x10]) + held[5][1:]  # the bit that says whether it is shown
    film.write_bytes(film.read_bytes().replace(held[5], hidden))
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame)
    assert (report.frames, report.broken) == (11, 0)
    spoil(film, [8])
    report = video.transform(film, tmp_path / "out.mp4", lambda frame: frame, force=True)
    assert (report.frames, report.broken) == (11, 1)


def test_the_first_frame_that_can_be_read_stands_for_those_before_it(tmp_path):
    film = make_film(tmp_path / "film.avi", scene(8), None, codec="mjpeg", options={"q": "3"})
    spoil(film, [0, 1])
    told = []
    report = video.transform(
        film, tmp_path / "out.mp4", lambda frame: frame, progress=lambda *d: told.append(d)
    )
    assert (report.frames, report.broken) == (8, 2)
    assert told == [(i, 8) for i in range(1, 9)]
    shown = frames_of(tmp_path / "out.mp4")
    assert [time for time, _ in shown] == pytest.approx(np.arange(8) / 24, abs=1e-3)
    for _, pixels in shown[:2]:
        assert np.abs(pixels.astype(int) - shown[2][1]).mean() < 2


def test_frames_that_an_edit_list_leaves_out_are_not_broken(tmp_path):
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        film = out.add_stream("libx264", rate=24, options={"bf": "0"})
        film.height, film.width, film.pix_fmt = 96, 128, "yuv420p"
        packets = [
            packet
            for pixels in scene(12)
            for packet in film.encode(
                av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            )
        ]
        for packet in packets + film.encode(None):
            ticks = round(Fraction(3, 24) / packet.time_base)
            packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
            out.mux(packet)
    with av.open(str(path)) as opened:
        assert sum(packet.is_discard for packet in opened.demux(video=0)) == 3
    report = video.transform(path, tmp_path / "out.mp4", lambda frame: frame)
    assert (report.frames, report.broken) == (9, 0)


def test_a_broken_key_frame_does_not_count_what_is_left_out(film, tmp_path):
    spoil(film, [8])
    told = []
    report = video.transform(
        film, tmp_path / "out.mp4", lambda frame: frame, progress=lambda *d: told.append(d)
    )
    assert report.frames == len(frames_of(tmp_path / "out.mp4"))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))


def test_frames_that_a_gif_leaves_out_are_not_counted(tmp_path):
    """Viewers slow down what is faster, so of sixty frames a second every third is there."""
    film = make_film(tmp_path / "film.mp4", scene(24), rate=60)
    told = []
    report = video.transform(
        film, tmp_path / "out.gif", lambda frame: frame, progress=lambda *d: told.append(d)
    )
    assert report.frames == len(frames_of(tmp_path / "out.gif")) == 8
    assert told[-1] == (24, 24)
    count = video.write(scene(24), tmp_path / "written.gif", rate=60)
    assert count == len(frames_of(tmp_path / "written.gif")) == 8


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


@pytest.mark.parametrize(("rotation", "shape"), [(0, Fraction(2)), (90, Fraction(1, 2)), (180, Fraction(2))])
def test_wide_pixels_of_a_film_on_its_side_are_high_ones(tmp_path, rotation, shape):
    film = make_film(tmp_path / "film.mp4", scene(3), sound=None, rotation=rotation, aspect=Fraction(2))
    video.transform(film, tmp_path / "out.mp4", lambda f: f)
    with av.open(str(tmp_path / "out.mp4")) as opened:
        assert opened.streams.video[0].sample_aspect_ratio == shape


def test_odd_sides_are_cut(tmp_path):
    video.write([frame[:95, :127] for frame in scene(3)], tmp_path / "a.mp4")
    assert frames_of(tmp_path / "a.mp4")[0][1].shape == (94, 126, 3)
    video.write([frame[:95, :127] for frame in scene(3)], tmp_path / "a.gif")
    assert frames_of(tmp_path / "a.gif")[0][1].shape == (95, 127, 3)  # whose colours are not halved


def test_nothing_is_overwritten_and_an_error_leaves_nothing(film, tmp_path):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="force=True"):
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


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that takes no files is Linux's /proc")
def test_a_film_that_cannot_be_written_is_named(film):
    with pytest.raises(FileNotFoundError) as raised:
        video.transform(film, "/proc/out.mp4", lambda frame: frame)
    assert raised.value.filename == "/proc/out.mp4"


def test_what_is_no_film(film, tmp_path):
    def go(source, target="out.mp4"):
        return video.transform(source, tmp_path / target, lambda frame: frame)

    with pytest.raises(FileNotFoundError, match=r"no video file .*none\.mp4"):
        go(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(ValueError, match=r"text\.mp4 is not a video"):
        go(tmp_path / "text.mp4")
    (tmp_path / "cut.mp4").write_bytes(film.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"cut\.mp4 is not a video [^\[\]']*: Invalid data [^\[\]']*\.$"):
        go(tmp_path / "cut.mp4")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(8000))
    with pytest.raises(ValueError, match="only sound"):
        go(tmp_path / "sound.wav")
    (tmp_path / "photo.jpg").write_bytes(b"anything")
    with pytest.raises(ValueError, match=r"photo\.jpg is a single picture: paint it by `keras-gen stylize"):
        go(tmp_path / "photo.jpg")
    with pytest.raises(ValueError, match="the ending says"):
        go(film, "out.xyz")
    with pytest.raises(ValueError, match="no frames"):
        video.write([], tmp_path / "empty.mp4")
    assert not (tmp_path / "out.mp4").exists()
