"""The page in a real browser: what it shows is what Python computes."""

import contextlib
import functools
import http.server
import shutil
import subprocess
import threading
import time

import numpy as np
import pytest
from PIL import Image

from keras_gen.export.signatures import signatures
from keras_gen.export.tflite import to_tflite
from keras_gen.export.web import write_page
from keras_gen.style import pretrained

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")

SIZE = 128
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# As in a container: no sandbox, and no word to other machines.
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
# A graphics card computed by the processor.
GRAPHICS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]

PIXELS = """(canvas) => {
  const { width, height } = canvas;
  return [height, width, [...canvas.getContext("2d").getImageData(0, 0, width, height).data]];
}"""
SHOWN = """async () => {
  const { shown } = await import("./page.js");
  return Object.fromEntries(Object.entries(shown.inputs).map(([name, values]) => [name, [...values]]));
}"""
SEED_IS_SHOWN = """async (seed) => {
  const [{ shown }, { latentAt }] = await Promise.all([import("./page.js"), import("./walk.js")]);
  const expected = latentAt(seed, 0, shown.inputs.latent.length);
  return shown.inputs.latent.every((value, i) => value === expected[i]);
}"""
LABEL_IS_SHOWN = """async (label) => (await import("./page.js")).shown.inputs.label[0] === label"""
TIMEOUT = 120_000  # milliseconds, for a machine with other work


@pytest.fixture(scope="module")
def launch():
    """Starts a headless Chromium: one that is installed, or Playwright's own."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    with sync_api.sync_playwright() as playwright:

        def start(*flags):
            try:
                return playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
            except sync_api.Error as error:
                pytest.skip(f"needs Chromium, of the system or by `playwright install chromium`: {error}")

        yield start


@pytest.fixture(scope="module")
def browser(launch):
    with contextlib.closing(launch("--disable-gpu")) as made:
        yield made


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """A node_modules folder with LiteRT.js, as `npm install` makes it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, which fetches LiteRT.js")
    folder = tmp_path_factory.mktemp("runtime")
    model = pretrained()
    write_page(folder, [_file(model, folder / "any.tflite", image_size=32)], model)
    run = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True
    )
    if run.returncode:
        pytest.skip(f"npm could not fetch LiteRT.js: {run.stderr.strip()[-300:]}")
    return folder / "node_modules"


def _file(model, path, **options):
    to_tflite(model, path, "float32", verbose=False, **options)
    return path


@contextlib.contextmanager
def _served(folder, port=0):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def _site(folder, runtime, model, **options):
    """A folder with the page of a model, LiteRT.js in it."""
    folder.mkdir()
    write_page(folder, [_file(model, folder / "model.tflite", **options)], model)
    (folder / "node_modules").symlink_to(runtime)
    return folder


@pytest.fixture(scope="module")
def styles(runtime, tmp_path_factory):
    model = pretrained()
    return model, _site(tmp_path_factory.mktemp("sites") / "styles", runtime, model, image_size=SIZE)


@pytest.fixture(scope="module")
def gan(models, runtime, tmp_path_factory):
    model = models("gan")
    # As bold as if it were trained.
    model.sampler.set_weights([4 * weight for weight in model.sampler.get_weights()])
    return model, _site(tmp_path_factory.mktemp("sites") / "gan", runtime, model)


@contextlib.contextmanager
def _visit(browser, site, **options):
    """A page in a window of its own, once it is ready."""
    with _served(site) as address, _page(browser, **options) as page:
        page.goto(address)
        _ready(page)
        yield page


@contextlib.contextmanager
def _page(browser, **options):
    with contextlib.closing(browser.new_context(**options)) as context:
        context.set_default_timeout(TIMEOUT)
        yield context.new_page()


def _ready(page):
    page.wait_for_selector("html[data-ready], #status.failed")


def _pixels(page, canvas):
    height, width, values = page.eval_on_selector(f"canvas#{canvas}", PIXELS)
    return np.array(values, np.uint8).reshape(height, width, 4)


def _inputs(page, signature):
    given = page.evaluate(SHOWN)
    shapes = {
        port.name: (1, *(SIZE if side is None else side for side in port.shape)) for port in signature.inputs
    }
    return {name: np.array(values, np.float32).reshape(shapes[name]) for name, values in given.items()}


def _by_litert(site, inputs):
    """The picture that LiteRT in Python makes of the same numbers, uint8."""
    from ai_edge_litert.interpreter import Interpreter

    return _bytes(Interpreter(str(site / "model.tflite")).get_signature_runner()(**inputs)["image"][0])


def _by_keras(signature, inputs):
    return _bytes(signature.function(**inputs)["image"].numpy()[0])


def _bytes(values):
    return np.clip(np.round((values + 1) * 127.5), 0, 255).astype(np.uint8)


def _difference(a, b):
    return np.abs(a.astype(int) - b.astype(int)).max()


def _photograph(path, height=301, width=173):
    """A picture of an odd size: smooth colours, a hard edge, and noise."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    pixels = np.stack([rows, columns, (rows + columns < 0.8) * 0.7], -1) * 220 + random.uniform(
        0, 30, (height, width, 3)
    )
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def _paint(page, path=None):
    """Waits for the picture of the settings as they are, or of a file."""
    if path is not None:
        _forget(page)
        page.set_input_files("#choose-image", path)
    page.wait_for_function("/^Painted|could not|cannot/.test(document.getElementById('status').textContent)")
    return page.inner_text("#status")


def _forget(page):
    """Empties the status, of which the next one is waited for."""
    page.evaluate("document.getElementById('status').textContent = ''")


def _choose(page, style):
    _forget(page)
    page.get_by_label("Style").select_option(label=style)


def test_the_page_paints_what_python_paints(browser, styles, tmp_path):
    model, site = styles
    signature = signatures(model)["stylize"]
    path = _photograph(tmp_path / "photograph.png")
    with _visit(browser, site) as page:
        assert page.inner_text("#status") == "Choose a file for “Image”, or drop it here."
        assert page.get_by_label("Style").locator("option").all_inner_texts() == list(model.styles)
        assert _paint(page, path).startswith("Painted 74 \N{MULTIPLICATION SIGN} 128 in ")
        _choose(page, model.styles[2])
        _paint(page)
        source, result, inputs = (
            _pixels(page, "source-image"),
            _pixels(page, "result"),
            _inputs(page, signature),
        )
        # The picture is the uploaded one, fitted into the model's size.
        uploaded = np.asarray(Image.open(path).resize((74, SIZE), Image.Resampling.LANCZOS))
        assert np.abs(source[..., :3] - uploaded.astype(float)).mean() < 4
        # The model gets these pixels, and beside them their mirror image.
        mirrored = np.pad(source[..., :3], ((0, 0), (0, SIZE - 74), (0, 0)), "symmetric")
        np.testing.assert_allclose(inputs["image"][0], mirrored / 127.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(inputs["weights"], [model.style_weights(2)])
        np.testing.assert_array_equal(inputs["strength"], [1])
        # What it shows is what Python makes of them.
        assert result.shape == (SIZE, 74, 4)
        assert (result[..., 3] == 255).all()
        for expected in (_by_litert(site, inputs), _by_keras(signature, inputs)):
            assert _difference(result[..., :3], expected[:, :74]) <= 2
        assert _difference(result[..., :3], source[..., :3]) > 50


def test_a_graphics_card_paints_the_same(launch, runtime, models, tmp_path):
    site = _site(tmp_path / "site", runtime, models("fast"), image_size=64)
    path = _photograph(tmp_path / "photograph.png", 64, 50)
    with contextlib.closing(launch(*GRAPHICS)) as browser, _visit(browser, site) as page:
        if not page.get_by_label("Computed on").is_visible():
            pytest.skip("this Chromium has no WebGPU without a graphics card")
        _paint(page, path)
        result = _pixels(page, "result")
        _forget(page)
        page.get_by_label("Computed on").select_option("the graphics card")
        assert _paint(page).startswith("Painted")
        assert page.evaluate("document.getElementById('result').width") == 50
        assert _difference(_pixels(page, "result"), result) <= 2


def test_strength_and_download(browser, styles, tmp_path):
    model, site = styles
    path = _photograph(tmp_path / "photograph.png", 64, 201)
    with _visit(browser, site) as page:
        _paint(page, path)
        _forget(page)
        page.get_by_label("Strength").fill("0")
        _paint(page)
        assert _difference(_pixels(page, "result"), _pixels(page, "source-image")) <= 1
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Download the result").click()
        assert downloading.value.suggested_filename == f"photograph-{model.styles[0]}.png"
        downloading.value.save_as(tmp_path / "result.png")
        saved = np.asarray(Image.open(tmp_path / "result.png").convert("RGBA"))
        np.testing.assert_array_equal(saved, _pixels(page, "result"))


def test_the_walk_shows_what_python_generates(browser, gan):
    model, site = gan
    signature = signatures(model)["generate"]
    with _visit(browser, site) as page:
        page.get_by_role("button", name="Pause").click()
        moving = _pixels(page, "result")
        page.get_by_label("Seed").fill("7")
        page.get_by_label("Seed").press("Enter")
        page.wait_for_function(SEED_IS_SHOWN, arg=7)
        inputs, result = _inputs(page, signature), _pixels(page, "result")
        assert _difference(result, moving) > 20
        for expected in (_by_litert(site, inputs), _by_keras(signature, inputs)):
            assert _difference(result[..., :3], np.repeat(expected, 3, -1)) <= 2
        # Paused is paused.
        page.wait_for_timeout(300)
        np.testing.assert_array_equal(_pixels(page, "result"), result)
        page.get_by_role("button", name="Play").click()
        deadline = time.monotonic() + TIMEOUT / 1000
        while _difference(_pixels(page, "result"), result) < 20:
            assert time.monotonic() < deadline


def test_the_walk_is_through_standard_normal_vectors(browser, gan):
    _, site = gan
    ask = """async ([seed, time, size]) => [...(await import("./walk.js")).latentAt(seed, time, size)]"""
    with _visit(browser, site) as page:
        start, middle, end, other = (
            np.array(page.evaluate(ask, [*where, 20_000])) for where in [(3, 0), (3, 0.5), (3, 1), (4, 0)]
        )
        again, near = (np.array(page.evaluate(ask, [3, time, 20_000])) for time in (0.5, 0.51))
    np.testing.assert_array_equal(middle, again)
    for point in (start, middle, end, other):
        # Standard errors are 0.007 and 0.005.
        assert abs(point.mean()) < 0.03
        assert abs(point.std() - 1) < 0.02
        assert abs(np.mean(np.abs(point) < 1) - 0.6827) < 0.015
    for one, another in [(start, end), (start, other)]:
        assert abs(np.corrcoef(one, another)[0, 1]) < 0.03
    np.testing.assert_allclose(middle, (start + end) / np.sqrt(2), atol=0.05)
    assert 0 < np.abs(near - middle).max() < 0.1


def test_classes_are_chosen_by_name(browser, runtime, models, tmp_path):
    model = models("conditional-vae")
    signature = signatures(model)["decode"]
    site = _site(tmp_path / "site", runtime, model, signature="decode")
    with _visit(browser, site, reduced_motion="reduce") as page:
        assert page.inner_text("#status") == "Paused."
        first = _pixels(page, "result")
        page.get_by_label("Label").select_option("2")
        page.wait_for_function(LABEL_IS_SHOWN, arg=2)
        inputs = {**_inputs(page, signature), "label": np.array([2], np.int32)}
        assert _difference(_pixels(page, "result"), first) > 2
        assert _difference(_pixels(page, "result")[..., :1], _by_keras(signature, inputs)) <= 2


def test_camera_bytes(browser, runtime, models, tmp_path):
    model = models("fast")
    site = _site(tmp_path / "site", runtime, model, image_size=64, uint8=True)
    path = _photograph(tmp_path / "photograph.png", 50, 50)
    with _visit(browser, site) as page:
        assert _paint(page, path).startswith("Painted 64 \N{MULTIPLICATION SIGN} 64 in ")
        source, result = _pixels(page, "source-image")[..., :3], _pixels(page, "result")[..., :3]
    expected = model.stylize(source / np.float32(127.5) - 1, 0)
    assert _difference(result, _bytes(expected)) <= 2


def test_the_second_visit_has_threads_and_needs_no_network(browser, styles, tmp_path):
    _, site = styles
    path = _photograph(tmp_path / "photograph.png")
    results = []

    def visit(page, threads):
        _ready(page)
        assert page.evaluate("crossOriginIsolated") == threads
        assert _paint(page, path).startswith("Painted")
        results.append(_pixels(page, "result"))

    with _page(browser) as page:
        with _served(site) as address:
            page.goto(address)
            visit(page, threads=False)
        # The server is gone.
        page.reload()
        visit(page, threads=True)
    with _visit(browser, site) as page:
        page.reload()
        visit(page, threads=True)
        fetched = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
        assert any(name.endswith("threaded_internal.wasm") for name in fetched)
    for result in results[1:]:
        assert _difference(result, results[0]) <= 2


def test_the_worker_leaves_when_another_page_takes_its_address(browser, styles, tmp_path):
    _, site = styles
    (tmp_path / "index.html").write_text("<title>Another</title>")
    with _page(browser) as page:
        with _served(site) as address:
            page.goto(address)
            _ready(page)
            page.reload()
            _ready(page)
            assert page.evaluate("crossOriginIsolated")
        with _served(tmp_path, int(address.rstrip("/").rpartition(":")[2])):
            page.reload()
            assert page.title() == "Another"
            assert not page.evaluate("crossOriginIsolated")
            page.reload()
            assert page.evaluate("async () => (await navigator.serviceWorker.getRegistrations()).length") == 0


def test_errors_are_sentences(browser, styles, tmp_path):
    _, site = styles
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG and no more")
    with _visit(browser, site) as page:
        page.set_input_files("#choose-image", tmp_path / "damaged.png")
        page.wait_for_selector("#status.failed")
        assert page.inner_text("#status") == (
            "This browser cannot read damaged.png as a picture: choose a JPEG, PNG or WebP."
        )
        # The page goes on.
        assert _paint(page, _photograph(tmp_path / "photograph.png")).startswith("Painted")
    for missing, sentence in (
        (
            "model.json",
            "There is no model beside this page: export one with “keras-gen export RUN --web FOLDER”.",
        ),
        (
            "node_modules",
            "LiteRT.js is not installed: run “npm install” in the folder of this page, and reload it.",
        ),
        ("model.tflite", "model.tflite is not beside this page."),
    ):
        partial = tmp_path / missing.replace(".", "-")
        shutil.copytree(site, partial, symlinks=True)
        (partial / missing).unlink()
        with _visit(browser, partial) as page:
            assert page.inner_text("#status.failed") == sentence
    with _page(browser) as page:
        page.goto((site / "index.html").as_uri())
        assert page.inner_text("#status").startswith("A browser runs this page only from a server")


@pytest.mark.parametrize("width", [320, 1280])
def test_it_can_be_used_by_everyone(browser, styles, tmp_path, width):
    _, site = styles
    with _visit(browser, site, viewport={"width": width, "height": 700}, has_touch=width == 320) as page:
        _paint(page, _photograph(tmp_path / "photograph.png"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for control in page.locator("input, select").all():
            assert control.evaluate("control => control.labels[0].textContent.trim()")
        for canvas in page.locator("canvas").all():
            assert canvas.get_attribute("role") == "img"
            assert canvas.get_attribute("aria-label")
        # From the keyboard alone: the style, and the button.
        page.get_by_label("Style").focus()
        _forget(page)
        page.keyboard.press("ArrowDown")
        assert _paint(page).startswith("Painted")
        assert page.get_by_label("Style").input_value() == "1"
        with page.expect_download():
            page.get_by_role("button", name="Download the result").focus()
            page.keyboard.press("Enter")
