import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from keras_gen import data, pictures
from keras_gen.cli import errors
from keras_gen.networks.transformer_net import transformer_net
from keras_gen.pictures import Picture
from keras_gen.style import FastStyleTransfer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The file of a small model of three styles that differ: they are drawn, not trained."""
    keras.utils.set_random_seed(1)
    network = transformer_net(3, width=8, separable=True, blocks=1)
    random = np.random.default_rng(0)
    for weight in network.weights:
        if weight.name in ("gamma", "beta"):
            weight.assign(random.normal(0.5, 0.5, weight.shape))
    textures = network.get_layer("texture").textures
    textures.assign(random.normal(0, 0.1, textures.shape))
    path = tmp_path_factory.mktemp("model") / "three.keras"
    FastStyleTransfer(network, ["great-wave", "great-fire", "mosaic"]).save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    y, x = np.mgrid[:60, :90]
    pixels = np.dstack([2 * x, 4 * y, 128 + 60 * np.sin(x / 5 + y / 7)]).astype("uint8")
    pictures.write(Picture(pixels), tmp_path / "photo.png")
    return tmp_path / "photo.png"


def painted(model, photo, style, strength=1.0, texture=1.0):
    loaded = keras.saving.load_model(model)
    made = loaded.stylize(pictures.read(photo).pixels / np.float32(127.5) - 1, style, strength, texture)
    return np.clip(made, -1, 1) * 127.5 + 127.5


def test_what_is_written_is_what_the_model_paints(cli, model, photo, tmp_path):
    out = tmp_path / "new" / "out.png"
    result = cli("stylize", photo, "--model", model, "--style", "mosaic", "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out)
    np.testing.assert_allclose(pictures.read(out).pixels, painted(model, photo, "mosaic"), atol=1)
    assert np.abs(pictures.read(out).pixels - painted(model, photo, "great-wave")).mean() > 10


def test_a_blend_by_beginnings_of_names_and_strength(cli, model, photo, tmp_path):
    out = tmp_path / "out.png"
    arguments = ("--style", "great-w=1", "--style", "mos=3", "--strength", 0.5, "--model", model)
    assert cli("stylize", photo, *arguments, "-o", out).exit_code == 0
    expected = painted(model, photo, [0.25, 0, 0.75], 0.5)
    np.testing.assert_allclose(pictures.read(out).pixels, expected, atol=1)


def test_textures_are_left_out(cli, model, photo, tmp_path):
    whole, calm, sheet = (tmp_path / f"{name}.png" for name in ("whole", "calm", "sheet"))
    for out, options in (
        (whole, ["--style", "mosaic"]),
        (calm, ["--style", "mosaic", "--texture", 0]),
        (sheet, ["--sheet", "--texture", 0]),
    ):
        result = cli("stylize", photo, "--model", model, *options, "-o", out)
        assert result.exit_code == 0, result.output
    made = pictures.read(calm).pixels
    np.testing.assert_allclose(made, painted(model, photo, "mosaic", texture=0.0), atol=1)
    assert np.abs(pictures.read(whole).pixels - made.astype(float)).max() > 3
    np.testing.assert_array_equal(pictures.read(sheet).pixels[104:164, 114:204], made)  # the fourth


def test_colours_are_preserved(cli, model, photo, tmp_path):
    out = tmp_path / "out.png"
    assert (
        cli("stylize", photo, "--model", model, "-s", "mosaic", "--preserve-color", "-o", out).exit_code == 0
    )
    before, after = (pictures.read(path).pixels.astype(float) for path in (photo, out))
    clipped = (after == 0) | (after == 255)
    inside = ~clipped.any(-1)
    assert inside.mean() > 0.1
    difference = (after - before)[inside]
    np.testing.assert_allclose(difference, np.broadcast_to(difference[:, :1], difference.shape), atol=1)


def test_size_alpha_and_the_default_name(cli, model, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alpha = np.full((60, 90), 255, "uint8")
    alpha[:30] = 0
    pictures.write(Picture(pictures.read(photo).pixels, alpha), "see-through.png")
    result = cli("stylize", "see-through.png", "--model", model, "--style", "mosaic", "--size", 45)
    assert result.exit_code == 0, result.output
    found = pictures.read("see-through-mosaic.png")
    assert found.pixels.shape == (30, 45, 3)
    assert found.alpha[:11].max() == 0
    assert found.alpha[19:].min() == 255


def test_nothing_is_overwritten_without_force(cli, model, photo, tmp_path):
    out = tmp_path / "out.png"
    out.write_bytes(b"precious")
    arguments = ("stylize", photo, "--model", model, "--style", "mosaic", "-o", out)
    result = cli(*arguments)
    assert result.exit_code == errors.FAILED
    assert "--force" in result.stderr
    assert out.read_bytes() == b"precious"
    assert cli(*arguments, "--force").exit_code == 0
    assert pictures.read(out).pixels.shape == (60, 90, 3)


@pytest.mark.parametrize("folder", [False, True])
def test_no_photograph_is_replaced_by_its_picture(cli, model, photo, tmp_path, folder):
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.png").write_bytes(before := photo.read_bytes())
    source = own if folder else own / "a.png"
    result = cli("stylize", source, "--model", model, "--style", "mosaic", "-o", own, "--force")
    assert result.exit_code == errors.FAILED
    assert "read and written at once" in result.stderr
    assert (own / "a.png").read_bytes() == before


def test_no_picture_takes_the_place_of_another_photograph(cli, model, photo, tmp_path):
    """Of a/sub/x.png the picture would be out/sub/x.png, which is to be painted too."""
    for name in ("a/sub/x.png", "out/sub/x.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(before := photo.read_bytes())
    options = ("--model", model, "--style", "mosaic", "-o", tmp_path / "out", "--force")
    assert "read and written at once" in cli("stylize", tmp_path / "a", path, *options).stderr
    assert path.read_bytes() == before


def test_a_folder_goes_into_a_folder(cli, model, photo, tmp_path):
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    for name in ("a.jpg", "inner/b.png", "c.ppm", "there.png"):
        pictures.write(pictures.read(photo), folder / name)
    (folder / "cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:500])
    (folder / "notes.txt").write_text("no image")
    out = tmp_path / "out"
    out.mkdir()
    (out / "there.png").write_bytes(b"precious")
    result = cli("stylize", folder, "--model", model, "--style", "mosaic", "-o", out)
    assert result.exit_code == errors.FAILED
    assert "cut.jpg is not an image" in result.stderr
    assert "1 of 5 images could not be painted" in result.stderr
    assert "3 images in" in result.stdout
    assert "1 file there before" in result.stdout
    found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert found == {"a.jpg", "inner/b.png", "c.ppm", "there.png"}
    assert (out / "there.png").read_bytes() == b"precious"


def test_a_file_is_no_folder_and_that_is_told_before_painting(cli, photo, tmp_path):
    for image, target in ((photo, "a.png"), (photo.parent, "painted")):
        result = cli("stylize", image, "--model", tmp_path / "none", "-s", "mosaic", "-o", photo / target)
        assert result.exit_code == errors.FAILED
        assert "photo.png is no folder" in " ".join(result.stderr.split())


def test_a_folder_within_the_folder_is_not_painted_again(cli, model, photo):
    folder = photo.parent
    for more in ((), ("--force",)):
        result = cli("stylize", folder, "--model", model, "-s", "mosaic", "-o", folder / "out", *more)
        assert result.exit_code == 0, result.output
        assert [path.name for path in (folder / "out").rglob("*")] == ["photo.png"]
    (folder / "in").mkdir()
    photo.rename(folder / "in" / "photo.png")
    result = cli("stylize", folder / "in", "--model", model, "-s", "mosaic", "-o", folder)
    assert "1 image in" in result.stdout
    assert photo.is_file()
    result = cli("stylize", folder / "out", folder / "out", "--model", model, "-s", "mosaic", "-o", folder)
    assert "Two images would both become" in result.stderr


def test_a_folder_of_painted_or_damaged_images_alone(cli, model, photo, tmp_path):
    pictures.write(pictures.read(photo), tmp_path / "all" / "out" / "a.png")
    arguments = ("--model", model, "-s", "mosaic", "-o", tmp_path / "all" / "out")
    assert "but those painted, in" in cli("stylize", tmp_path / "all", *arguments).stderr
    (tmp_path / "all" / "cut.png").write_bytes(photo.read_bytes()[:200])
    assert "1 of 1 image could not be painted.\n" in cli("stylize", tmp_path / "all", *arguments).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of Unix")
def test_no_picture_is_sent_to_a_terminal(photo):
    import pty

    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "keras_gen", "stylize", "-", "--style", "great-wave"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=end, stderr=subprocess.PIPE, text=True)
    os.close(end)
    os.close(terminal)
    assert result.returncode == errors.FAILED
    assert result.stderr.startswith("Error: Standard output is a terminal: send the picture to a file")


def test_from_pipe_to_pipe(cli, model, photo, monkeypatch):
    """Nothing but the picture is on standard output."""
    from typer.testing import CliRunner

    from keras_gen.cli.main import app

    result = CliRunner().invoke(
        app, ["stylize", "-", "--model", str(model), "--style", "mosaic"], input=photo.read_bytes()
    )
    assert result.exit_code == 0, result.stderr
    with Image.open(io.BytesIO(result.stdout_bytes)) as opened:
        assert opened.size == (90, 60)


def test_a_sheet_shows_every_style(cli, model, photo, tmp_path):
    out = tmp_path / "sheet.png"
    result = cli("stylize", photo, "--model", model, "--sheet", "--size", 90, "-o", out)
    assert result.exit_code == 0, result.output
    sheet = pictures.read(out).pixels
    assert sheet.shape == (2 * (60 + 20 + 12) + 12, 2 * (90 + 12) + 12, 3)
    np.testing.assert_array_equal(sheet[12:72, 12:102], pictures.read(photo).pixels)
    np.testing.assert_allclose(sheet[104:164, 114:204], painted(model, photo, "mosaic"), atol=1)
    assert sheet[72:92, 12:102].min() < 100  # a name is written below
    # Unless it is told to, a sheet makes no picture larger.
    assert cli("stylize", photo, "--model", model, "--sheet", "-o", out, "--force").exit_code == 0
    np.testing.assert_array_equal(pictures.read(out).pixels, sheet)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--style", "graet-wave"], "Did you mean 'great-wave'?"),
        (["--style", "great"], "could be any of great-wave, great-fire"),
        ([], "There are: great-wave, great-fire, mosaic"),
        (["--style", "mosaic=no"], "NAME=WEIGHT"),
        (["--style", "mosaic", "--strength", "2"], "from 0 to 1"),
        (["--style", "mosaic", "--texture", "2"], "texture must be from 0 to 1; received 2"),
        (["--style", "mosaic", "--method", "gatys"], "from a painting"),
        (["--style", "mosaic", "--steps", "3"], "takes --steps: add --method gatys"),
        (["--sheet", "--method", "gatys", "--model", "none"], "leave out --style, --method"),
        (["--style", "mosaic", "--method", "fats"], "Did you mean 'fast'?"),
        (["--style", "nowhere.jpg"], "no painting nowhere.jpg"),
        (["--style", "mosaic", "--sheet"], "leave out --style"),
        (["--style", __file__, "--method", "gatys", "--texture", "1"], "itself: leave out --texture"),
        (["--style", "mosaic", "-o", "painted"], "such as .png, .jpg or .webp. A folder's name must end in"),
    ],
)
def test_mistakes_are_one_sentence(cli, model, photo, arguments, said):
    result = cli("stylize", photo, "--model", model, *arguments)
    assert result.exit_code == errors.FAILED
    assert said in " ".join(result.stderr.split())
    assert result.stderr.count("\n") == 1


def test_damaged_images_and_models_are_one_sentence(cli, model, photo, tmp_path):
    cut, text = tmp_path / "cut.png", tmp_path / "text.png"
    text.write_text("no picture")
    zipfile.ZipFile(tmp_path / "a.tflite", "w").close()
    cut.write_bytes(photo.read_bytes()[:200])
    for arguments, said in (
        ([cut, "--model", model], "cut.png is not an image"),
        ([text, "--model", model], "text.png is not an image that Pillow can read.\n"),
        ([tmp_path / "none.png", "--model", model], "no file or folder"),
        (
            [photo, "--model", tmp_path / "a.tflite"],
            "a.tflite is not a model of Keras: give a run of train-style",
        ),
        ([photo, "--model", cut], "cut.png is damaged, of another version, or not a model of Keras"),
        ([photo, "--model", tmp_path / "no"], "train-style"),
    ):
        result = cli("stylize", *arguments, "--style", "mosaic", "-o", tmp_path / "out.png")
        assert result.exit_code == errors.FAILED
        assert said in result.stderr
        assert result.stderr.count("\n") == 1


def test_what_a_format_cannot_hold_is_told_before_painting(cli, model, tmp_path, monkeypatch):
    Image.fromarray(np.zeros((4, 16_384, 3), "uint8")).save(tmp_path / "wide.png")
    monkeypatch.setattr("keras_gen.style.painter.Painter.__call__", None)  # painting would fail
    result = cli("stylize", tmp_path / "wide.png", "--model", model, "--style", "mosaic", "-o", "wide.webp")
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "WEBP takes at most 16,383 pixels a side; received 16,384 by 4: make it a PNG" in said
    Image.fromarray(np.zeros((4, 9000, 3), "uint8")).save(tmp_path / "half.png")
    result = cli(
        "stylize", tmp_path / "half.png", "--model", model, "--sheet", "--size", 9000, "-o", "a.webp"
    )
    # Two columns, and 12 pixels beside each and between them; rows of 4, of 56 for a name, and of 12.
    assert "received 18,036 by 156" in " ".join(result.stderr.split())


def test_a_file_does_not_take_the_place_of_a_style(cli, model, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mosaic").write_bytes(photo.read_bytes())
    assert cli("stylize", photo, "--model", model, "--style", "mosaic", "-o", "out.png").exit_code == 0
    np.testing.assert_allclose(pictures.read("out.png").pixels, painted(model, photo, "mosaic"), atol=1)
    said = cli("stylize", photo, "--model", model, "--style", "./mosaic", "-o", "b.png").stderr
    assert "paints only in its own styles" in " ".join(said.split())


def test_several_images_need_a_folder(cli, model, photo):
    arguments = ("stylize", photo, photo, "--model", model, "-s", "mosaic")
    assert "name one by --out" in cli(*arguments).stderr
    assert "one.jpg is the name of an image" in cli(*arguments, "-o", "one.jpg").stderr
    (photo.parent / "empty").mkdir()
    assert "no images in" in cli("stylize", photo.parent / "empty", "-s", "mosaic").stderr


# What getrusage tells of a child may be its parent's.
_MEASURED = """
import atexit, pathlib, re
from keras_gen.cli.main import main
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(*re.findall("VmHWM:[^0-9]*([0-9]+) kB", status.read_text())))
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="systems measure memory in units of their own")
@pytest.mark.parametrize("painting", [False, True], ids=["trained", "any"])
def test_40_megapixels_within_4_gigabytes(tmp_path, painting):
    own = Path(data.__file__).with_name("aigues-mortes.jpg")
    photo = Image.open(own).resize((7728, 5184), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "large.jpg", quality=90)
    style = own if painting else "great-wave"
    command = [sys.executable, "-c", _MEASURED, "stylize", "large.jpg", "--style", style, "-o", "out.jpg"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Image.open(tmp_path / "out.jpg").size == (7728, 5184)
    assert int(result.stdout.split()[-1]) < 4 * 1024**2
