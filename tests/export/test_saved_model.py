"""SavedModels: served as TF Serving does it, they answer as the Keras model; folders, versions, bad input."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from serving_backends import SERVER, ask_grpc, ask_rest, run_sessions, serving

import keras_gen as kg
from keras_gen import atomic
from keras_gen.export import saved_model, verify
from keras_gen.export.encoded import encode_images
from keras_gen.export.signatures import Port, Signature, examples, signatures

SERVED = ["gan", "conditional-vae", "vq-vae", "fast", "adain"]


def _requests(model):
    """For each signature, its encoded variant, and the default: inputs, and what the model makes of them."""
    requests, expected = {}, {}
    for name, signature in signatures(model).items():
        inputs = examples(signature, 3, seed=5, size=(40, 56))
        files = encode_images(signature, inputs)
        function = tf.function(signature.function, autograph=False)
        made = {key: value.numpy() for key, value in function(**_constants(inputs)).items()}
        requests[name], expected[name] = (name, inputs), made
        if set(files) != set(inputs) or "image" in made:
            requests[f"{name}_jpeg"] = (f"{name}_jpeg", files)
            expected[f"{name}_jpeg"] = made
        if "default" not in requests:
            requests["default"], expected["default"] = ("serving_default", inputs), made
    return requests, expected


def _constants(inputs):
    return {name: tf.constant(value) for name, value in inputs.items()}


@pytest.fixture(scope="module")
def asked(models):
    return {name: _requests(models(name)) for name in SERVED}


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_models")
    return {name: kg.export.to_saved_model(models(name), folder / name, verbose=False) for name in SERVED}


@pytest.fixture(scope="module", params=["session", "grpc", "rest"])
def answers(request, asked, exported, tmp_path_factory):
    requests = {name: dict(requests) for name, (requests, _) in asked.items()}
    bad = {"latent": np.zeros((1, 4), "float32"), "label": np.array([3], "int32")}
    requests["conditional-vae"]["bad label"] = ("decode", bad)
    bright = np.full((1, 28, 28, 1), 255, "float32")
    requests["vq-vae"]["bad image"] = ("reconstruct", {"image": bright})
    if request.param == "session":
        yield run_sessions(exported, requests, tmp_path_factory.mktemp("requests"))
        return
    with serving(exported) as addresses:
        if addresses is None:
            pytest.skip(f"no {SERVER} on the PATH, and no TF_SERVING_URL")
        ask, address = {"grpc": (ask_grpc, addresses[0]), "rest": (ask_rest, addresses[1])}[request.param]
        yield {
            model: {name: ask(address, model, *each) for name, each in table.items()}
            for model, table in requests.items()
        }


@pytest.mark.parametrize("name", SERVED)
def test_answers_are_the_models(answers, asked, name):
    _, expected = asked[name]
    for request, wanted in expected.items():
        received = answers[name][request]
        assert "error" not in received, received
        if set(received) == {""}:  # REST names no single output
            received = {
                f"{key}_bytes" if request.endswith("_jpeg") and key == "image" else key: received[""]
                for key in wanted
            }
        for key, value in wanted.items():
            if request.endswith("_jpeg") and key == "image":
                pixels = np.stack([tf.io.decode_png(file).numpy() for file in received["image_bytes"]])
                # Inputs too are rounded to pixels.
                assert pixels.dtype == np.uint8
                assert np.abs(pixels / 127.5 - 1 - value).mean() < 0.02, request
            elif not request.endswith("_jpeg"):
                np.testing.assert_allclose(received[key], value, atol=1e-5, rtol=1e-5, err_msg=request)


def test_bytes_are_decoded_and_encoded_as_the_package_does_it(answers, models, asked):
    """To the pixel, but where a float falls between two of them."""
    model, (requests, _) = models("fast"), asked["fast"]
    inputs = requests["stylize_jpeg"][1]
    received = answers["fast"]["stylize_jpeg"]
    for i, file in enumerate(next(iter(received.values()))):
        image = tf.io.decode_png(inputs["image_bytes"][i]).numpy() / 127.5 - 1
        painted = model.stylize(image, inputs["weights"][i], float(inputs["strength"][i]))
        off = np.abs(tf.io.decode_png(file).numpy().astype(int) - kg.image.to_uint8(painted))
        assert off.max() <= 1
        assert off.mean() < 0.01


def test_requests_out_of_range_are_refused_in_words(answers):
    assert "label must be from 0 to 2" in str(answers["conditional-vae"]["bad label"]["error"])
    assert "image must be from -1.0 to 1.0" in str(answers["vq-vae"]["bad image"]["error"])


def test_warm_up_replays_every_signature(answers, models):
    if "warmup-0" not in answers["gan"]:
        pytest.skip("the server has replayed it before it was there")
    for name in SERVED:
        replayed = [each for key, each in answers[name].items() if key.startswith("warmup-")]
        assert {str(each["model"]) for each in replayed} == {name}
        table = signatures(models(name))
        assert {str(each["signature"]) for each in replayed} >= {*table, f"{next(iter(table))}_jpeg"}
        for each in replayed:
            key = str(each["signature"])
            if key not in table:
                continue
            function = tf.function(table[key].function, autograph=False)
            wanted = function(**_constants(_first(examples(table[key], 2, 0, size=(96, 128)))))
            for output, value in wanted.items():
                np.testing.assert_allclose(each[output], value, atol=1e-5, rtol=1e-5)


def _first(inputs):
    return {name: value[:1] for name, value in inputs.items()}


@pytest.fixture(scope="module")
def loaded(exported):
    return {name: tf.saved_model.load(str(exported[name])) for name in ("gan", "fast", "conditional-vae")}


def test_images_of_a_batch_may_differ_in_size(models, loaded):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*size, 3), np.uint8) for size in ((40, 56), (64, 32))]
    outputs = loaded["fast"].signatures["stylize_jpeg"](
        image_bytes=tf.constant([tf.io.encode_png(image).numpy() for image in images]),
        weights=tf.constant(np.eye(3, dtype="float32")[:2]),
        strength=tf.ones(2),
    )
    for image, file in zip(images, outputs["image_bytes"], strict=True):
        assert tf.io.decode_png(file).shape == image.shape


def test_photographs_of_another_size_are_resized_and_of_colour_made_grey(models, loaded):
    image = np.random.default_rng(0).integers(0, 256, (61, 90, 3), np.uint8)
    file = tf.io.encode_jpeg(image, quality=100)
    encoded = loaded["conditional-vae"].signatures["encode_jpeg"](
        image_bytes=file[None], label=tf.constant([1], tf.int32)
    )
    grey = tf.cast(tf.io.decode_jpeg(file, channels=1), tf.float32) / 127.5 - 1
    grey = tf.image.resize(grey, (28, 28), antialias=True)
    mean, _ = models("conditional-vae").encode(grey[None], [1])
    np.testing.assert_allclose(encoded["mean"], mean, atol=1e-5)


def test_only_what_is_served_is_saved(models, exported):
    saved = tf.train.list_variables(str(exported["gan"] / "variables" / "variables"))
    sizes = sorted(int(np.prod(shape)) for key, shape in saved if "OBJECT_GRAPH" not in key)
    assert sizes == sorted(weight.numpy().size for weight in models("gan").generator.weights)


def test_report_and_files_beside(exported):
    report = json.loads((exported["gan"] / saved_model.REPORT).read_text())
    assert report["passed"]
    assert report["differences"]["sample"]["image"]["largest"] <= 1e-5
    root = exported["gan"].parent.parent
    config = (root / "models.config").read_text()
    assert [f'name: "{name}"' in config for name in SERVED] == [True] * len(SERVED)
    assert 'base_path: "/models/vq-vae"' in config
    script = (root / "serve.sh").read_text()
    assert "--model_config_file=/models/models.config" in script
    assert not list(root.rglob(".exporting*"))


# Folders.


class Doubling:
    """A model that is quickly exported."""


@signatures.register(Doubling)
def _(model):
    number = Port("number", "number", ())
    return {"double": Signature("double", lambda number: {"number": 2 * number}, (number,), (number,))}


def test_versions_count_up_and_are_never_replaced(tmp_path, capsys):
    made = [kg.export.to_saved_model(Doubling(), tmp_path / "twice") for _ in range(2)]
    assert [path.name for path in made] == ["1", "2"]
    assert "docker run" in capsys.readouterr().out
    assert kg.export.to_saved_model(Doubling(), tmp_path / "twice" / "41", verbose=False).name == "41"
    assert kg.export.to_saved_model(Doubling(), tmp_path / "twice", verbose=False).name == "42"
    with pytest.raises(FileExistsError, match="41 is there already"):
        kg.export.to_saved_model(Doubling(), tmp_path / "twice" / "41")
    own = "model_config_list {}"
    (tmp_path / "models.config").write_text(own)
    kg.export.to_saved_model(Doubling(), tmp_path / "other", verbose=False)
    assert (tmp_path / "models.config").read_text() == own


def test_a_version_that_another_process_takes_is_left_alone(tmp_path, monkeypatch):
    """Between the choice of a version and the rename."""
    sync = atomic.sync_folder

    def meanwhile(folder):
        shutil.copytree(folder, tmp_path / "twice" / "1")
        monkeypatch.setattr(saved_model.serving, "versions", counted)
        sync(folder)

    listed, own = iter([[]]), saved_model.serving.versions
    counted = lambda folder: next(listed, None) if folder.name == "never" else next(listed, own(folder))  # noqa: E731
    monkeypatch.setattr(atomic, "sync_folder", meanwhile)
    assert kg.export.to_saved_model(Doubling(), tmp_path / "twice", verbose=False).name == "2"


def test_what_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "BOUND", -1.0)
    with pytest.raises(verify.VerificationError, match=r"differs too much.*double.*Nothing was written"):
        kg.export.to_saved_model(Doubling(), tmp_path / "twice")
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_is_said(tmp_path, models):
    with pytest.raises(ValueError, match=r"no signature 'paint': choose from generate, sample"):
        kg.export.to_saved_model(models("gan"), tmp_path / "a", signature="paint")
    with pytest.raises(TypeError, match="str has no export signatures"):
        kg.export.to_saved_model("model", tmp_path / "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        kg.export.to_saved_model(Doubling(), tmp_path / "file" / "a")
    assert not (tmp_path / "a").exists()


# Training that leaves its marks.


@pytest.mark.filterwarnings("ignore:These networks compute in bfloat16")
def test_replicas_and_bfloat16(tmp_path):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = kg.build(
            "gan", image_shape=(8, 8, 1), latent_dim=4, precision="bfloat16", seed=0, ema_decay=0.5
        )
    images = np.random.default_rng(0).uniform(-1, 1, (8, 8, 8, 1)).astype("float32")
    model.fit(tf.data.Dataset.from_tensor_slices(images).batch(4), verbose=0)
    path = kg.export.to_saved_model(model, tmp_path / "gan", verbose=False)
    latents = model.latents(3, seed=0)
    made = tf.saved_model.load(str(path)).signatures["generate"](latent=tf.constant(latents))["image"]
    with kg.precision.full():
        expected = model.sampler(latents, training=False)
    np.testing.assert_allclose(made, expected, atol=1e-5)
    # Against half precision, which has eight bits.
    np.testing.assert_allclose(made, model.generate(latents), atol=0.05)
