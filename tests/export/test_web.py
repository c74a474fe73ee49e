"""What is written for the browser, and that the examples name what exported files have."""

import configparser
import json
import re
from pathlib import Path

import numpy as np
import pytest

from keras_gen.export.signatures import Port, Signature, signatures
from keras_gen.export.tflite import to_tflite
from keras_gen.export.web import next_steps, page_kind, write_page

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def style(models, tmp_path_factory):
    """A small style network, and its file for uint8 pictures of 32x32."""
    model = models("fast")
    path = tmp_path_factory.mktemp("style") / "painter.tflite"
    to_tflite(model, path, "float32", image_size=32, uint8=True, verbose=False)
    return model, path


def test_the_page_is_written_with_the_model(style, tmp_path):
    model, path = style
    index = write_page(tmp_path / "page", [path], model, title="My styles")
    assert index == tmp_path / "page" / "index.html"
    assert (tmp_path / "page" / "painter.tflite").read_bytes() == path.read_bytes()
    assert json.loads((tmp_path / "page" / "model.json").read_text("utf-8")) == {
        "title": "My styles",
        "kind": "picture",
        "signature": "stylize",
        "files": [{"file": "painter.tflite", "width": 32, "height": 32}],
        "inputs": [
            {"name": "image", "kind": "image", "bounds": [-1, 1]},
            {"name": "weights", "kind": "weights", "labels": ["waves", "stars", "scream"]},
            {"name": "strength", "kind": "number", "bounds": [0, 1]},
        ],
        "outputs": [{"name": "image", "kind": "image", "bounds": [-1, 1]}],
    }


def test_everything_that_the_page_loads_is_in_its_folder(style, tmp_path):
    model, path = style
    write_page(tmp_path, [path], model)
    named = re.findall(r'(?:href|src)="([^":]+)"', (tmp_path / "index.html").read_text("utf-8"))
    for script in tmp_path.glob("*.js"):
        text = script.read_text("utf-8")
        named += re.findall(r'"\./(\w+\.js)"', text) + re.findall(r'(?:fetch|register)\("([\w.]+)"\)', text)
    assert {"page.css", "page.js", "runtime.js", "offline.js", "model.json"} <= set(named)
    assert {name for name in named if not (tmp_path / name).is_file()} == set()


def test_the_wheel_holds_the_page(style, tmp_path):
    model, path = style
    write_page(tmp_path, [path], model)
    written = {path.name for path in tmp_path.iterdir()} - {"model.json", "painter.tflite"}
    setup = configparser.ConfigParser()
    setup.read(EXAMPLES.parent / "setup.cfg")
    patterns = setup["options.package_data"]["keras_gen.export.page"].split(", ")
    assert written == {path.name for pattern in patterns for path in (EXAMPLES / "web").glob(pattern)}


def test_the_import_map_leads_to_what_npm_installs():
    packages = json.loads((EXAMPLES / "web" / "package.json").read_text("utf-8"))["dependencies"]
    page = (EXAMPLES / "web" / "index.html").read_text("utf-8")
    imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)[1])["imports"]
    assert set(imports) == set(packages)
    assert all(target.startswith(f"./node_modules/{name}/") for name, target in imports.items())
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in packages.values())


def test_writing_again_keeps_what_npm_installed(style, tmp_path):
    model, path = style
    write_page(tmp_path, [path], model)
    assert next_steps(tmp_path)[0] == f"npm install --prefix {tmp_path}"
    (tmp_path / "node_modules" / "@litertjs" / "core").mkdir(parents=True)
    write_page(tmp_path, [path], model, title="Again")
    assert json.loads((tmp_path / "model.json").read_text("utf-8"))["title"] == "Again"
    assert next_steps(tmp_path) == [f"python -m http.server --directory {tmp_path} 8000"]
    assert next_steps("my page")[0] == "npm install --prefix 'my page'"
    assert not list(tmp_path.glob(".*"))


def test_a_page_shows_the_file_that_makes_images(models, tmp_path):
    vae = models("vae")
    files = [tmp_path / f"{name}.tflite" for name in ("encode", "decode")]
    for file in files:
        to_tflite(vae, file, "float32", signature=file.stem, verbose=False)
    write_page(tmp_path / "page", files, vae)
    manifest = json.loads((tmp_path / "page" / "model.json").read_text("utf-8"))
    assert (manifest["kind"], manifest["signature"]) == ("walk", "decode")
    assert [file["file"] for file in manifest["files"]] == ["decode.tflite"]
    with pytest.raises(ValueError, match=r"received encode\.tflite \(encode\)"):
        write_page(tmp_path / "none", files[:1], vae)
    assert not (tmp_path / "none").exists()


def _signature(*kinds, gives="image", portable=True):
    inputs = tuple(Port(kind, kind, ()) for kind in kinds)
    return Signature("any", lambda **inputs: inputs, inputs, (Port("made", gives, ()),), portable)


@pytest.mark.parametrize(
    ("signature", "kind"),
    [
        (_signature("image", "weights", "number"), "picture"),
        (_signature("image", "label"), "picture"),
        (_signature("latent"), "walk"),
        (_signature("latent", "label"), "walk"),
        (_signature("codes"), None),
        (_signature("image", "statistics"), None),
        (_signature("label"), None),
        (_signature("image", gives="latent"), None),
        (_signature("latent", portable=False), None),
    ],
)
def test_kinds_of_page(signature, kind):
    assert page_kind(signature) == kind


def test_files_that_the_page_cannot_run_are_refused(style, models, tmp_path):
    model, path = style
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"broken\.tflite is not a \.tflite file"):
        write_page(tmp_path / "page", [broken], model)
    with pytest.raises(ValueError, match="received no file"):
        write_page(tmp_path / "page", [], model)
    with pytest.raises(ValueError, match=r"received painter\.tflite \(stylize\)"):
        write_page(tmp_path / "page", [path], models("gan"))
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("file", ["android/Stylizer.kt", "ios/Stylizer.swift"])
def test_the_examples_name_what_a_file_has(style, file):
    from ai_edge_litert.interpreter import Interpreter

    model, path = style
    interpreter = Interpreter(str(path))
    (signature,) = interpreter.get_signature_list()
    runner = interpreter.get_signature_runner(signature)
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    source = (EXAMPLES / file).read_text("utf-8")
    # No other strings are in them.
    assert set(re.findall(r'"(\w+)"', source)) == {signature, *inputs, *outputs}
    assert set(inputs) == {port.name for port in signatures(model)["stylize"].inputs}
    # The bytes of a camera, and floats.
    assert inputs["image"]["dtype"] == outputs["image"]["dtype"] == np.uint8
    assert tuple(inputs["image"]["shape"]) == tuple(outputs["image"]["shape"]) == (1, 32, 32, 3)
    assert inputs["weights"]["dtype"] == inputs["strength"]["dtype"] == np.float32
