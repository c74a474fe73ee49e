import keras
import numpy as np
import pytest

from keras_gen import runs
from keras_gen.cli import errors
from keras_gen.image import make_grid
from keras_gen.networks.transformer_net import transformer_net
from keras_gen.style import FastStyleTransfer
from keras_gen.style.settings import remember

av = pytest.importorskip("av")
pytest.importorskip("cv2")

import films  # noqa: E402
from films import make_film, scene  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("model") / "two.keras"
    network = transformer_net(2, width=8, separable=True, blocks=1, coarse_blocks=1)
    textures = network.get_layer("texture").textures
    textures.assign(np.random.default_rng(0).normal(0, 0.1, textures.shape))
    FastStyleTransfer(network, ["wave", "mosaic"]).save(path)
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A pan of twelve frames, with sound."""
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", scene(12, 64, 96), rate=12)


def frames_of(path):
    return [pixels for _, pixels in films.frames_of(path)]


def test_a_film_is_painted_without_textures_and_keeps_its_sound(cli, model, film, tmp_path):
    out = tmp_path / "out.mp4"
    result = cli("video", film, out, "--model", model, "--style", "wave", "--momentum", 0)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"12 frames in {out}, with its sound"
    loaded = keras.saving.load_model(model)
    for before, after in list(zip(frames_of(film), frames_of(out), strict=True))[::5]:
        pixels = before / np.float32(127.5) - 1
        expected = np.clip(loaded.stylize(pixels, "wave", texture=0.0), -1, 1) * 127.5 + 127.5
        # Colours lose half their resolution to the codec, brightness nothing.
        luma = np.array([0.2126, 0.7152, 0.0722])
        assert np.abs((after - expected) @ luma).mean() < 3
        textured = np.clip(loaded.stylize(pixels, "wave"), -1, 1) * 127.5 + 127.5
        assert np.abs((after - textured) @ luma).mean() > 6
    with av.open(str(out)) as opened:
        assert opened.streams.audio[0].codec_context.name == "aac"


def test_what_became_of_a_film_is_told_in_numbers(cli, model, film, tmp_path):
    cut, one = tmp_path / "cut.mkv", tmp_path / "one.mkv"
    for path, most in ((cut, 12), (one, 1)):
        with av.open(str(film)) as before, av.open(str(path), "w") as out:
            tracks = {"video": out.add_stream_from_template(before.streams.video[0])}
            sound = out.add_stream("pcm_s16le", rate=44100, layout="mono")
            pictures = 0
            for packet in before.demux():
                if packet.stream.type == "audio":
                    for heard in packet.decode():
                        out.mux(sound.encode(heard))
                elif packet.size and pictures < most:
                    pictures += 1
                    packet.stream = tracks["video"]
                    out.mux(packet)
            out.mux(sound.encode(None))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    arguments = ("--model", model, "-s", "wave", "--size", 32)
    out = tmp_path / "out.webm"
    result = cli("video", one, out, *arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"1 frame in {out}, with its sound"
    assert result.stderr.strip() == f"Warning: {one}: 1 sound track had to be encoded anew."
    result = cli("video", cut, tmp_path / "out.mp4", *arguments)
    assert f"{cut}: it ends before the end that it announces, cut short or damaged." in result.stderr


def test_momentum_holds_frames_together_and_size_makes_them_small(cli, model, film, tmp_path):
    changes = []
    for momentum in (0, 0.8):
        out = tmp_path / f"{momentum}.mp4"
        arguments = ("--model", model, "-s", "mos", "--momentum", momentum, "--size", 48)
        assert cli("video", film, out, *arguments).exit_code == 0
        frames = np.stack(frames_of(out)).astype(float)
        assert frames.shape == (12, 32, 48, 3)
        changes.append(np.abs(np.diff(frames, axis=0)).mean())
    assert changes[1] < changes[0]


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_a_walk(cli, trained, tmp_path, ending):
    out = tmp_path / f"walk.{ending}"
    result = cli(
        *("video", "--walk", trained, out, "-n", 4, "--points", 2, "--seconds", 1, "--rate", 10, "--seed", 3)
    )
    assert result.exit_code == 0, result.output
    frames = frames_of(out)
    assert len(frames) == 10
    model = runs.Run(trained).load()
    first = make_grid(model.generate(model.latents(8, 3)[:4]))
    assert np.abs(frames[0][: len(first)].astype(float) - first[: len(frames[0])]).mean() < 6


def test_a_conditional_model_shows_each_class(cli, conditional, tmp_path):
    arguments = ("-n", 3, "--points", 2, "--seconds", 0.4, "--rate", 10)
    result = cli("video", "--walk", conditional, tmp_path / "walk.mp4", *arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"3 walks of 4 frames in {tmp_path / 'walk.mp4'}"
    frames = frames_of(tmp_path / "walk.mp4")
    assert len(frames) == 4
    labels = np.arange(3)
    model = runs.Run(conditional).load()
    first = make_grid(model.generate(model.latents(6, 0)[:3], labels=labels))
    assert np.abs(frames[0].astype(float) - first[: len(frames[0]), : frames[0].shape[1]]).mean() < 6


def test_mistakes_are_one_sentence(cli, model, film, trained, tmp_path):
    (tmp_path / "there.mp4").write_bytes(b"precious")
    painting = tmp_path / "painting.png"
    styles = tmp_path / "styles"
    remember(runs.Run(styles), "fast", {"styles": ["wave.jpg"], "content": "photos", "out": styles}, 0)
    (tmp_path / "cut.mp4").write_bytes(film.read_bytes()[:2000])
    for arguments, said in (
        ([film, tmp_path / "there.mp4", "-s", "wave", "--model", model], "--force"),
        ([film, tmp_path / "out.avi", "-s", "wave", "--model", model], "the ending says"),
        ([tmp_path / "none.mp4", tmp_path / "out.mp4", "-s", "wave", "--model", "none"], "no video file"),
        ([model, tmp_path / "out.mp4", "-s", "wave", "--model", model], "is not a video"),
        ([film, tmp_path / "out.mp4", "-s", "wave", "--method", "gatys"], "minutes for a frame"),
        ([film, tmp_path / "out.mp4", "--model", model], "by it. There are: wave, mosaic."),
        ([film, tmp_path / "out.mp4"], "by it. There are: cafe-terrace, "),
        ([tmp_path / "cut.mp4", tmp_path / "out.mp4", "-s", "wave", "--model", model], "Invalid data"),
        (["--walk", styles, tmp_path / "out.mp4"], f"{styles} is a run of train-style, which has no latents"),
        (["--walk", trained, tmp_path / "out.mp4", "--rate", 0], "--rate and --seconds"),
        (["--walk", painting, tmp_path / "out.mp4"], "not a run folder"),
    ):
        result = cli("video", *arguments)
        assert result.exit_code == errors.FAILED, result.output
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
        assert not any(odd in result.stderr for odd in ("[Errno", "KeyError", "--sheet"))
    assert (tmp_path / "there.mp4").read_bytes() == b"precious"
    assert cli("video", film).exit_code == 2
    assert not (tmp_path / "out.mp4").exists()


def test_options_of_the_other_kind_are_refused(cli, film, trained, tmp_path):
    out = tmp_path / "out.mp4"
    for arguments, option, said in (
        (("--walk", trained, out, "-s", "wave"), "--style", "it paints a film, not a --walk"),
        (("--walk", trained, out, "--strength", 1), "--strength", "it paints a film, not a --walk"),
        (("--walk", trained, out, "--size", 64), "--size", "it paints a film, not a --walk"),
        (("--walk", trained, out, "--preserve-color"), "--preserve-color", "it paints a film"),
        ((film, out, "-s", "wave", "--points", 6), "--points", "it is only for --walk RUN"),
        ((film, out, "-s", "wave", "--seed", 0), "--seed", "it is only for --walk RUN"),
        ((film, out, "-s", "wave", "-n", 4), "--number", "it is only for --walk RUN"),
    ):
        result = cli("video", *arguments)
        assert result.exit_code == 2, result.output
        assert f"{option}: {said}" in result.stderr
    assert not out.exists()


def test_sound_that_cannot_be_kept_is_told(cli, model, film, tmp_path, monkeypatch):
    def refuse(*_):
        raise av.error.ArgumentError(22, "Invalid argument")

    monkeypatch.setattr("keras_gen.sound._track", refuse)
    out = tmp_path / "out.mp4"
    result = cli("video", film, out, "--model", model, "-s", "wave", "--size", 32)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"12 frames in {out}, silent"
    assert (
        result.stderr.strip() == f"Warning: {film}: 1 sound track could not be kept: {out} takes none such."
    )
